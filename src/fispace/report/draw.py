"""`report draw`: one figure from its table, as SVG and PDF.

Must not: compute, or import torch.
"""

from fispace.errors import ParamsError
from fispace.plotting.style import rendered
from fispace.report.figure_registry import FIGURES
from fispace.report.tables import OF_FIGURES
from fispace.store.files import atomic_path
from fispace.store.tables import read_csv
from fispace.study.step import Reads, Writes, command


@command("report", "draw")
def draw_figure(*, figure: str, table: Reads, svg: Writes, pdf: Writes) -> None:
    """Draw the named figure from its CSV; equal tables give equal bytes.

    Raises:
        ParamsError: if there is no figure of this name.
        ArtifactError: if the table is missing or damaged.
    """
    if figure not in FIGURES:
        raise ParamsError(f"--figure {figure}: no such figure; there are {', '.join(FIGURES)}.")
    drawn = FIGURES[figure](read_csv(table, OF_FIGURES[figure]))
    for path in (svg, pdf):
        with atomic_path(path) as partial:
            partial.write_bytes(rendered(drawn, path.suffix))
