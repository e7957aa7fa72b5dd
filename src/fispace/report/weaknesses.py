"""The published study: its paper, the author's scripts, and its weaknesses, from workflow/weaknesses.yaml.

It explains codes such as W2 and locations such as p15:843. Must not: know what a weakness moves.
"""

import re
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field, model_validator

from fispace.errors import ParamsError
from fispace.report.markdown import ABSENT, table_line
from fispace.study.config.base import Entry, ListOf, NonEmpty, Refusal
from fispace.study.strict_yaml import read_yaml_mapping

LOCATION = re.compile(r"\b(p[0-9]{1,2}[a-z]?):([0-9]+)(?:-([0-9]+))?\b")
"""Lines of a script, as in p15:843 or p15:843-846."""
CODE = re.compile(r"\bW[0-9]{1,2}\b")
"""A weakness, as in W2."""
Location = Annotated[str, Field(pattern=f"^{LOCATION.pattern}$")]
Url = Annotated[str, Field(pattern="^https://[^ ]+$")]
Code = Annotated[str, Field(pattern=f"^{CODE.pattern}$")]


class Paper(Entry):
    """The paper."""

    title: NonEmpty
    """Its title."""
    author: NonEmpty
    """Who wrote it."""
    url: Url
    """Where it can be read."""


class Repository(Entry):
    """The author's public code, at the commit that locations refer to."""

    url: Url
    """Where it is published."""
    commit: Annotated[str, Field(pattern="^[0-9a-f]{40}$")]
    """Commit whose lines the locations count."""
    folder: NonEmpty
    """Folder of the scripts."""


class Script(Entry):
    """One script of the author."""

    file: NonEmpty
    """Its name in the folder."""
    lines: Annotated[int, Field(ge=1)]
    """Its number of lines."""
    does: NonEmpty
    """What it computes."""


class Weakness(Entry):
    """One weakness of the published study, and what this study does instead."""

    what: NonEmpty
    """The weakness."""
    where: ListOf[Location]
    """Lines of the author's scripts; empty if the weakness is in no line."""
    here: NonEmpty
    """What this study does instead."""
    switches: Annotated[dict[str, NonEmpty], Field(default_factory=dict)]
    """How the audit measures with the weakness, by the switch of the audit."""
    training: Annotated[ListOf[str], Field(default=())]
    """Parameters of training that bring the weakness back if a switch of the audit changes them."""


class ScriptLines(NamedTuple):
    """Lines of a script, and their URL."""

    script: Script
    first: int
    last: int
    url: str


class PublishedStudy(Entry):
    """The file of weaknesses."""

    paper: Paper
    """The paper."""
    code: Repository
    """The author's public code."""
    scripts: dict[str, Script]
    """Scripts by the key that locations use."""
    weaknesses: dict[Code, Weakness]
    """Weaknesses by their code, W1 to W22."""

    def lines_at(self, location: str) -> ScriptLines:
        """The lines that a location such as p15:843 stands for.

        Raises:
            LookupError: if it is no location, or there is no such script or line.
        """
        found = LOCATION.fullmatch(location)
        if found is None or found[1] not in self.scripts:
            raise LookupError(f"{location} names no script; there are {', '.join(self.scripts)}")
        script, first = self.scripts[found[1]], int(found[2])
        last = int(found[3] or first)
        if not 1 <= first <= last <= script.lines:
            raise LookupError(f"{location}: {script.file} has {script.lines} lines")
        lines = f"#L{first}" if first == last else f"#L{first}-L{last}"
        url = f"{self.code.url}/blob/{self.code.commit}/{self.code.folder}/{script.file}{lines}"
        return ScriptLines(script, first, last, url)

    @model_validator(mode="after")
    def _locations_exist(self) -> "PublishedStudy":
        for code, weakness in self.weaknesses.items():
            for location in weakness.where:
                try:
                    self.lines_at(location)
                except LookupError as error:
                    raise Refusal(("weaknesses", code, "where"), str(error)) from None
        return self


def read_published_study(path: Path) -> PublishedStudy:
    """The published study, from its file.

    Raises:
        ParamsError: if the file is missing, not plain YAML, or does not hold what it must.
    """
    content = read_yaml_mapping(path)
    try:
        return PublishedStudy.checked(content)
    except Refusal as refusal:
        raise ParamsError(f"{path}: {refusal}") from None


def weakness_table(study: PublishedStudy) -> list[str]:
    """Lines of a Markdown table of the weaknesses, with links to the author's lines."""
    rows = [table_line(["code", "weakness", "where", "here"]), table_line(["---"] * 4)]
    for code, of in study.weaknesses.items():
        where = ", ".join(f"[{location}]({study.lines_at(location).url})" for location in of.where)
        rows.append(table_line([code, of.what, where or ABSENT, of.here]))
    return rows


def script_table(study: PublishedStudy) -> list[str]:
    """Lines of a Markdown table of the author's scripts, by the key that locations use."""
    folder = f"{study.code.url}/blob/{study.code.commit}/{study.code.folder}"
    rows = [table_line(["key", "script", "what it does"]), table_line(["---"] * 3)]
    for key, script in study.scripts.items():
        rows.append(table_line([key, f"[`{script.file}`]({folder}/{script.file})", script.does]))
    return rows


def sources(study: PublishedStudy) -> str:
    """One sentence that says where paper and code are."""
    paper, code = study.paper, study.code
    return (
        f"The paper: {paper.author}, [*{paper.title}*]({paper.url}). Its code: [{code.url}]({code.url}), "
        f"folder `{code.folder}`, commit `{code.commit[:7]}`. A location such as p15:843 is line 843 of "
        "the author's script of part 15."
    )
