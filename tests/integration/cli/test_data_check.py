"""``kurswerk data check``: what is wrong with real bars, what was done with it, as text, JSON and a page."""

from pathlib import Path

import pytest

from integration.api.api_service import Service
from kurswerk.bootstrap import quality
from kurswerk.bootstrap.stores import open_stores
from kurswerk.core.errors import InvalidInputError

BARS = Path(__file__).parents[4] / "shared" / "data" / "stocks_daily_505_2013_2018.parquet"
# Handed out a part of themselves on that day, by public knowledge: Keysight, Baxalta, PayPal, Columbia Pipeline,
# Fortive, Conduent, Yum China, DXC; Discovery a third class of shares.
SPIN_OFFS = {
    ("A", "2014-11-03"), ("BAX", "2015-07-01"), ("EBAY", "2015-07-20"), ("NI", "2015-07-02"), ("DHR", "2016-07-05"),
    ("XRX", "2017-01-03"), ("YUM", "2016-11-01"), ("HPE", "2017-04-03"), ("DISCA", "2014-08-07"),
}  # fmt: skip


@pytest.mark.skipif(not BARS.exists(), reason=f"{BARS} is not here")
def test_what_is_wrong_with_the_real_file_is_found(run, tmp_path):
    stored = run("ingest", "stocks", BARS, "--price-basis", "split-adjusted:2018-02-07", "--json").json
    assert (stored["rows_read"], stored["inserted"], stored["quarantined"]) == (619_040, 619_017, 23)
    page = tmp_path / "check.html"
    done = run("data", "check", "--market", "stocks", "--examples", 300, "--html", page, "--json")
    assert done.code == 0
    assert (done.json["rows"], done.json["instruments"]) == (619_017, 505)
    found = {(one["check"], one["done"], one["reason"]): one for one in done.json["findings"]}
    kept = {reason: one["count"] for (_, way, reason), one in found.items() if way == "quarantined"}
    assert kept["open_price is missing"] == 11
    assert sum(kept.values()) == 23
    broken = [one for (check, way, _), one in found.items() if (check, way) == ("broken_candles", "quarantined")]
    assert sum(one["count"] for one in broken) == 12
    assert {one["severity"] for one in broken} == {"error"}
    assert {example["instrument"] for one in broken for example in one["examples"]} >= {"AOS", "CHD", "SPG"}
    leaps = found["leaps", "accepted", ""]["examples"]
    assert {(one["instrument"], one["timestamp"][:10]) for one in leaps} >= SPIN_OFFS
    assert found["gaps", "accepted", ""]["count"] > 0
    assert found["repeated_rows", "accepted", ""]["count"] == 277
    assert found["survivorship", "accepted", ""]["examples"][0]["values"]["ended early"] == 0
    assert found["broken_candles", "accepted", ""]["count"] == 0
    text = page.read_text(encoding="utf-8")
    assert "EBAY" in text
    assert "https://" not in text
    spin_offs = tmp_path / "actions.csv"
    spin_offs.write_text("symbol,date,kind,factor\nEBAY,2015-07-20,spin_off,1.75\n", encoding="utf-8")
    run("ingest", "actions", spin_offs)
    again = run("data", "check", "--market", "stocks")
    assert "leaps" in again.out
    assert "EBAY" not in again.out


def test_a_market_without_rows_and_rows_that_cannot_be(run, database, candles, tmp_path, monkeypatch):
    nothing = run("data", "check", "--market", "candles", "--json").json
    assert (nothing["rows"], nothing["first_timestamp"], nothing["findings"]) == (0, None, [])
    assert run("data", "check", "--market", "stocks_1h").code == 1
    assert run("ingest", "candles", candles).code == 0
    assert run("data", "check", "--market", "candles").code == 0
    with database.connection() as connection:
        connection.execute('UPDATE candles SET high = low / 2 WHERE "time" = (SELECT min("time") FROM candles)')
    broken = run("data", "check", "--market", "candles", "--json")
    assert broken.code == 1
    found = {one["check"]: one["count"] for one in broken.json["findings"]}
    assert found["broken_candles"] > 0
    with Service(database).client() as client:
        answered = client.get("/api/data/check", params={"market": "candles", "examples": 10}).json()
        assert answered == broken.json
        assert client.get("/api/data/check", params={"market": "candles", "examples": -1}).status_code == 422
    monkeypatch.setattr(quality, "MOST_ROWS", 10)
    with pytest.raises(InvalidInputError, match="a service checks 10 at most"):
        quality.MarketQuality(open_stores(database).markets, tmp_path).check("candles")
