"""What is measured: sizes, jobs, and the contestants by name.

Must not: import a contestant before a worker asks for it, each tool stays in its own process; nor torch.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Size:
    """Sizes of one comparison."""

    d_model: int
    n_latents: int
    k: int
    d_embed: int
    batch_tokens: int


SMALL = Size(128, 2048, k=32, d_embed=32, batch_tokens=4096)
MIDDLE = Size(288, 4608, k=32, d_embed=32, batch_tokens=4096)
LARGE = Size(768, 12288, k=32, d_embed=32, batch_tokens=4096)
PAPER = Size(3200, 50_000, k=1024, d_embed=300, batch_tokens=4096)


@dataclass(frozen=True)
class Job:
    """One training of one contestant; picklable, so that a worker can be handed it."""

    contestant: str
    size: Size
    n_steps: int
    """Steps the contestant plans for; its learning rate decays linearly to zero over them."""
    lr: float
    seed: int
    device: str = "cpu"
    is_bf16: bool = False
    """Forward pass in bf16 as the tool does it, weights and optimiser in fp32."""


class Contestant(Protocol):
    """A model and the training loop that its tool brings."""

    def train(self, batches: "Iterator[Tensor]") -> None:
        """Run the tool's loop, one step for each batch it takes."""
        ...

    def reconstruct(self, z: "Tensor") -> "Tensor":
        """Reconstruction by the model as it is now, without gradients."""
        ...


class Entry(NamedTuple):
    """Where a contestant is built, and how tables and figures call it."""

    label: str
    module: str
    factory: str
    options: Mapping[str, Any] = {}


CONTESTANTS: Mapping[str, Entry] = {
    "encoder_product": Entry("encoder product alone", "floor", "EncoderProduct"),
    "fispace_sae": Entry("fispace, SAE", "fispace_arms", "Arm", {"parts": ("sae",)}),
    "fispace_sae_bias": Entry(
        "fispace, SAE with bias", "fispace_arms", "Arm", {"parts": ("sae", "bias")}
    ),
    "fispace_sae_float32": Entry(
        "fispace, SAE, chosen in float32", "fispace_arms", "Arm",
        {"parts": ("sae",), "topk_dtype": "float32"},
    ),
    "fispace_sae_bias_subtracted": Entry(
        "fispace, bias subtracted from the input", "fispace_arms", "Arm",
        {"parts": ("sae", "bias"), "subtract_bias": True},
    ),
    "fispace_like_saelens": Entry(
        "fispace, set like SAELens", "fispace_arms", "Arm",
        {"parts": ("sae", "bias"), "subtract_bias": True, "select_by": "contribution"},
    ),
    "fispace_sae_bias_float32": Entry(
        "fispace, chosen in float32", "fispace_arms", "Arm",
        {"parts": ("sae", "bias"), "topk_dtype": "float32"},
    ),
    "fispace_sae_bias_bfloat16": Entry(
        "fispace, candidates in bfloat16", "fispace_arms", "Arm",
        {"parts": ("sae", "bias"), "topk_dtype": "bfloat16"},
    ),
    "fispace_sae_bias_row_sparse": Entry(
        "fispace, row-sparse Adam", "fispace_arms", "Arm",
        {"parts": ("sae", "bias"), "optimiser": "row_sparse_adam"},
    ),
    "fispace_joint": Entry(
        "fispace, joint", "fispace_arms", "Arm",
        {"parts": ("sae", "linear", "bias", "interaction")},
    ),
    "sparsify": Entry("sparsify", "sparsify_coder", "SparsifyCoder"),
    "saelens": Entry("SAELens", "saelens_topk", "SaeLensTopK", {"is_sparse": False}),
    "saelens_sparse": Entry(
        "SAELens, sparse activations", "saelens_topk", "SaeLensTopK", {"is_sparse": True}
    ),
    "saelens_float32": Entry(
        "SAELens, products in float32 (its default)", "saelens_topk", "SaeLensTopK",
        {"is_sparse": False, "in_float32": True},
    ),
    "fispace_joint_float32": Entry(
        "fispace, joint, products in float32", "fispace_arms", "Arm",
        {"parts": ("sae", "linear", "bias", "interaction"), "in_float32": True},
    ),
    "dense_sae": Entry("dense SAE", "dense", "sae"),
    "dense_joint": Entry("dense joint", "dense", "joint"),
    "nfm_row_sparse": Entry(
        "row-sparse Adam, latents equally frequent", "fispace_nfm", "NfmParts",
        {"optimiser": "row_sparse_adam", "is_skewed": False},
    ),
    "nfm_row_sparse_skewed": Entry(
        "row-sparse Adam, frequencies by Zipf's law", "fispace_nfm", "NfmParts",
        {"optimiser": "row_sparse_adam", "is_skewed": True},
    ),
    "nfm_row_sparse_few": Entry(
        "row-sparse Adam, 2,048 latents in use", "fispace_nfm", "NfmParts",
        {"optimiser": "row_sparse_adam", "is_skewed": False, "n_used": 2048},
    ),
    "nfm_adam_few": Entry(
        "Adam, 2,048 latents in use", "fispace_nfm", "NfmParts",
        {"optimiser": "adam", "is_skewed": False, "n_used": 2048},
    ),
    "row_sums": Entry(
        "two sums over the same rows, nothing else", "fispace_nfm", "RowSums", {"is_skewed": False}
    ),
    "nfm_adam": Entry(
        "Adam, latents equally frequent", "fispace_nfm", "NfmParts",
        {"optimiser": "adam", "is_skewed": False},
    ),
}  # fmt: skip


def factory_of(contestant: str) -> Callable[[Job], Contestant]:
    """The function that builds a contestant for a job; imports its tool."""
    entry = CONTESTANTS[contestant]
    module = import_module(f"benchmarks.contestants.{entry.module}")
    build = getattr(module, entry.factory)
    return lambda job: build(job, **entry.options)
