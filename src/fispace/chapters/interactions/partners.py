"""Which latents of two seeds are the same.

Must not: read a file.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy ships no types

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

Rows = Float[np.ndarray, "n_latents d_model"]
NO_PARTNER = -1


def partners(rows: Rows, others: Rows, match_cosine: float) -> Int[np.ndarray, " n_latents"]:
    """The latent of the other seed that each latent is matched to; `NO_PARTNER` if the cosine is below.

    One-to-one, with the largest sum of cosines of the decoder rows (Hungarian method, Kuhn 1955).
    """
    unit, other_unit = (
        each / np.maximum(np.linalg.norm(each, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        for each in (rows, others)
    )
    cosines = unit @ other_unit.T
    own, matched = linear_sum_assignment(cosines, maximize=True)
    found = np.full(len(rows), NO_PARTNER)
    is_near = cosines[own, matched] >= match_cosine
    found[own[is_near]] = matched[is_near]
    return found
