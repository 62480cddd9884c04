"""``kurswerk fetch`` into a real database, from a local server that fails, and killed in between."""

import json
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from alphavantage_server import PREMIUM, AlphaVantageServer, document
from kurswerk.bootstrap.stores import open_stores
from running_service import data_directory, served
from running_service import run as run_once
from true_stock import NYSE, TrueStock
from waiting import until

SYMBOLS = ("AAPL", "MSFT", "GOOGL")
PERIOD = ("--start", "2023-01-03", "--end", "2023-03-31")


@pytest.fixture
def server(monkeypatch):
    stocks = [TrueStock(one) for one in (*SYMBOLS[1:], "BRK.B", "TSCO.LON")]
    split = TrueStock("AAPL", splits={date(2023, 2, 6): 7.0}, dividends={date(2023, 2, 15): 0.3})
    with AlphaVantageServer(split, *stocks).running() as found:
        monkeypatch.setenv("KURSWERK_ALPHAVANTAGE_KEY", "k3y")
        monkeypatch.setenv("KURSWERK_ALPHAVANTAGE_URL", found.url)
        monkeypatch.setenv("KURSWERK_ALPHAVANTAGE_CALLS_PER_MINUTE", "6000")
        yield found


def closes(database, symbol: str) -> np.ndarray:
    return open_stores(database).markets["stocks"].load_panel(["close_price"], mints=[symbol]).values[0]


def test_missing_bars_and_actions_are_fetched_and_what_fails_is_reported_by_symbol(run, database, server):
    server.without = {"2023-02-01"}
    server.failures = [document({}, 500)]
    done = run("fetch", *SYMBOLS, "NOPE", "--source", "alphavantage", *PERIOD, "--json")
    assert done.code == 1
    found = {one["symbol"]: one for one in done.json["symbols"]}
    days = len(server.stocks["AAPL"].days)
    assert [found[one]["inserted"] for one in SYMBOLS] == [days - 1] * 3
    assert (found["AAPL"]["actions"], found["AAPL"]["missing"], found["AAPL"]["error"]) == (2, 1, None)
    assert found["NOPE"]["status"] == "failed"
    assert "does not know NOPE" in found["NOPE"]["error"]
    server.without = set()
    (report,) = run("fetch", "AAPL", "--source", "alphavantage", *PERIOD, "--json").json["symbols"]
    assert (report["status"], report["inserted"], report["revised"]) == ("stored", 1, 0)
    done = run("fetch", *SYMBOLS, "--source", "alphavantage", *PERIOD, "--json")
    assert (done.code, [one["inserted"] for one in done.json["symbols"]]) == (0, [0, 1, 1])
    asked = len(server.asked)
    shown = run("fetch", *SYMBOLS, "--source", "alphavantage", *PERIOD)
    assert (shown.code, shown.out.count("up to date"), len(server.asked)) == (0, 3, asked)
    true = server.stocks["AAPL"]
    assert closes(database, "AAPL") == pytest.approx(
        np.where(true.days < np.datetime64("2023-02-06"), 1, 7) * true.closes
    )
    with database.connection() as connection:
        row = connection.execute(
            "SELECT exchange, currency, name, price_basis FROM stocks JOIN stock_series USING (symbol)"
            " WHERE symbol = 'AAPL'"
        ).fetchone()
    assert row == ("XNYS", "USD", "AAPL Corp.", "raw")


def test_bars_of_an_hour_end_with_their_session_and_keys_with_dots_work(run, database, server):
    request = ("--interval", "1h", "--start", "2023-02-01", "--end", "2023-02-28")
    (report,) = run("fetch", "BRK.B", "--source", "alphavantage", *request, "--json").json["symbols"]
    days = server.stocks["BRK.B"].days
    february = days[(days >= np.datetime64("2023-02-01")) & (days < np.datetime64("2023-03-01"))]
    # The last sessions of January are asked for too, and Alpha Vantage gives whole months.
    outside = 2 * np.count_nonzero(days < np.datetime64("2023-03-01"))
    assert (report["inserted"], report["outside"], report["missing"]) == (7 * len(february), outside, 0)
    panel = open_stores(database).markets["stocks_1h"].load_panel(["close_price"], mints=["BRK.B"])
    assert set(NYSE.closes(february)) < set(panel.timestamps)


