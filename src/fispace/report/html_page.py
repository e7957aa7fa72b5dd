"""`report page`: the study, its answer, ledger, figures and provenance on one self-contained HTML page.

Equal tables give equal bytes: times and memory of jobs are on another page, beside the logs.
Must not: compute or judge; every number is a cell of a table, or a count of its rows.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from markupsafe import Markup

from fispace.errors import ArtifactError, ParamsError
from fispace.html.markdown import Section, sections
from fispace.html.render import rendered
from fispace.html.svg import inline_svg
from fispace.provenance.lineage import locate
from fispace.report.captions import CAPTIONS
from fispace.report.health_section import bound_text, failed_gates, with_unit
from fispace.report.html_ledger import (
    ARM_HEADERS,
    IN_WORDS,
    KINDS,
    QUESTION,
    anchor_of,
    answer,
    arm_rows,
    ledger_rows,
)
from fispace.report.html_provenance import Lineage, Origin
from fispace.report.tables import ARM_NUMBERS, HEALTH, LEDGER, NO, YES
from fispace.store.activations import ActivationStore
from fispace.store.files import write_text
from fispace.store.origins import is_missing
from fispace.store.quantities import Frame
from fispace.store.tables import read_csv
from fispace.study.config.report import PageStep
from fispace.study.step import Reads, Writes, command

SHOWN_DIGITS = 16


class Drawing(NamedTuple):
    """A figure of the page."""

    name: str
    caption: str
    svg: Markup
    folder: str
    """Folder of its CSV and PDF, relative to the page's own."""
    origin: Origin | None


class Source(NamedTuple):
    """What the study read, as the page names it."""

    model: str
    text: str
    transfer: str
    seeds: Sequence[int]
    more_seeds: Sequence[int]


@command("report", "page", sections=("train",))
def write_page(
    params: PageStep, *, run: str, target: str, model: str, text: str, transfer: str, seeds: str,
    more_seeds: str, ledger: Reads, arms: Reads, explanations: Reads, manifest: Reads,
    health: Reads, drawings: list[Reads], figure_folder: str, logs: str, browser: str, page: Writes,
) -> None:  # fmt: skip
    """Write the page.

    Args:
        params: sizes that the page names.
        run: name of the run.
        target: `all` or `full`.
        model: the language model, as the page names it: no folder of this machine.
        text: the text, likewise.
        transfer: the second text, likewise; empty for none.
        seeds: seeds of every arm, separated by blanks.
        more_seeds: further seeds of some arms, likewise.
        ledger: the claims.
        arms: the numbers of each arm.
        explanations: where each number of the ledger comes from.
        manifest: the activation store: hook point, tokens, and hashes of model and text.
        health: the health gates.
        drawings: drawings of the figures, in order.
        figure_folder: their folder, relative to the page's own.
        logs: folder of the run's logs, relative to the page's own.
        browser: the page of the latents, relative to this one.
        page: the page.

    Raises:
        ParamsError: if a figure has no caption.
        ArtifactError: if an input is missing, damaged, or of another form.
    """
    source = Source(model, text, transfer, _numbers(seeds), _numbers(more_seeds))
    claims, gate_table = read_csv(ledger, LEDGER), read_csv(health, HEALTH)
    gates = _gates(gate_table)
    inputs = [ledger, arms, manifest, health, *drawings]
    lineage = Lineage(inputs)
    rows = ledger_rows(claims)
    write_text(
        page,
        rendered(
            "report.html.j2", styles=("page.css", "report.css"), script="report.js", run=run,
            target=target, question=QUESTION, answer=answer(claims),
            facts=study_facts(params, ActivationStore(manifest), source), gates=gates,
            failed=failed_gates(gate_table),
            arms=arm_rows(read_csv(arms, ARM_NUMBERS)), arm_headers=list(ARM_HEADERS.values()),
            claims=rows, verdicts=list(dict.fromkeys(row.verdict for row in rows)), kinds=KINDS,
            in_words=IN_WORDS, drawings=_drawings(drawings, figure_folder, lineage),
            chapters=_chapters(explanations), commands=lineage.commands(),
            versions=lineage.versions(), logs=logs, browser=browser,
        ),
    )  # fmt: skip


