"""The commands, one after the other as a user types them, on a real PostgreSQL."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from kurswerk.core.digest import sha256_bytes
from memory_market import random_market, write_panel

LATER = ("--start", "2024-01-01T06:41:00Z", "--end", "2024-01-01T09:59:00Z")


def back_tested(run, folder):
    """Trade the model's signals with costs and without."""
    rules, exits = folder / "rules.json", {"max_bars": 20}
    words = ("backtest", "small", *LATER, "--enter", 0.05, "--leave", 0.01, "--mints", "COIN1", "--rules", rules)
    rules.write_text(json.dumps({"costs": {"commission_bps": 100}, "exits": exits}))
    dear = run(*words, "--trials", 3, "--json").json
    rules.write_text(json.dumps({"costs": {"commission_bps": 0, "slippage_bps": 0}, "exits": exits}))
    free = run(*words, "--json").json
    assert dear["signals"] == free["signals"] > 0
    assert free["metrics"]["trades"] == len(free["trades"]) > 0
    assert dear["metrics"]["total_return"] < free["metrics"]["total_return"]
    assert sum(dear["costs"].values()) > sum(free["costs"].values()) == 0
    shown = run(*words)
    assert shown.code == 0
    assert all(word in shown.out for word in ("sharpe", "total return", "commission", "COIN1"))
    assert all(f"{'!' if one['violated'] else '·'} " in shown.out for one in free["findings"])
    rules.write_text(json.dumps({"exits": {"stop": 0.1}}))
    refused = run(*words)
    assert (refused.code, "rules.exits.stop" in refused.err) == (1, True)


def test_from_candles_to_a_certified_model(run, candles, spec, tmp_path):
    first = run("ingest", "coins", candles, "--json").json
    assert (first["rows_read"], first["inserted"], first["quarantined"]) == (2400, 2400, 0)
    again = run("ingest", "coins", candles, "--json").json
    assert (again["inserted"], again["updated"], again["unchanged"]) == (0, 0, 2400)

    trained = run("train", spec(), "--json").json
    assert trained["status"] == "READY"
    assert trained["metrics"]["confusion_matrix"].keys() == {"tp", "tn", "fp", "fn"}
    assert run("train", spec()).code == 1, "the name is taken"
    forest = run("train", spec(name="forest", model_type="random_forest", use_smote=True))
    assert forest.code == 0
    assert "price_close up 1 % at 5 minutes" in forest.out
    assert "recent volatility" in forest.out

    listed = run("models", "--json").json["models"]
    assert [model["name"] for model in listed] == ["forest", "small"], "newest first"
    assert run("models", "--type", "xgboost", "--json").json["models"][0]["name"] == "small"
    assert "forest" in run("models").out
    assert run("models", "small", "--json").json["artifact_sha256"] == trained["artifact_sha256"]
    assert "artifact  SHA-256" in run("models", "1").out

    tested = run("test", "small", *LATER, "--json").json
    assert tested["has_overlap"] is False
    assert tested["num_samples"] == tested["num_positive"] + tested["num_negative"]
    part = run("test", "small", *LATER, "--mints", "COIN1,COIN2", "--fee-bps", 0, "--slippage-bps", 0)
    assert part.code == 0
    assert "does not overlap" in part.out

    compared = run("compare", "small", "forest", *LATER, "--json").json
    assert compared["num_samples"] == tested["num_samples"]
    assert "winner by F1" in run("compare", "small", "forest", *LATER).out

    back_tested(run, tmp_path)

    certified = run("certify", "small", "--json")
    assert certified.code == 0
    assert certified.json["certified"] is True
    assert certified.json["differing_bits"] == 0
    assert run("models", "small", "--json").json["certificate"]["certified"] is True

    assert run("models", "small", "--reproduce", "--json").json["sha256"] == trained["artifact_sha256"]
    exported = tmp_path / "model.onnx"
    assert run("models", "small", "--export", exported).code == 0
    assert sha256_bytes(exported.read_bytes()) == trained["artifact_sha256"]

    predicted = run("predict", "COIN1", "--json").json
    assert {entry["model_name"] for entry in predicted["predictions"]} == {"small", "forest"}
    one = run("predict", "COIN1", "--model", "small", "--at", "2024-01-01T05:00:00Z", "--json").json
    assert one["timestamp"] == "2024-01-01T05:00:00Z"
    assert "COIN1" in run("predict", "COIN1").out

    written = run("report", "--output", tmp_path / "report.html", "--json")
    assert written.code == 0
    assert (tmp_path / "report.html").stat().st_size > 10_000

    assert run("models", "forest", "--delete").code == 0
    assert [model["name"] for model in run("models", "--json").json["models"]] == ["small"]


