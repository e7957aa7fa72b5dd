"""Limits that one parameter sets to another; beyond them it would have no effect, or no data.

Must not: read a file. Limits that depend on the text or the battery are checked where these are read.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fispace.study.config.base import Refusal

if TYPE_CHECKING:
    from fispace.study.config.study import StudyConfig


def broken_limits(study: "StudyConfig") -> Iterator[Refusal]:
    """Every such limit that the study breaks."""
    yield from _of_testbed(study)
    yield from _of_tokens(study)
    yield from _of_training(study)
    yield from _of_latents(study)
    yield from _of_tests(study)


def _at_most(keys: tuple[str, ...], value: int, limit: int, what: str) -> Iterator[Refusal]:
    if value > limit:
        yield Refusal(keys, f"must be <= {limit}, {what}", value)


def _of_testbed(study: "StudyConfig") -> Iterator[Refusal]:
    """Limits set by the testbed's LM and battery."""
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
    """Limits set by the size of the splits."""
    most = study.extract.max_tokens
    what = "the tokens of extract.max_tokens.train: one batch"
    yield from _at_most(("train", "batch_tokens"), study.train.batch_tokens, most.train, what)
    rows = study.extract.row_group_tokens
    what = "the tokens of extract.row_group_tokens: a batch never spans two row groups"
    yield from _at_most(("geometry", "batch_tokens"), study.geometry.batch_tokens, rows, what)


def _of_training(study: "StudyConfig") -> Iterator[Refusal]:
    """Limits within a training."""
    train = study.train
    if train.val_every % train.log_every:
        yield Refusal(
            ("train", "val_every"),
            f"must be a multiple of log_every={train.log_every}: validation results go into rows of the "
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
    """Limits set by the number of latents."""
    factorial, calibration = study.factorial, study.factorial.calibration
    n_secondary = factorial.secondary.expansion * study.train.d_embed
    what = "the latents of the secondary SAE, expansion x train.d_embed"
    yield from _at_most(("factorial", "secondary", "k"), factorial.secondary.k, n_secondary, what)
    n, keys = factorial.n_candidates, ("factorial", "n_candidates")
    what = "a third of the latents of the secondary SAE: two kinds of controls need as many"
    yield from _at_most(keys, n, n_secondary // 3, what)
    yield from _at_most(keys, n, study.train.n_latents, "the primary latents, train.n_latents")
    what = "the latents of a simulated data set, factorial.calibration.n_latents"
    yield from _at_most(keys, n, calibration.n_latents, what)
    keys = ("factorial", "calibration", "n_mixed")
    yield from _at_most(keys, calibration.n_mixed, calibration.n_datasets, "its n_datasets")


def _of_tests(study: "StudyConfig") -> Iterator[Refusal]:
    """Limits on what resampling can resolve: p-values and intervals."""
    factorial, alpha = study.factorial, study.factorial.alpha
    for keys, n in (
        (("n_permutations",), factorial.n_permutations),
        (("calibration", "n_permutations"), factorial.calibration.n_permutations),
    ):
        if 1 / (n + 1) > alpha:
            yield Refusal(
                ("factorial", *keys),
                f"sign flips give no p below {1 / (n + 1):.2g}, so no test could reach alpha={alpha}",
                n,
            )
    for name, section in (("fidelity", study.fidelity), ("report", study.report)):
        tail = (1 - section.confidence) / 2
        if section.n_bootstrap * tail < 1:
            yield Refusal(
                (name, "n_bootstrap"),
                f"resamples are too few for an interval of confidence={section.confidence}, "
                f"which needs one in each tail of {tail:.2g}; give at least {round(1 / tail)}",
                section.n_bootstrap,
            )
