"""``kurswerk calendar`` over the package's table and one in a data folder."""

import json
import sys
from datetime import date

import numpy as np
import pytest

from kurswerk.bootstrap.sessions import session_table_of
from kurswerk.cli import main
from kurswerk.core.timestamps import HOUR_US
from kurswerk.market.calendar import calendar_of, use_session_table
from kurswerk.market.session_table import SHIPPED_TABLE, Sessions, read_sessions, write_session_table


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run ``kurswerk calendar`` with words; return exit code, stdout and stderr."""
    monkeypatch.setenv("KURSWERK_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def call(*words):
        code = 0
        try:
            main(["calendar", *words])
        except SystemExit as error:
            code = int(error.code or 0)
        return code, *capsys.readouterr()

    yield call
    use_session_table(None)


def document(answer):
    code, out, err = answer
    assert code == 0, err
    return json.loads(out)


def test_all_exchanges_are_listed(run):
    found = {one["exchange"]: one for one in document(run("show", "--json"))["exchanges"]}
    assert {"XNYS", "XETR", "XLON", "XTKS", "XHKG", "XKRX", "24/7"} <= set(found)
    assert found["XNYS"]["first"] == "1990-01-02"
    assert found["XNYS"]["path"] == str(SHIPPED_TABLE)
    assert found["24/7"]["path"] is None
    assert "XNYS" in run("show")[1]


def test_sessions_of_an_exchange_are_listed(run):
    found = document(run("show", "NASDAQ", "--start", "2026-11-25", "--end", "2026-11-29", "--json"))
    assert found == {
        "exchange": "XNYS",
        "sessions": [
            {
                "session": "2026-11-25",
                "open": "2026-11-25T14:30:00Z",
                "close": "2026-11-25T21:00:00Z",
                "half_day": False,
            },
            {
                "session": "2026-11-27",
                "open": "2026-11-27T14:30:00Z",
                "close": "2026-11-27T18:00:00Z",
                "half_day": True,
            },
        ],
    }
    assert "2026-11-27" in run("show", "XNYS", "--start", "2026-11-25", "--end", "2026-11-29")[1]
    assert "2024-03-15" in run("show", "XNYS", "--start", "2024-03-08")[1]


def test_an_update_is_kept_in_the_data_folder_and_keeps_the_others_there(run, tmp_path):
    for exchange in ("XSTU", "NYSE"):
        updated = document(run("update", exchange, "--start", "2020-01-01", "--end", "2032-06-30", "--json"))["updated"]
        assert [(one["last"], one["changed"]) for one in updated] == [("2032-06-30", 0)]
    assert str(calendar_of("XNYS").sessions.dates[-1]) == "2032-06-30"
    found = {one["exchange"]: one for one in document(run("show", "--json"))["exchanges"]}
    assert found["XSTU"]["path"] == found["XNYS"]["path"] == str(session_table_of(tmp_path))
    assert found["XETR"]["path"] == str(SHIPPED_TABLE)
    assert found["XNYS"]["source"].startswith("exchange_calendars ")


def test_an_update_reports_how_many_known_sessions_changed(run, tmp_path):
    known = read_sessions(SHIPPED_TABLE, "XETR")
    moved = known.closes_us.copy()
    moved[known.dates == np.datetime64("2024-03-28")] += HOUR_US
    wrong = Sessions("XETR", known.dates, known.opens_us, moved, known.half_days)
    write_session_table(session_table_of(tmp_path), [wrong], "a test")
    code, out, _ = run("update", "XETR", "--start", "2024-01-01", "--end", "2024-12-31")
    assert code == 0
    assert "1 session that was known already is another now, of XETR" in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "XNY"), "unknown exchange 'XNY'; did you mean 'XNYS'"),
        (("show", "XNYS", "--start", "2040-01-01"), "2040-01-01 lies beyond the trading sessions known for XNYS"),
        (("update", "NOWHERE"), "unknown exchange 'NOWHERE'"),
        (("update", "XNYS", "--start", "2025-01-01", "--end", "2024-01-01"), "the first date 2025-01-01 lies after"),
        (("update", "XTKS", "--start", "1990-01-01", "--end", "1991-01-01"), "knows no session of XTKS between"),
        # The library of today contradicts itself about Tel Aviv.
        (("update", "XTAE"), "cannot compute the sessions of XTAE"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line_and_changes_nothing(run, tmp_path, words, message):
    code, _, err = run(*words)
    assert code == 1
    assert message in err
    assert not session_table_of(tmp_path).exists()


def test_without_the_extra_the_remedy_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    code, _, err = run("update")
    assert code == 1
    assert "pip install 'kurswerk[calendars]'" in err


def test_dates_without_a_session_have_none(run):
    found = document(run("show", "XNYS", "--start", "2026-11-28", "--end", "2026-11-29", "--json"))
    assert found["sessions"] == []
    assert date(2026, 11, 28).weekday() == 5
