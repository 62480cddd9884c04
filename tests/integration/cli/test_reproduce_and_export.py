"""Models are trained again from what is stored, and features of stored rows exported, by subcommands."""

import json

import pyarrow.parquet as pq
import pytest

from integration.storage.coins import run as execute
from kurswerk.core.digest import sha256_bytes

REQUEST = {
    "features": ["price_close", "price_change_5"],
    "start": "2024-01-01T01:00:00Z",
    "end": "2024-01-01T02:00:00Z",
}


@pytest.fixture
def stocked(run, candles):
    assert run("ingest", "coins", candles).code == 0
    return run


def test_a_model_is_reproduced_or_the_reason_is_given(stocked, spec, database, monkeypatch):
    run = stocked
    trained = run("train", spec(), "--json").json
    for words in (("models", "reproduce", "small"), ("models", "reproduce", trained["id"])):
        done = run(*words)
        assert done.code == 0
        assert f"model {trained['id']} is reproduced" in done.out
        assert trained["artifact_sha256"] in done.out
    found = run("models", "reproduce", "small", "--json").json
    assert found == {
        "model_id": trained["id"],
        "name": "small",
        "reproduced": True,
        "bytes": found["bytes"],
        "sha256": trained["artifact_sha256"],
    }
    # As before there was the subcommand.
    before = run("models", "small", "--reproduce", "--json").json
    assert before == {"model_id": trained["id"], "reproduced": True, "sha256": trained["artifact_sha256"]}

    monkeypatch.setattr("kurswerk.cli.models.reproduce", lambda *_: b"other bytes")
    other = run("models", "reproduce", "small", "--json")
    assert (other.code, other.json["error"]["details"]["code"]) == (1, "model.not_reproduced")
    assert sha256_bytes(b"other bytes")[:12] in other.err
    monkeypatch.undo()


def test_what_has_changed_since_is_named(stocked, spec, database):
    run = stocked
    run("train", spec())
    execute(database, "UPDATE coin_metrics SET price_close = price_close * 2 WHERE timestamp = '2024-01-01T03:00:00Z'")
    changed = run("models", "reproduce", "small", "--json")
    assert (changed.code, changed.json["error"]["details"]["code"]) == (1, "model.market_data_changed")
    execute(database, "UPDATE ml_models SET status = 'FAILED', error_msg = 'x', artifact_sha256 = NULL")
    assert "FAILED" in run("models", "reproduce", "small").err
    missing = run("models", "reproduce", "nobody")
    assert (missing.code, "nobody" in missing.err) == (1, True)
    assert run("models", "reproduce").code == 2


def test_features_are_exported_as_a_job_would(stocked, tmp_path):
    run = stocked
    request, target = tmp_path / "request.json", tmp_path / "out.parquet"
    request.write_text(json.dumps(REQUEST))
    result = run("features", "export", request, target, "--json").json
    assert (result["rows"], result["instruments"], result["path"]) == (4 * 61, 4, str(target))
    assert result["sha256"] == sha256_bytes(target.read_bytes())
    table = pq.read_table(target)
    assert table.column_names == ["mint", "timestamp", "price_close", "price_change_5"] == result["columns"]
    again = run("features", "export", request, tmp_path / "again.parquet")
    assert f"244 rows of 4 instruments × 4 columns → {tmp_path / 'again.parquet'}" in again.out
    assert (tmp_path / "again.parquet").read_bytes() == target.read_bytes()

    for change, message in (
        ({"features": ["price_clse"]}, "price_close"),
        ({"start": "soon"}, "start"),
        ({"x": 1}, "x"),
    ):
        request.write_text(json.dumps(REQUEST | change))
        refused = run("features", "export", request, tmp_path / "no.parquet")
        assert (refused.code, message in refused.err) == (1, True)
    request.write_text("no JSON")
    assert "is no JSON" in run("features", "export", request, tmp_path / "no.parquet").err
    assert run("features", "export", tmp_path / "nowhere.json", tmp_path / "no.parquet").code == 1
    assert not list(tmp_path.glob("no.parquet*"))
