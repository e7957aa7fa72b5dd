"""Parameters that another parameter, of the same section or of another, leaves without effect or without data.

Must not: read a file; what only the text or the battery can tell is checked where they are read.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fispace.study.config.base import Refusal

if TYPE_CHECKING:
    from fispace.study.config.study import StudyConfig


def broken_limits(study: "StudyConfig") -> Iterator[Refusal]:
    """Every limit that one parameter sets to another and that the study does not keep."""
    yield from _of_testbed(study)
    yield from _of_tokens(study)
    yield from _of_training(study)
    yield from _of_latents(study)
    yield from _of_tests(study)


def _at_most(keys: tuple[str, ...], value: int, limit: int, what: str) -> Iterator[Refusal]:
    if value > limit:
        yield Refusal(keys, f"must be <= {limit}, {what}", value)


def _of_testbed(study: "StudyConfig") -> Iterator[Refusal]:
    """What the testbed's LM and battery can give."""
    lm = study.testbed.lm
    if study.lm.is_testbed:
        positions = f"testbed.lm.n_positions={lm.n_positions}"
        if study.extract.window_tokens > lm.n_positions:
            yield Refusal(
                ("extract", "window_tokens"), f"must be <= {positions}", study.extract.window_tokens
            )
        hook = study.lm.hook_point
        if isinstance(hook, int) and hook >= lm.n_blocks:
            yield Refusal(
                ("lm", "hook_point"), f"must be < testbed.lm.n_blocks={lm.n_blocks}", hook
            )
    if study.factorial.battery == "testbed":
        n_items = study.testbed.battery.n_items
        n_select = round(study.factorial.select_fraction * n_items)
        if min(n_select, n_items - n_select) < 2:
            yield Refusal(
                ("factorial", "select_fraction"),
                f"leaves {n_select} of testbed.battery.n_items={n_items} items to select and "
                f"{n_items - n_select} to confirm; each half needs at least 2",
                study.factorial.select_fraction,
            )


def _of_tokens(study: "StudyConfig") -> Iterator[Refusal]:
    """What the splits hold at most."""
    most = study.extract.max_tokens
    what = "the tokens of extract.max_tokens.train: one batch"
    yield from _at_most(("train", "batch_tokens"), study.train.batch_tokens, most.train, what)
    rows = study.extract.row_group_tokens
    what = "the tokens of extract.row_group_tokens: no batch is of more than one row group"
    yield from _at_most(("geometry", "batch_tokens"), study.geometry.batch_tokens, rows, what)


def _of_training(study: "StudyConfig") -> Iterator[Refusal]:
    """What happens within the steps of a training."""
    train = study.train
    if train.val_every % train.log_every:
        yield Refusal(
            ("train", "val_every"),
            f"must be a multiple of log_every={train.log_every}: a validation is part of a row of the "
            "training curve",
            train.val_every,
        )
    if train.aux_k is not None:
        what = "the tokens of a training, train.n_tokens: no latent would ever count as dead"
        keys = ("train", "aux_k", "dead_tokens")
        yield from _at_most(keys, train.aux_k.dead_tokens, train.n_tokens, what)
        what = "the latents, train.n_latents"
        yield from _at_most(("train", "aux_k", "k"), train.aux_k.k, train.n_latents, what)


def _of_latents(study: "StudyConfig") -> Iterator[Refusal]:
    """How many latents there are to choose from."""
    factorial, calibration = study.factorial, study.factorial.calibration
    n_secondary = factorial.secondary.expansion * study.train.d_embed
    what = "the latents of the secondary SAE, expansion x train.d_embed"
    yield from _at_most(("factorial", "secondary", "k"), factorial.secondary.k, n_secondary, what)
    n, keys = factorial.n_candidates, ("factorial", "n_candidates")
    what = "a third of the latents of the secondary SAE, with as many of two controls"
    yield from _at_most(keys, n, n_secondary // 3, what)
    yield from _at_most(keys, n, study.train.n_latents, "the primary latents, train.n_latents")
    what = "the latents of a simulated data set, factorial.calibration.n_latents"
    yield from _at_most(keys, n, calibration.n_latents, what)
    keys = ("factorial", "calibration", "n_mixed")
    yield from _at_most(keys, calibration.n_mixed, calibration.n_datasets, "its n_datasets")


def _of_tests(study: "StudyConfig") -> Iterator[Refusal]:
    """Which p-values and intervals resampling can give."""
    factorial, alpha = study.factorial, study.factorial.alpha
    for keys, n in (
        (("n_permutations",), factorial.n_permutations),
        (("calibration", "n_permutations"), factorial.calibration.n_permutations),
    ):
        if 1 / (n + 1) > alpha:
            yield Refusal(
                ("factorial", *keys),
                f"sign flips give no p below {1 / (n + 1):.2g}: none could reach alpha={alpha}",
                n,
            )
    for name, section in (("fidelity", study.fidelity), ("report", study.report)):
        tail = (1 - section.confidence) / 2
        if section.n_bootstrap * tail < 1:
            yield Refusal(
                (name, "n_bootstrap"),
                f"resamples have none in a tail of {tail:.2g}, where an interval of "
                f"confidence={section.confidence} ends; give at least {round(1 / tail)}",
                section.n_bootstrap,
            )
