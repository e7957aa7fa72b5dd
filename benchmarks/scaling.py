"""How the cost of the NFM parts grows with the number of latents, the encoder left out."""

from dataclasses import replace

import torch

from benchmarks.contestants.fispace_nfm import draw_codes
from benchmarks.job import CONTESTANTS, MIDDLE, Job
from benchmarks.rounds import measure, planned_steps
from benchmarks.steps import LR, Rounds, Rows

N_LATENTS = (2048, 16384, 65536)
NFM_CONTESTANTS = (
    "nfm_row_sparse", "nfm_row_sparse_skewed", "nfm_row_sparse_few", "nfm_adam", "nfm_adam_few",
    "row_sums",
)  # fmt: skip


def measure_scaling(n_latents: tuple[int, ...], rounds: Rounds) -> Rows:
    """Rows of scaling.csv, all sizes and contestants interleaved; d_model is that of the middle size."""
    plan = Job("", MIDDLE, planned_steps(*rounds), LR, seed=0)
    jobs = {
        f"{name} {n}": replace(plan, contestant=name, size=replace(MIDDLE, n_latents=n))
        for name in NFM_CONTESTANTS
        for n in n_latents
    }
    measured = measure(jobs, *rounds)
    return [
        {
            "contestant": job.contestant,
            **vars(job.size),
            "active_latents": active_latents(job),
            "n_rounds": len(measured[key].seconds),
            "median_s": measured[key].median_s,
            "us_per_token": 1e6 * measured[key].median_s / job.size.batch_tokens,
        }
        for key, job in jobs.items()
    ]


def active_latents(job: Job) -> int:
    """Latents active in a batch: the rows that a row-sparse update must touch."""
    options = CONTESTANTS[job.contestant].options
    generator = torch.Generator().manual_seed(job.seed)
    codes = draw_codes(job.size, options["is_skewed"], generator, options.get("n_used"))
    return len(codes.indices.unique())