def study_facts(
    params: PageStep, store: ActivationStore, source: Source
) -> list[tuple[str, list[str]]]:
    """What the study is: model, text, hook point, sizes and seeds, each with one or more lines.

    Raises:
        ArtifactError: if the manifest lacks an entry.
    """
    found = store.manifest
    try:
        place = f"output of {found['hook_path']} (lm.hook_point: {found['hook_point']})"
        windows = f"windows of {found['window_tokens']} tokens"
        windows += ", BOS included" if found["add_bos"] else ", without BOS"
        weights = [f"{name}: {sha[:SHOWN_DIGITS]}" for name, sha in sorted(found["model"].items())]
        tokens = [_split_text(store, split) for split in found["shards"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(
            f"{store.path} lacks what the page names ({error!r}); delete it and run the rule "
            "extract_activations again."
        ) from None
    sizes = f"{params.n_latents:,} latents, at most {params.k} active per token"
    trained = f"{params.n_tokens:,} tokens per training, {params.batch_tokens:,} per step"
    seeds = [f"{_listed(source.seeds)} for every arm"]
    if source.more_seeds:
        seeds.append(f"{_listed(source.more_seeds)} for some arms")
    texts = [source.text, *([f"{source.transfer} (transfer)"] if source.transfer else [])]
    return [
        ("Language model", [source.model, *weights]),
        ("Hook point", [place, f"{store.d_model} dimensions"]),
        ("Text", [*texts, windows, *tokens]),
        ("Autoencoder", [sizes, f"factor vectors of {params.d_embed} dimensions", trained]),
        ("Seeds", seeds),
    ]


def _split_text(store: ActivationStore, split: str) -> str:
    n_windows = sum(int(shard["n_windows"]) for shard in store.manifest["shards"][split])
    return f"{split}: {store.n_tokens(split):,} tokens in {n_windows:,} windows"


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split()]
    except ValueError:
        raise ParamsError(
            f"--seeds {text!r:.60}: expected whole numbers, separated by blanks."
        ) from None


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _gates(table: Frame) -> list[dict[str, Any]]:
    """Rows of the table of health gates."""
    return [
        {
            "gate": row["gate"],
            "arm": "language model" if is_missing(row["arm"]) else row["arm"],
            "value": with_unit(row["value"], row["unit"]),
            "bound": bound_text(row),
            "passed": row["passed"],
            "look": {YES: "good", NO: "bad"}.get(row["passed"], "open"),
        }
        for row in table.to_dict("records")
    ]


def _drawings(paths: Sequence[Path], folder: str, lineage: Lineage) -> list[Drawing]:
    unknown = sorted({path.stem for path in paths} - set(CAPTIONS))
    if unknown:
        raise ParamsError(f"--drawings {unknown[0]}: no such figure; known: {', '.join(CAPTIONS)}.")
    found: list[Drawing] = []
    for path in paths:
        table = PurePosixPath(locate(path)[1]).with_suffix(".csv").as_posix()
        caption = CAPTIONS[path.stem]
        drawing = inline_svg(path, path.stem, caption)
        found.append(Drawing(path.stem, caption, drawing, folder, lineage.origin(table)))
    return found


def _chapters(explanations: Path) -> dict[str, list[tuple[str, Section]]]:
    """Sections of the explanations with their anchors, by chapter; links to sections stay on the page."""
    try:
        text = explanations.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        raise ArtifactError(
            f"{explanations} is missing or is not a text; run the rule report_explanations."
        ) from None
    found: dict[str, list[tuple[str, Section]]] = {}
    for section in sections(text, lambda href: f"#why-{href[1:]}" if href[:1] == "#" else href):
        found.setdefault(section.chapter, []).append((anchor_of(section.title), section))
    return found
