"""HTML pages from the templates in `assets/`: self-contained, without network, every value escaped.

A page holds its style and its script, and a content security policy that names the hash of this script. A
text that is mistaken for markup could therefore neither load nor execute anything. Must not: know what a
page is about.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

ASSETS = Path(__file__).parent / "assets"
"""Templates, styles and scripts. `fispace.provenance.code_digest` counts them as code of this module."""
SEPARATORS = (",", ":")


def rendered(
    template: str, *, styles: Sequence[str], script: str, shards: bool = False, **values: Any
) -> str:
    """The page that the template makes of the values; equal values give equal text.

    Values are escaped unless they are `Markup`, which only `inline_svg` and `markdown_html` make.

    Args:
        template: file in `assets/`.
        styles: style sheets in `assets/`, joined in this order.
        script: script in `assets/`.
        shards: whether the page also loads scripts from the folder beside it.
        values: what the template names.

    Raises:
        jinja2.UndefinedError: if the template names a value that is not given.
    """
    code = _asset(script)
    environment = Environment(
        loader=FileSystemLoader(ASSETS), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    return environment.get_template(template).render(
        values,
        policy=content_policy(code, shards=shards),
        style=Markup("\n".join(map(_asset, styles))),
        script=Markup(code),
    )


def content_policy(script: str, *, shards: bool) -> str:
    """Content security policy: no network, and no script but this one and, if asked, files beside the page."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    beside = "'self' file: " if shards else ""
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        f"form-action 'none'; script-src {beside}'sha256-{digest}'"
    )


def script_json(value: Any) -> str:
    """The value as JSON that is safe in a script, inside a page or in a file of its own.

    `<` is written as an escape, so no text can end the script element.

    Raises:
        ValueError: if the value holds NaN or an infinity.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=SEPARATORS)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")
