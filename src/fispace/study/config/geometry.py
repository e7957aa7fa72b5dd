"""Configuration of the geometry chapter; meanings in workflow/schemas/geometry.schema.yaml."""

from dataclasses import dataclass

from fispace.errors import ParamsError


@dataclass(frozen=True)
class GeometryArmStep:
    """What `geometry arm` depends on."""

    group_threshold: float
    spectrum_first_share: float
    spectrum_target: float
    gram_pairs: int
    top_share: float
    functional_latents: int
    batch_tokens: int
    n_published_batches: int
    root_seed: int
    threads: int

    def __post_init__(self) -> None:
        for name in ("spectrum_first_share", "spectrum_target", "top_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ParamsError(
                    f"geometry.{name}={getattr(self, name)} must be a share in (0, 1]."
                )

    def n_first(self, d_model: int) -> int:
        """Leading components that the published PCA looks at: 1,000 of 3,200 in the paper."""
        return max(1, round(self.spectrum_first_share * d_model))

    def n_top(self, d_model: int) -> int:
        """Coordinates that count as a row's largest: 250 of 3,200 in the author's code."""
        return max(1, round(self.top_share * d_model))
