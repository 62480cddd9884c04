"""Hostile input meets one clear line or a right result, never a traceback, and the database stays as it was."""

import json
from dataclasses import replace

import numpy as np
import pytest

from memory_market import a_spec, random_market, write_panel

HEAD = b"symbol,timestamp,open,high,low,close,volume\n"
ROW = b"A,2024-01-01T00:00:00Z,1,2,0.5,1,10\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("blank.csv", b"\n\n\n"),
        ("junk.csv", bytes(range(256)) * 40),
        ("no-key.csv", b"timestamp,open\n2024-01-01,1\n"),
        ("no-time.csv", b"symbol,open\nA,1\n"),
        ("wide.csv", ",".join(f"c{i}" for i in range(1_000_000)).encode()),
        ("empty.parquet", b""),
        ("cut.parquet", b"PAR1" + bytes(64)),
        ("text.parquet", HEAD + ROW),
    ],
)
def test_a_file_of_another_format_than_declared_changes_nothing(run, database, tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    done = run("ingest", "coins", path)
    assert done.code == 1
    assert len(done.err.strip().splitlines()) == 1
    assert name in done.err
    with database.connection() as connection:
        assert connection.execute("SELECT count(*) FROM coin_metrics").fetchone() == (0,)


@pytest.mark.parametrize(
    ("rows", "accepted", "quarantined", "repeated"),
    [
        (b"", 0, 0, 0),
        (ROW, 1, 0, 0),
        (ROW + ROW, 1, 0, 1),
        (ROW + ROW.replace(b",10", b",11"), 0, 2, 0),
        (b"A,2024-01-01T00:00:00Z,1,2,0.5,NaN,10\n", 0, 1, 0),
        (b"A,2024-01-01T00:00:00Z,1,inf,0.5,1,10\n", 0, 1, 0),
        (b"A,2024-01-01T00:00:00Z,1,-inf,0.5,1,10\n", 0, 1, 0),
        (b"A,2024-01-01T00:00:00Z,1,1e308,0.5,1,10\n", 1, 0, 0),
        (b"A,2024-01-01T00:00:00Z,1,2,0.5,one,10\n", 0, 1, 0),
        (b",2024-01-01T00:00:00Z,1,2,0.5,1,10\n", 0, 1, 0),
        (b"A,someday,1,2,0.5,1,10\n", 0, 1, 0),
        (b"A,2024-01-01T00:00:00Z,1,0.1,0.5,1,10\n", 0, 1, 0),
        (b"A,2024-01-01T00:00:00Z,1,2,0.5,9,10\n", 0, 1, 0),
        (b"A,2024-01-02,1,2,0.5,1,10\nA,2024-01-01,1,2,0.5,1,10\n", 2, 0, 0),
    ],
)
def test_every_row_of_a_hostile_file_is_accounted_for(run, tmp_path, rows, accepted, quarantined, repeated):
    path = tmp_path / "hostile.csv"
    path.write_bytes(HEAD + rows)
    done = run("ingest", "coins", path, "--json")
    assert done.code == 0, done.err
    found = done.json
    assert (found["accepted"], found["quarantined"], found["duplicates"]) == (accepted, quarantined, repeated)
    assert found["rows_read"] == accepted + quarantined + repeated


def test_a_ratio_out_of_range_is_quarantined_not_refused_by_the_database(run, tmp_path):
    path = tmp_path / "ratio.csv"
    path.write_text("mint,timestamp,buy_pressure_ratio\nA,2024-01-01,0.5\nA,2024-01-02,1.5\nA,2024-01-03,-0.1\n")
    done = run("ingest", "coins", path, "--json")
    assert done.code == 0, done.err
    assert (done.json["accepted"], done.json["quarantined"]) == (1, 2)


@pytest.mark.parametrize(
    ("panel", "change", "code", "statuses"),
    [
        (random_market(coins=1, minutes=1), {}, 1, ["FAILED"]),
        (random_market(coins=1, minutes=12), {}, 1, ["FAILED"]),
        (random_market(coins=2, minutes=300), {"feature_engineering_windows": [5, 5000]}, 0, ["READY"]),
        (random_market(coins=2, minutes=300), {"min_percent_change": 1e9}, 1, ["FAILED"]),
        (random_market(coins=2, minutes=300), {"future_minutes": 100_000}, 1, ["FAILED"]),
        (random_market(coins=2, minutes=300), {"train_start": "1970-01-01", "train_end": "1970-01-02"}, 1, []),
        (random_market(coins=2, minutes=300), {"mints": ["NOBODY"]}, 1, []),
        (random_market(coins=2, minutes=300), {"phases": [1]}, 1, []),
    ],
    ids=["one row", "few rows", "windows past rows", "one class", "horizon", "period", "coin", "phase"],
)
def test_training_on_too_little_shows_what_is_missing(run, spec, tmp_path, panel, change, code, statuses):
    write_panel(panel, tmp_path / "in.parquet")
    assert run("ingest", "coins", tmp_path / "in.parquet").code == 0
    done = run("train", spec(**change))
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    if code:
        assert len(done.err.strip().splitlines()) == 1
    # What is refused before it begins leaves no model; what cannot be trained leaves one with the reason.
    listed = run("models", "--json").json["models"]
    assert [model["status"] for model in listed] == statuses
    assert all(model["error_msg"] for model in listed if model["status"] == "FAILED")


def test_constant_and_huge_features_train_and_certify(run, spec, tmp_path):
    panel = random_market(coins=3, minutes=500)
    values = panel.values.copy()
    values[panel.columns.index("volume_sol")] = 7.0
    extra = np.full((1, len(panel)), 1e308)
    panel = replace(panel, columns=(*panel.columns, "market_cap_close"), values=np.vstack((values, extra)))
    write_panel(panel, tmp_path / "in.parquet")
    assert run("ingest", "coins", tmp_path / "in.parquet").code == 0
    for model_type in ("xgboost", "random_forest"):
        done = run("train", spec(name=model_type, model_type=model_type, features=["volume_sol", "market_cap_close"]))
        assert done.code == 0, done.err
        assert run("certify", model_type).code == 0


@pytest.mark.parametrize(
    "change", [{"surprise": 1}, {"features": ["'; DROP TABLE ml_models; --"]}, {"params": {"a": 1}}]
)
def test_a_hostile_specification_makes_no_model(run, tmp_path, change):
    path = tmp_path / "hostile.json"
    path.write_text(json.dumps(a_spec().as_json() | change))
    done = run("train", path)
    assert done.code == 1
    assert "unknown" in done.err
    assert run("models", "--json").json["models"] == []