def test_features_are_the_same_bits_in_batch_and_live(run, spec, tmp_path):
    panel = random_market(coins=3, minutes=60)
    shuffled = np.random.default_rng(1).permutation(len(panel))
    write_panel(panel, tmp_path / "in.parquet")
    table = pq.read_table(tmp_path / "in.parquet").take(shuffled)
    pq.write_table(table, tmp_path / "in.parquet")
    path = spec()
    batch, live, chunks = (tmp_path / f"{name}.parquet" for name in ("batch", "live", "chunks"))
    assert run("features", path, tmp_path / "in.parquet", batch).code == 0
    assert run("features", path, tmp_path / "in.parquet", live, "--live", "--json").json["rows"] == 180
    assert run("features", path, tmp_path / "in.parquet", chunks, "--live", "--chunk", 7).code == 0
    tables = [pq.read_table(file) for file in (batch, live, chunks)]
    assert tables[0].column("mint").equals(table.column("mint")), "keys come in the file's order"
    for name in tables[0].column_names[2:]:
        bits = [t.column(name).to_numpy().view(np.uint64) for t in tables]
        np.testing.assert_array_equal(bits[0], bits[1], err_msg=name)
        np.testing.assert_array_equal(bits[0], bits[2], err_msg=name)
    assert "price_change_5" in tables[0].column_names


def test_a_simulated_market_is_the_same_again(run, tmp_path):
    words = ("simulate", "coins", "--coins", 5, "--hours", 2, "--seed", 3)
    first = run(*words, "--json").json
    assert first["rows"] == first["inserted"] > 100
    again = run(*words, "--json").json
    assert (again["inserted"], again["updated"]) == (0, 0)
    assert run(*words, "--output", tmp_path / "market.parquet").code == 0
    assert pq.read_metadata(tmp_path / "market.parquet").num_rows == first["rows"]
    assert "coin_metrics" in run("db", "status").out


def test_the_database_is_prepared_twice_without_a_change(run, database):
    assert run("db", "upgrade", "--json").json["changed"] is False, "the fixture's database is migrated"
    assert "was already" in run("db", "upgrade").out
    assert run("db", "status", "--json").json["up_to_date"] is True
    assert run("db", "url").out.strip() == database.url
    assert run("db", "url", "--json").json["url"] == database.url
    refused = run("db", "stop")
    assert refused.code == 1
    assert "external database" in refused.err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("models", "nobody"), 1, "nobody"),
        (("train", "absent.json"), 1, "cannot read"),
        (("test", "nobody", "--start", "2024-01-02", "--end", "2024-01-01"), 1, "not before its end"),
        (("test", "nobody", "--start", "soon", "--end", "2024-01-01"), 1, "'soon' is no ISO 8601 time"),
        (("test", "nobody"), 2, "--start"),
        (("ingest", "coins", "absent.csv"), 1, "does not exist"),
        (("ingest", "coins"), 2, "FILE"),
        (("simulate", "coins", "--coins", "0", "--hours", "1"), 1, "at least 1"),
        (("models", "--delete"), 2, "name the MODEL"),
        (("models", "a", "--delete", "--reproduce"), 2, "one at a time"),
        (("predict", "NOBODY"), 1, "no model is READY"),
        (("features", "absent.json", "a.parquet", "b.parquet"), 1, "cannot read"),
        (("nonsense",), 2, "No such command"),
        (("--version",), 0, ""),
        (("--help",), 0, ""),
    ],
)
def test_wrong_words_get_one_clear_line(run, words, code, message):
    done = run(*words)
    assert done.code == code
    assert message in done.err + done.out
    assert "Traceback" not in done.err
    if code == 1:
        assert len(done.err.strip().splitlines()) == 1


def test_an_error_is_one_document_with_json(run):
    done = run("models", "nobody", "--json")
    assert done.code == 1
    assert done.json["error"]["code"] == "NotFoundError"


def test_an_empty_list_shows_what_to_do(run):
    assert "kurswerk train" in run("models").out


def test_a_model_that_peeks_is_not_certified(run, candles, spec, monkeypatch):
    run("ingest", "coins", candles)
    run("train", spec())
    from kurswerk.training import _certifying  # noqa: PLC0415 - the place where the fault is planted

    honest = _certifying.compute_labels

    def shifted(panel, label):
        labels = honest(panel, label)
        return replace(labels, values=np.roll(labels.values, 20))

    monkeypatch.setattr(_certifying, "compute_labels", shifted)
    done = run("certify", "small", "--json")
    assert done.code == 1
    assert done.json["certified"] is False
    assert "is not certified; broken:" in done.err


def test_sql_in_a_name_is_only_a_name(run, candles, spec):
    run("ingest", "coins", candles)
    name = "x'; DROP TABLE ml_models; --"
    assert run("train", spec(name=name)).code == 0
    assert [model["name"] for model in run("models", "--json").json["models"]] == [name]
    assert run("predict", "'; DROP TABLE coin_metrics; --").code == 1
    assert json.loads(run("models", name, "--json").out)["name"] == name
