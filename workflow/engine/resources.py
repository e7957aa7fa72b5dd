"""What the job of each rule needs: memory, time, disk, and a GPU, from the sizes of the study.

One table, by kind of work; a rule that it does not name makes or draws tables. A local run ignores the
numbers; a scheduler reserves them, and a job that needed more is killed and runs again with twice as much.
They are therefore bounds with room, not predictions. Must not: decide what a job computes.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from engine.sizes import Sizes
from fispace.study.commands import all_commands, rule_of

Resources = dict[str, Callable[..., int] | int]

PROCESS_MB = 1500
"""Python, torch and libraries, beside the two Snakemakes that a scheduler starts for every job."""
TABLE_MB = 1000
"""The same for a job without torch."""
TRAINING_COPIES = 6
"""Of an arm's weights: the weights, their gradients, two moments, and a checkpoint being written."""
LOGIT_COPIES = 4
"""Of the logits of a forward pass in float32: with and without a splice, log-probabilities, a product."""
DISK_MB = 1000
"""Tables, logs and temporary files of any job."""
WINDOW_BYTES = 64
"""Of a token that is held with its window, document and labels."""
MB, GIGA, DAY = 1e6, 1e9, 24 * 60
GFLOPS_PER_THREAD = 10.0
"""Far below what a matrix product reaches, as small products and slow processors are."""
GFLOPS_OF_GPU = 5000.0
STARTUP_MINUTES = 10.0
SAFETY = 3.0
"""Of times, which vary more between machines than memory does."""


class Need(NamedTuple):
    """What one kind of work needs beyond a process that has started."""

    mb: float
    gflop: float = 0.0
    disk_mb: float = 0.0
    process_mb: int = PROCESS_MB


def _table(_: Sizes) -> Need:
    return Need(0.0, process_mb=TABLE_MB)


def _statistics(_: Sizes) -> Need:
    """Resampling and mixed models on small tables: half an hour of one core at most."""
    return Need(0.0, gflop=600 * GFLOPS_PER_THREAD, process_mb=TABLE_MB)


def _world(_: Sizes) -> Need:
    """Arms trained on simulated activations, whose sizes no model changes."""
    return Need(500.0, gflop=900 * GFLOPS_PER_THREAD)


def _testbed_lm(sizes: Sizes) -> Need:
    """The training of the testbed's own language model: a minute for the default study."""
    return Need(500.0 + 6 * 4 * sizes.lm.weights / MB, 900 * GFLOPS_PER_THREAD, disk_mb=100.0)


def _lm_passes(sizes: Sizes, tokens: int) -> Need:
    """Forward passes of the language model, an arm spliced in."""
    lm, arm = sizes.lm.weights * sizes.lm_bytes, 4 * sizes.sae_weights
    logits = LOGIT_COPIES * 4 * sizes.pass_tokens * sizes.lm.vocabulary
    return Need((1.3 * lm + arm + logits) / MB, 2 * tokens * sizes.lm.weights / GIGA)


def _extract(sizes: Sizes) -> Need:
    """Passes over all text, whose tokens and labels are held, as are a shard's activations."""
    passes = _lm_passes(sizes, sizes.train_tokens + 3 * sizes.held_out_tokens)
    held = WINDOW_BYTES * sizes.train_tokens + 3 * 4 * sizes.shard_tokens * sizes.lm.width
    stored = 2 * sizes.train_tokens * sizes.lm.width * sizes.store_bytes
    return passes._replace(mb=passes.mb + held / MB, disk_mb=stored / MB)


def _held_out_passes(sizes: Sizes) -> Need:
    """Dozens of passes over a held-out split, by parts kept and kinds of noise."""
    passes = _lm_passes(sizes, 60 * sizes.held_out_tokens)
    return passes._replace(mb=passes.mb + 4 * 4 * sizes.held_out_tokens * sizes.lm.width / MB)


def _training(sizes: Sizes) -> Need:
    """One arm: weights and their copies, pre-activations of a batch, rows that are being shuffled."""
    copies = TRAINING_COPIES * 4 * sizes.sae_weights
    batch = 4 * 4 * sizes.batch_tokens * sizes.n_latents
    rows = 2 * 4 * sizes.pooled_rows * sizes.lm.width
    flop = 6 * sizes.presented_tokens * sizes.sae_weights
    disk = 4 * 4 * sizes.sae_weights / MB
    return Need((copies + batch + rows) / MB, flop / GIGA, disk)


def _codes(sizes: Sizes) -> Need:
    """Passes of an arm over stored activations, and what is found for every latent."""
    rows = 4 * 4 * max(sizes.held_out_tokens, sizes.pooled_rows) * sizes.lm.width
    tested = 3 * 8 * sizes.tested_tokens * sizes.lm.width
    batch = 4 * 4 * sizes.batch_tokens * sizes.n_latents
    mb = (3 * 4 * sizes.sae_weights + rows + tested + batch) / MB
    return Need(mb, 6 * sizes.train_tokens * sizes.sae_weights / GIGA, 4 * sizes.sae_weights / MB)


KINDS: Mapping[Callable[[Sizes], Need], tuple[str, ...]] = {
    _extract: ("extract_activations",),
    _training: ("train_candidate", "train_try", "train_arm"),
    _testbed_lm: ("testbed_lm",),
    _world: ("testbed_planted", "interactions_recovery"),
    _held_out_passes: (
        "fidelity_ablation_baselines", "fidelity_arm", "fidelity_arm_more_seeds", "fidelity_audit",
        "factorial_activations", "factorial_clamp", "factorial_generate", "factorial_ground_truth",
    ),
    _codes: (
        "extract_standardiser", "train_import", "fidelity_reduced_k", "geometry_arm", "geometry_heads",
        "interactions_pairs", "interactions_contexts", "interactions_power", "factorial_secondary",
        "factorial_responses", "factorial_pairs", "factorial_single_latent_response", "browser_data",
    ),
    _statistics: ("factorial_infer", "factorial_calibrate", "report_claims", "fidelity_summary"),
}  # fmt: skip
"""Kinds of work, and the rules that do it."""


VARIANTS = ("_more_seeds",)
"""Ends of the names of rules that call another rule's command."""


def uses_device(rule: str) -> bool:
    """Whether the rule's command depends on the study's `device`; all others compute on the processor."""
    for end in VARIANTS:
        rule = rule.removesuffix(end)
    return rule in {
        rule_of(each.name)
        for each in all_commands()
        if each.config is not None and "device" in each.config.model_fields
    }


def resources_of(sizes: Sizes, rule: str) -> Resources:
    """What a job of the rule reserves: `mem_mb`, `runtime` (minutes), `disk_mb` and `gpu`.

    Memory and time are functions of the attempt: each further one gets twice as much. What runs for more
    than a day keeps its work on disk and continues when it is started again.
    """
    need = next((kind for kind, rules in KINDS.items() if rule in rules), _table)(sizes)
    gpus = sizes.gpus if uses_device(rule) else 0
    mb = round(need.process_mb + need.mb)

    def minutes(threads: int) -> int:
        speed = GFLOPS_OF_GPU if gpus else GFLOPS_PER_THREAD * threads
        return min(DAY, round(STARTUP_MINUTES + SAFETY * need.gflop / speed / 60))

    return {
        "mem_mb": lambda _, attempt: mb * 2 ** (attempt - 1),
        "runtime": lambda _, threads, attempt: minutes(threads) * 2 ** (attempt - 1),
        "disk_mb": round(DISK_MB + need.disk_mb),
        "gpu": gpus,
    }
