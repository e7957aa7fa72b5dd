"""The page of a run's costs: seconds, CPU time and peak memory of every job, by chapter.

These differ between two runs of the same study, so they are on no page that is a result. Must not: read a
result, or know what measured the jobs.
"""

from collections.abc import Iterable
from typing import NamedTuple

from fispace.html.render import rendered

HEAVIEST = 12
"""Jobs that are listed first."""


class JobCost(NamedTuple):
    """What one job took."""

    job: str
    """Its log, from the run's folder of logs and without suffix: `train/joint/seed0`."""
    seconds: float
    """By the clock."""
    cpu_seconds: float | None
    peak_mebibytes: float | None
    """Resident memory."""

    @property
    def chapter(self) -> str:
        """Chapter of the job's rule."""
        return self.job.split("/")[0]


class ChapterCost(NamedTuple):
    """Sums over a chapter's jobs, and the largest memory of one."""

    chapter: str
    n_jobs: int
    seconds: float
    cpu_seconds: float
    peak_mebibytes: float


def timing_page(run: str, jobs: Iterable[JobCost]) -> str:
    """HTML page of what the jobs of a run took, the longest first."""
    found = sorted(jobs, key=lambda job: (-job.seconds, job.job))
    chapters = [_sum(name, found) for name in dict.fromkeys(sorted(job.chapter for job in found))]
    return rendered(
        "timing.html.j2", styles=("page.css", "report.css"), script="timing.js", run=run,
        chapters=sorted(chapters, key=lambda one: -one.seconds), whole=_sum(None, found), jobs=found,
        n_heaviest=HEAVIEST,
    )  # fmt: skip


def _sum(chapter: str | None, jobs: list[JobCost]) -> ChapterCost:
    own = [job for job in jobs if chapter in (None, job.chapter)]
    return ChapterCost(
        chapter or "all jobs",
        len(own),
        sum(job.seconds for job in own),
        sum(job.cpu_seconds or 0.0 for job in own),
        max((job.peak_mebibytes or 0.0 for job in own), default=0.0),
    )
