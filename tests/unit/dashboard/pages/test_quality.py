"""The page on the quality of market data: findings with their places, in both languages."""

import json

from kurswerk.core.errors import InvalidInputError
from kurswerk.quality import Example, Finding, QualityReport
from memory_dashboard import Browser, services_over

FINDINGS = (
    Finding("gaps", "warning", 2, 1, (Example("COIN1", 1_704_067_200_000_000, {"missing rows": 3}),)),
    Finding("survivorship", "note", 0, 0),
    Finding("broken_candles", "error", 1, 1, (Example("X", None, {"high": 0.5}),), "quarantined", "high is below low"),
)


def test_findings_and_their_places_are_shown(panel, registry):
    checked = []

    def quality(market: str) -> QualityReport:
        checked.append(market)
        return QualityReport(market, 600, 3, 0, 1, FINDINGS)

    browser = Browser(services_over(panel, registry, quality=quality))
    page = browser.open("/data-quality")
    assert checked == ["coins"]
    for text in ("Gaps", "missing rows 3", "2024-01-01T00:00:00Z", "high is below low", "Nothing found", "quarantined"):
        assert text in page
    assert "/dashboard/data-quality?market=coins" in browser.open("/data")


def test_a_market_that_is_too_large_is_no_error_of_the_page(panel, registry):
    def quality(market: str) -> QualityReport:
        raise InvalidInputError("quality.too_many_rows", market=market, count=6_000_000, most=5_000_000)

    page = Browser(services_over(panel, registry, quality=quality)).open("/data-quality")
    assert "kurswerk data check" in json.dumps(page)
