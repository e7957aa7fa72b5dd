"""The report page in a real Chromium: no errors, sorting, filtering, explanations, print and phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser.chromium import PROGRAM, Chromium
from report.test_html_page import HOSTILE, made, page_of, write_claims

from fispace.report.tables import LEDGER
from fispace.store.tables import read_csv, write_csv

__all__ = ["made"]
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no Chromium here: Debian's package `chromium` has one"
)


@pytest.fixture
def chromium() -> Iterator[Chromium]:
    with Chromium() as browser:
        yield browser


def rows(chromium: Chromium) -> list[str]:
    found = "[...document.querySelectorAll('table.ledger tbody tr')].filter((row) => !row.hidden)"
    return chromium.value(f"{found}.map((row) => row.cells[0].dataset.value)")


def test_the_ledger_sorts_filters_and_explains_without_an_error(
    chromium: Chromium, made: Path
) -> None:
    write_claims(made, remark=HOSTILE)
    ledger = read_csv(made / "report/claims.csv", LEDGER)
    ledger["verdict"] = ["reproduced", "undecided"]
    write_csv(made / "report/claims.csv", ledger, LEDGER)
    page_of(made)
    chromium.open(made / "report/index.html")
    assert rows(chromium) == ["N5.gain", "N5.other_gain"]
    for order in (["N5.gain", "N5.other_gain"], ["N5.other_gain", "N5.gain"]):
        chromium.click("table.ledger th button")
        assert rows(chromium) == order
    chromium.type("#filter-text", "other_gain")
    assert rows(chromium) == ["N5.other_gain"]
    chromium.type("#filter-text", "e")
    verdict = "document.getElementById('filter-verdict')"
    chromium.value(
        f"({verdict}.value = 'reproduced', {verdict}.dispatchEvent(new Event('change')))"
    )
    assert rows(chromium) == ["N5.gain"] and "1 of 2 rows" in chromium.text("#filter-count")
    chromium.click('table.ledger a[href="#why-n5gain"]')
    chromium.wait("document.getElementById('why-n5gain').open")
    assert chromium.errors == [] and all(
        url.startswith(("file:", "about:")) for url in chromium.requests
    )
    assert chromium.value("document.querySelectorAll('script').length") == 1
    chromium.resize(390, 844)
    assert chromium.value("document.documentElement.scrollWidth") <= 390
    chromium.call("Emulation.setEmulatedMedia", media="print")
    assert chromium.value("getComputedStyle(document.getElementById('why')).display") == "none"
