"""What MkDocs cannot do by itself: lists of pages, linked files, docstrings as they are laid out.

Pages link to files of the repository by relative paths, as any viewer of the repository follows them; the
site gets copies of these files. Must not: hold text of a page.
"""

import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))  # the package as it stands here

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

from fispace.study.chapters import CHAPTERS

PACKAGE = ROOT / "src/fispace"
METHOD, REFERENCE, DOCS, COPIES = "method", "reference", "docs/", "repository/"
LINK = re.compile(r"(?<=\]\()(?P<path>[^)\s:#]+)(?P<anchor>#[^)\s]*)?(?=\))")
ALIGNED = re.compile(r"\S {2,}\S")
"""A line whose words are laid out in columns."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace the entries `method` and `reference` of the navigation by one page a chapter, or a package."""
    pages = {
        folder: [{name: f"{folder}/{name}.md"} for name in names]
        for folder, names in ((METHOD, CHAPTERS), (REFERENCE, packages()))
    }
    assert config.nav is not None
    config.nav = [
        {title: pages.get(target, target)}
        for entry in config.nav
        for title, target in entry.items()
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the reference, and copies of what pages link to, pages linked by them included."""
    pages = [(file.src_uri, file.content_string) for file in files.documentation_pages()]
    for name, modules in packages().items():
        files.append(
            File.generated(config, f"{REFERENCE}/{name}.md", content=page_of(name, modules))
        )
    while pages:
        uri, text = pages.pop()
        for target in linked_files(text, uri):
            copy = site_uri(target)
            if files.get_file_from_path(copy) is not None:
                continue
            source, hidden = str(ROOT / target), InclusionLevel.NOT_IN_NAV
            files.append(File.generated(config, copy, abs_src_path=source, inclusion=hidden))
            if target.endswith(".md"):
                pages.append((copy, (ROOT / target).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Point links between docs/ and the rest of the repository to the site's copies."""
    uri = page.file.src_uri

    def moved(link: re.Match[str]) -> str:
        target = posixpath.relpath(site_uri(target_of(link["path"], uri)), posixpath.dirname(uri))
        return f"{target}{link['anchor'] or ''}"

    return LINK.sub(moved, markdown)


def packages() -> dict[str, list[str]]:
    """Modules of each page of the reference: one page a package, and one for what stands alone."""
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[-1] in ("__init__", "__main__"):
            continue
        name = ".".join(parts[:2] if parts[0] == "chapters" else parts[:-1]) or "fispace"
        found.setdefault(name.split(".config")[0], []).append(".".join(("fispace", *parts)))
    return dict(sorted(found.items()))


def page_of(name: str, modules: list[str]) -> str:
    """Markdown of one page of the reference."""
    title = name if name == "fispace" else f"fispace.{name}"
    lines = [f"# {title}", ""]
    for module in modules:
        lines += [f"## {module.removeprefix(title + '.')}", "", f"::: {module}", ""]
        lines += [
            "    options:",
            "      show_root_heading: false",
            "      show_root_toc_entry: false",
            "",
        ]
    return "\n".join(lines)


def linked_files(markdown: str, uri: str) -> Iterator[str]:
    """Files outside docs/ that a page links to, from the root of the repository.

    Raises:
        PluginError: if there is no such file.
    """
    for link in LINK.finditer(markdown):
        target = target_of(link["path"], uri)
        if target.startswith(DOCS):
            continue
        if not (ROOT / target).is_file():
            raise PluginError(f"{home_of(uri)} links to {target}, which is not a file here.")
        yield target


def target_of(link: str, uri: str) -> str:
    """Where a page's relative link leads, from the root of the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(home_of(uri)), link))


def home_of(uri: str) -> str:
    """Path of a page in the repository, by its path in the site."""
    return uri.removeprefix(COPIES) if uri.startswith(COPIES) else DOCS + uri


def site_uri(path: str) -> str:
    """The inverse of `home_of`."""
    return path.removeprefix(DOCS) if path.startswith(DOCS) else COPIES + path


class LaidOut(griffe.Extension):
    """Shows paragraphs of a docstring that are laid out in columns as they are."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Put such paragraphs between fences."""
        if obj.docstring is not None:
            paragraphs = obj.docstring.value.split("\n\n")
            obj.docstring.value = "\n\n".join(map(fenced, paragraphs))


def fenced(paragraph: str) -> str:
    """The paragraph as code, where most of its lines have columns."""
    lines = paragraph.splitlines()
    n_aligned = sum(ALIGNED.search(line.strip()) is not None for line in lines)
    is_section = bool(lines) and lines[0].endswith(":") and not lines[0].startswith(" ")
    if is_section or 2 * n_aligned <= len(lines):
        return paragraph
    return "\n".join(["```text", *lines, "```"])
