"""How the cost of the NFM parts grows with the number of latents, the encoder left out."""

from dataclasses import replace

from benchmarks.job import MIDDLE, Job
from benchmarks.rounds import measure, planned_steps
from benchmarks.steps import LR, Rounds, Rows

N_LATENTS = (2048, 16384, 65536)
CONTESTANTS = ("nfm_row_sparse", "nfm_row_sparse_skewed", "nfm_adam")


def measure_scaling(n_latents: tuple[int, ...], rounds: Rounds) -> Rows:
    """Rows of scaling.csv, all sizes and contestants interleaved; d_model is that of the middle size."""
    plan = Job("", MIDDLE, planned_steps(*rounds), LR, seed=0)
    jobs = {
        f"{name} {n}": replace(plan, contestant=name, size=replace(MIDDLE, n_latents=n))
        for name in CONTESTANTS
        for n in n_latents
    }
    measured = measure(jobs, *rounds)
    return [
        {
            "contestant": job.contestant,
            **vars(job.size),
            "n_rounds": len(measured[key].seconds),
            "median_s": measured[key].median_s,
            "us_per_token": 1e6 * measured[key].median_s / job.size.batch_tokens,
        }
        for key, job in jobs.items()
    ]
