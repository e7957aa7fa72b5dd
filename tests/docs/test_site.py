"""The built site: complete, strict about its links, and independent of every other host."""

import html
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""What a browser loads with a page, unlike what a reader may follow."""
ELSEWHERE = re.compile(r"(https?:)?//")


class Page(HTMLParser):
    """References and anchors of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.followed: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = {name: value for name, value in attrs if value is not None}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if LOADED.get(tag) in values:
            self.loaded.append(values[LOADED[tag]])
        if tag == "a" and "href" in values:
            self.followed.append(values["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(folder)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, text=True, check=False, capture_output=True, env=env, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


def test_no_page_loads_anything_from_another_host(site, pages):
    loaded = [(path.name, place) for path, page in pages.items() for place in page.loaded]
    sheets = [
        (path.name, place)
        for path in site.rglob("*.css")
        for place in re.findall(r"(?:url\(|@import )[\"']?([^\"')]+)", path.read_text())
    ]
    assert len(loaded) > 10 * len(pages) / 2 and sheets
    assert [found for found in loaded + sheets if ELSEWHERE.match(found[1])] == []


def test_whatever_a_page_loads_or_links_to_in_the_site_is_there(pages):
    missing = []
    for path, page in pages.items():
        if path.name == "404.html":  # its links are from the root of a server
            continue
        for place in page.loaded + page.followed:
            parts = urlsplit(place)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                missing.append((path.name, place))
            elif parts.fragment and target in pages:
                anchors = pages[target].anchors | {"__search", "__toc"}
                if unquote(parts.fragment) not in anchors:
                    missing.append((path.name, place))
    assert missing == []


def test_what_a_style_sheet_names_is_there(site):
    for sheet in site.rglob("*.css"):
        for place in re.findall(r"url\([\"']?([^\"')]+)", sheet.read_text(encoding="utf-8")):
            if not place.startswith("data:"):
                assert (sheet.parent / place.split("#")[0].split("?")[0]).is_file(), place


def test_every_module_with_something_public_has_its_place_in_the_reference(site, pages):
    found = set()
    for path, page in pages.items():
        if path.parent == site / "reference":
            found |= {anchor for anchor in page.anchors if anchor.startswith("fispace.")}
    for path in (ROOT / "src/fispace").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        public = re.findall(r"^(?:def|class) ([A-Za-z]\w*)", path.read_text(), re.MULTILINE)
        assert {f"{name}.{word}" for word in public} <= found, name


def text_of(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_signatures_show_the_shapes_of_tensors(site):
    text = re.sub(r"\s+", " ", text_of(site / "reference/models.html"))
    assert 'V: Float[Tensor, "n_latents d_embed"]' in text
    assert '-> Float[Tensor, "tokens d_embed"]' in text


def test_columns_of_a_docstring_stay_columns(site):
    text = text_of(site / "reference/chapters.fidelity.html")
    assert re.search(r"^sae_trained +an SAE trained at that k$", text, re.MULTILINE)


def test_the_readme_and_the_full_ledger_are_pages_of_the_site(site):
    for name in ("index", "results/reference/testbed/report/full/summary"):
        assert (site / f"repository/{name}.html").is_file()
