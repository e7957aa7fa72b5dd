"""Progress of a training: steps, tokens, its curve, and the sums for the next row of the curve.

Must not: hold tensors, or know what is trained.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple


class CurveRow(NamedTuple):
    """One logged step of a training."""

    step: int
    n_tokens: int
    lr: float
    train_fvu: float
    """FVU of the batches since the last row, each centred on its own mean."""
    val_fvu: float | None


@dataclass
class Progress:
    """Counts and sums of a running training."""

    n_steps: int = 0
    n_tokens: int = 0
    error: float = 0.0
    """Sum of the batches' mean squared errors since the last row of the curve."""
    variance: float = 0.0
    """Sum of the batches' variances since the last row of the curve."""
    curve: list[CurveRow] = field(default_factory=list[CurveRow])

    def add(self, n_tokens: int, error: float, variance: float) -> None:
        """Count one step."""
        self.n_steps += 1
        self.n_tokens += n_tokens
        self.error += error
        self.variance += variance

    def log(self, lr: float, val_fvu: float | None) -> None:
        """Add a row to the curve and start the next."""
        train_fvu = self.error / self.variance
        self.curve.append(CurveRow(self.n_steps, self.n_tokens, lr, train_fvu, val_fvu))
        self.error = self.variance = 0.0

    def as_json(self) -> dict[str, Any]:
        """The progress as JSON values, which keep every bit of a float."""
        return asdict(self) | {"curve": [list(row) for row in self.curve]}

    def take_up(self, values: dict[str, Any]) -> None:
        """Become what `as_json` said.

        Raises:
            KeyError, TypeError: if the values are not of that form.
        """
        self.n_steps, self.n_tokens = int(values["n_steps"]), int(values["n_tokens"])
        self.error, self.variance = float(values["error"]), float(values["variance"])
        self.curve[:] = [CurveRow(*row) for row in values["curve"]]
