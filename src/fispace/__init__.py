"""Feature identity and feature integration in language models.

In a notebook, these names are what to call; each is imported at its first use, so that `import fispace` costs
nothing:

    load_lm       a causal language model, and the hook point at which it is read
    activations   activations of texts, token by token, split by document
    train         an arm (SAE, linear part, bias, interaction) on activations or an array
    load_arm      an arm that was saved
    fidelity      FVU, KL and CE of an arm's reconstruction, with controls and intervals
    generate      continuations of prompts, with a latent clamped
    test_2x2      tests of two factors and their interaction on items
    import_sae    a TopK SAE of SAELens or sparsify as an arm
    export_sae    an arm in the format of SAELens, sparsify or dictionary_learning
    open          a finished run: arms, tables, latents, contexts

`LanguageModel`, `Activations`, `Arm` and `Run` are the types that they return.
"""

PUBLIC = {
    "load_lm": "language_model",
    "LanguageModel": "language_model",
    "activations": "activations",
    "Activations": "activations",
    "train": "arms",
    "load_arm": "arms",
    "import_sae": "arms",
    "export_sae": "arms",
    "Arm": "arms",
    "fidelity": "measures",
    "generate": "interventions",
    "test_2x2": "stimuli",
    "open": "runs",
    "Run": "runs",
}
"""Module of `fispace.library` of each public name; `__init__.pyi` states their types."""


def __getattr__(name: str) -> object:
    """A public name, from its module (PEP 562)."""
    if name not in PUBLIC:
        raise AttributeError(f"module 'fispace' has no attribute {name!r}")
    import importlib

    found = getattr(importlib.import_module(f"fispace.library.{PUBLIC[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Public names, and what a module has anyway."""
    return sorted({*globals(), *PUBLIC})
