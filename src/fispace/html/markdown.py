"""Markdown as HTML for pages: HTML inside the Markdown is shown as text, and no script can be linked.

Must not: know what a text is about.
"""

from collections.abc import Callable
from typing import NamedTuple

from markdown_it import MarkdownIt
from markupsafe import Markup


class Section(NamedTuple):
    """A heading of the third level, and what stands below it."""

    chapter: str
    """Text of the heading of the second level above it."""
    title: str
    body: Markup


def markdown_html(text: str) -> Markup:
    """The Markdown as HTML."""
    return Markup(_parser().render(text))


def sections(text: str, link: Callable[[str], str]) -> list[Section]:
    """The sections of the third level of a Markdown text, in order; `link` changes the target of every link."""
    parser = _parser()
    tokens = parser.parse(text)
    found: list[Section] = []
    chapter, title, begin = "", "", 0
    for place, token in enumerate(tokens):
        if token.type == "inline":
            for child in token.children or ():
                if child.type == "link_open":
                    child.attrSet("href", link(str(child.attrGet("href"))))
        if token.type != "heading_open":
            continue
        if title:
            found.append(Section(chapter, title, _body(parser, tokens[begin:place])))
        heading = tokens[place + 1].content
        chapter = heading if token.tag == "h2" else chapter
        title, begin = (heading if token.tag == "h3" else ""), place + 3
    if title:
        found.append(Section(chapter, title, _body(parser, tokens[begin:])))
    return found


def _body(parser: MarkdownIt, tokens: list) -> Markup:  # pyright: ignore[reportMissingTypeArgument]
    return Markup(parser.renderer.render(tokens, parser.options, {}))


def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")
