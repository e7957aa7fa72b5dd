"""SVG drawings inside an HTML page: known elements and attributes only, ids that are unique in the page.

Must not: draw, or let anything through that a browser would load or execute.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from markupsafe import Markup, escape

from fispace.errors import ArtifactError

TAGS = frozenset(
    ("circle", "clipPath", "defs", "ellipse", "g", "line", "path", "polygon", "polyline", "rect", "svg",
     "text", "tspan", "use")
)  # fmt: skip
"""Elements that are kept; any other is left out with all that it holds, such as scripts and metadata."""
ATTRIBUTES = frozenset(
    ("clip-path", "cx", "cy", "d", "dx", "dy", "fill", "height", "id", "opacity", "points", "r",
     "rx", "ry", "stroke", "style", "text-anchor", "transform", "viewBox", "width", "x", "x1", "x2", "y",
     "y1", "y2", "clipPathUnits", "preserveAspectRatio")
)  # fmt: skip
LINK = "href"
LOCAL = re.compile(r"url\(#([^)]+)\)")
FOREIGN = re.compile(r"url\((?!#)|@import|expression|javascript:", re.IGNORECASE)


def inline_svg(path: Path, name: str, label: str) -> Markup:
    """The drawing as an `svg` element, described by `label`; its ids begin with `name`.

    Raises:
        ArtifactError: if the file is missing, or is no SVG.
    """
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist; run the rule that draws it.") from None
    except ElementTree.ParseError as error:
        raise ArtifactError(
            f"{path} is not readable as SVG ({error}). It is truncated or was edited; delete it and run "
            "the workflow again."
        ) from None
    if _local(root.tag) != "svg":
        raise ArtifactError(f"{path} is not an SVG drawing: its root is {_local(root.tag)!r:.60}.")
    inside = "".join(_children(root, name))
    attributes = _attributes(root, name, leave_out=("width", "height"))
    text = f'<svg role="img" aria-label="{escape(label)}"{attributes}>{inside}</svg>'
    return Markup(text)


def _children(element: ElementTree.Element, name: str) -> Iterator[str]:
    yield str(escape(element.text or "")) if _holds_text(element) else ""
    for child in element:
        tag = _local(child.tag)
        if tag in TAGS:
            inside = "".join(_children(child, name))
            yield f"<{tag}{_attributes(child, name)}>{inside}</{tag}>"
        if _holds_text(element):
            yield str(escape(child.tail or ""))


def _holds_text(element: ElementTree.Element) -> bool:
    return _local(element.tag) in ("text", "tspan")


def _attributes(element: ElementTree.Element, name: str, leave_out: tuple[str, ...] = ()) -> str:
    found: list[str] = []
    for key, value in element.attrib.items():
        attribute = _local(key)
        if attribute == LINK and value.startswith("#"):
            found.append(f' href="#{escape(_unique(value[1:], name))}"')
        elif attribute in ATTRIBUTES and attribute not in leave_out and not FOREIGN.search(value):
            own = _unique(value, name) if attribute == "id" else _with_own_links(value, name)
            found.append(f' {attribute}="{escape(own)}"')
    return "".join(found)


def _with_own_links(value: str, name: str) -> str:
    return LOCAL.sub(lambda link: f"url(#{_unique(link[1], name)})", value)


def _unique(identifier: str, name: str) -> str:
    return f"{name}-{identifier}"


def _local(tag: object) -> str:
    """Name without its namespace; empty for comments and processing instructions."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
