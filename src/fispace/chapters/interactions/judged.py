"""The whole test of one arm and seed: pairs measured, conjunction latents looked for, verdicts given.

Must not: define a statistic or a verdict, or write a file.
"""

from typing import NamedTuple

import pandas as pd

from fispace.chapters.interactions.codes import TestedTokens
from fispace.chapters.interactions.conjunctions import tested_triples, with_conjunctions
from fispace.chapters.interactions.pair_statistics import PairMeasurement
from fispace.chapters.interactions.verdicts import judged
from fispace.study.config.interactions import PairTest


class Judged(NamedTuple):
    """Everything that is found out about the pairs of one arm and seed."""

    measurement: PairMeasurement
    triples: pd.DataFrame
    """`tested_triples`."""
    table: pd.DataFrame
    """`judged`."""


def judged_pairs(params: PairTest, tested: TestedTokens) -> Judged:
    """All pairs of latents with their verdicts, and all triples of a latent and its possible parents.

    Raises:
        ArtifactError: if no two latents fire together often enough, or there are fewer documents than
            blocks.
    """
    measurement = PairMeasurement(params, tested)
    triples = tested_triples(params, tested, measurement.reliability)
    table = with_conjunctions(measurement.table(), triples, tested.codes, params.fdr)
    return Judged(measurement, triples, judged(table, params))
