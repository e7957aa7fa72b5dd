"""How the parts of a model look in figures.

Must not: draw, or know a table.
"""

from typing import NamedTuple

from fispace.plotting.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION
from fispace.study.config.parts import Part


class Look(NamedTuple):
    """Colour and marker of a part's points, its label, and colour and opacity of its box in a diagram."""

    colour: str
    marker: str
    label: str
    fill: tuple[str, float]


LOOKS: dict[Part, Look] = {
    "sae": Look(SKY, "o", "SAE decoder", (BLUE, 0.22)),
    "linear": Look(BLUE, "s", "linear part", (ORANGE, 0.28)),
    "bias": Look(GREEN, "^", "bias", (GREEN, 0.25)),
    "interaction": Look(VERMILION, "D", "interaction part", (PURPLE, 0.30)),
    "residual_sae": Look(GREY, "v", "second SAE", (GREY, 0.18)),
}