def test_a_wrong_currency_a_plan_that_does_not_suffice_and_a_missing_key_are_reported(run, server, monkeypatch):
    run("fetch", "MSFT", "--source", "alphavantage", "--start", "2023-03-01", "--end", "2023-03-31")
    server.failures = [document(PREMIUM)]
    done = run("fetch", "GOOGL", "--source", "alphavantage", *PERIOD)
    assert (done.code, "GOOGL: alphavantage does not give this" in done.err) == (1, True)
    shown = run("fetch", "TSCO.LON", "--source", "alphavantage", *PERIOD, "--json")
    assert [one["status"] for one in shown.json["symbols"]] == ["stored"]
    monkeypatch.delenv("KURSWERK_ALPHAVANTAGE_KEY")
    done = run("fetch", "MSFT", "--source", "alphavantage")
    assert (done.code, "KURSWERK_ALPHAVANTAGE_KEY" in done.err) == (1, True)


def test_a_fetch_that_was_killed_goes_on_where_it_was(database, server, tmp_path):
    reached, going_on = threading.Event(), threading.Event()

    def wait_at_the_last(query: dict[str, str]) -> None:
        if query.get("symbol") == SYMBOLS[-1] and not going_on.is_set():
            reached.set()
            going_on.wait(120)

    server.before_answer = wait_at_the_last
    command = [sys.executable, "-m", "kurswerk", "fetch", *SYMBOLS, "--source", "alphavantage", *PERIOD, "--json"]
    settings = {"KURSWERK_DATABASE_URL": database.url, "KURSWERK_DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin",
                "KURSWERK_ALPHAVANTAGE_KEY": "k3y", "KURSWERK_ALPHAVANTAGE_URL": server.url,
                "KURSWERK_ALPHAVANTAGE_CALLS_PER_MINUTE": "6000"}  # fmt: skip
    with subprocess.Popen(command, env=settings, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert reached.wait(120)
        process.kill()
        process.wait()
    going_on.set()
    server.asked.clear()
    done = subprocess.run(command, env=settings, cwd=tmp_path, capture_output=True, check=True)
    reports = json.loads(done.stdout)["symbols"]
    assert [one["status"] for one in reports] == ["up to date", "up to date", "stored"]
    assert {one.get("symbol", one.get("keywords")) for one in server.asked} == {SYMBOLS[-1]}
    assert Path(tmp_path, "cache", "answers").is_dir()


def test_a_collector_of_stocks_fetches_what_is_missing_and_ends_in_good_order(database, server):
    settings = {"KURSWERK_DATABASE_URL": database.url, "KURSWERK_ALPHAVANTAGE_KEY": "k3y",
                "KURSWERK_ALPHAVANTAGE_URL": server.url, "KURSWERK_ALPHAVANTAGE_CALLS_PER_MINUTE": "6000"}  # fmt: skip
    fetched = {"source": "alphavantage", "symbol": "MSFT"}
    query = "SELECT count(*) FROM historical_stock_data WHERE source = %(source)s AND symbol = %(symbol)s"

    def bars() -> int:
        with database.connection() as connection:
            row = connection.execute(query, fetched).fetchone()
        return row[0] if row else 0

    with (
        data_directory() as folder,
        served(folder, "collect", "stocks", "MSFT", "--source", "alphavantage", **settings) as running,
    ):
        until(lambda: bars() == len(server.stocks["MSFT"].days))
        running.stop()
        overview = json.loads(run_once(folder, "collect", "status", "--json", **settings).stdout)
    (report,) = overview["collectors"]
    assert (report["name"], report["stopped"], report["coins"]) == ("stocks", True, 1)
