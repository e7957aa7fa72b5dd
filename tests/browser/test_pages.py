"""The pages in a real Chromium: no errors; search, links and pairs work; text of the corpus stays text."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser.chromium import PROGRAM, Chromium
from browser.small_run import HOSTILE, latents_of, read_value, windows_of

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no Chromium here: Debian's package `chromium` has one"
)
SHOWN = "document.documentElement.dataset.shown"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with Chromium() as browser:
        yield browser


def show(chromium: Chromium, pages: Path, fragment: str) -> None:
    chromium.open(pages / "index.html", fragment)
    chromium.wait(f"{SHOWN} === {fragment!r}")


def listed(chromium: Chromium) -> list[int]:
    rows = "[...document.querySelectorAll('#rows tr')].map((row) => Number(row.dataset.latent))"
    return chromium.value(rows)


def is_clean(chromium: Chromium) -> bool:
    """Whether the page raised nothing, ran nothing of the corpus, and read files of this machine alone."""
    assert chromium.errors == []
    assert chromium.value(
        "window.hacked === undefined && document.querySelectorAll('img, b').length === 0"
    )
    return all(url.startswith(("file:", "about:")) for url in chromium.requests)


def test_a_link_opens_a_latent_with_its_hostile_texts_as_text(chromium, pages):
    windows, index = windows_of(pages), read_value(pages, "index")
    for latent, record in enumerate(latents_of(pages)):
        if latent % 6 or not record["top"]:
            continue
        show(chromium, pages, f"#latent={latent}")
        assert chromium.text("#detail h2") == f"Latent {latent}"
        texts = "[...document.querySelectorAll('.context .text')].map((one) => one.textContent)"
        expected = [
            "".join(windows[window][begin : begin + length])
            for window, begin, length, *_ in record["top"]
        ]
        assert chromium.value(texts)[: len(expected)] == expected
        assert str(index["fired"][latent]) in chromium.text("dl.numbers")
    assert any(HOSTILE[0] in text for window in windows for text in window)
    assert is_clean(chromium)


def test_the_list_holds_the_active_latents_and_sorts(chromium, pages):
    show(chromium, pages, "#latent=0")
    fired = read_value(pages, "index")["fired"]
    active = [number for number, count in enumerate(fired) if count]
    assert listed(chromium) == sorted(active, key=lambda number: (-fired[number], number))
    chromium.value("(sort.value = 'number', sort.dispatchEvent(new Event('change')))")
    assert listed(chromium) == active
    chromium.click("#silent")
    assert listed(chromium) == list(range(len(fired)))


def test_a_number_typed_into_the_search_opens_the_latent(chromium, pages):
    show(chromium, pages, "#latent=0")
    chromium.type("#query", "7")
    chromium.click("#search button")
    chromium.wait(f"{SHOWN} === '#latent=7'")
    assert chromium.text("#detail h2") == "Latent 7"
    assert is_clean(chromium)


@pytest.mark.parametrize("word", ["w3", *HOSTILE[:3]])
def test_a_search_for_a_token_finds_the_latents_that_peak_on_it_or_promote_it(
    chromium, pages, word
):
    windows, tokens = windows_of(pages), read_value(pages, "tokens")
    expected = set()
    for latent, record in enumerate(latents_of(pages)):
        contexts = [*record["top"], *(one[1:] for one in record["at"])]
        on = {windows[w][begin + place].strip() for w, begin, _, place, _ in contexts}
        on |= {tokens[name].strip() for name, _ in record.get("up", [])}
        if word in on:
            expected.add(latent)
    show(chromium, pages, "#latent=0")
    chromium.type("#query", word)
    chromium.click("#search button")
    chromium.wait(f"{SHOWN}.startsWith('#search=token:')")
    assert set(listed(chromium)) == expected != set()
    assert is_clean(chromium)


def test_a_search_for_a_text_finds_the_latents_whose_contexts_hold_it(chromium, pages):
    windows = windows_of(pages)
    wanted = "".join(windows[5][4:6]).upper()
    expected = {
        latent
        for latent, record in enumerate(latents_of(pages))
        for window, begin, length, *_ in (*record["top"], *(one[1:] for one in record["at"]))
        if window == 5 and begin <= 5 and begin + length > 4
    }
    show(chromium, pages, "#latent=0")
    chromium.value("mode.value = 'text'")
    chromium.type("#query", wanted.strip())
    chromium.click("#search button")
    chromium.wait(f"{SHOWN}.startsWith('#search=text:')")
    assert set(listed(chromium)) == expected != set()
    assert is_clean(chromium)


def test_a_pair_opens_from_the_page_of_its_latent(chromium, pages):
    pair = read_value(pages, "pairs")[0]
    first, second = pair["latents"]
    show(chromium, pages, f"#latent={first}")
    chromium.click(f'a[href="#pair={first},{second}"]')
    chromium.wait(f"{SHOWN} === '#pair={first},{second}'")
    assert chromium.text("#detail h2") == f"Pair {first} × {second}"
    assert chromium.value("document.querySelectorAll('.context .place').length") == len(
        pair["contexts"]
    )
    assert is_clean(chromium)


@pytest.mark.parametrize(
    ("fragment", "said"),
    [("#latent=48", "no latent 48"), ("#pair=1,1", "not among"), ("#search=token:%E0", "damaged")],
)
def test_an_address_that_leads_nowhere_is_said_to(chromium, pages, fragment, said):
    show(chromium, pages, fragment)
    assert said in chromium.text("#detail")
    assert is_clean(chromium)


def test_a_folder_without_its_data_is_named_in_words(chromium, pages, tmp_path):
    shutil.copy(pages / "index.html", tmp_path)
    chromium.open(tmp_path / "index.html")
    chromium.wait("document.querySelector('#detail .bad')")
    assert "The file data/index.js is missing" in chromium.text("#detail")


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(chromium, pages, width):
    chromium.resize(width, 844)
    show(chromium, pages, "#latent=0")
    assert chromium.value("document.documentElement.scrollWidth") <= width
    chromium.resize(1280, 844)
