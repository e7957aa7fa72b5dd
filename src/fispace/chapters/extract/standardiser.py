"""`extract standardiser`: mean and deviation of every dimension, fitted on the train tokens.

Must not: load a language model, or standardise.
"""

from fispace.store.activations import ActivationStore
from fispace.store.files import sha256_of
from fispace.store.standardiser import fit_moments
from fispace.study.config.extract import StandardiserStep
from fispace.study.step import Reads, Writes, command


@command("extract", "standardiser")
def fit_standardiser(params: StandardiserStep, *, manifest: Reads, standardiser: Writes) -> None:
    """Write mean and population standard deviation over the non-special train tokens.

    Raises:
        ArtifactError: if a train shard is missing or altered.
        ParamsError: if a dimension never varies and `zero_variance` is "refuse".
    """
    store = ActivationStore(manifest)
    store.verify("train")
    fitted = fit_moments(store.groups("train"), params.zero_variance)
    record = params.plain() | {
        "step": "extract standardiser",
        "manifest": sha256_of(manifest),
        "n_tokens": store.n_tokens("train"),
    }
    fitted.save(standardiser, record)
