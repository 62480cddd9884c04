"""The archive finds what it was given, and reports what is damaged."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.archive import PREDICTION_SCHEMA, ArchivedQuery, Manifest, PredictionArchive
from kurswerk.archive import _predictions as archiving
from kurswerk.core.errors import StorageError, TooBroadError
from kurswerk.core.timestamps import to_us

DAY = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS = {"time": (("timestamp", "descending"), ("model_id", "ascending")), "id": (("id", "descending"),)}
COINS = st.sampled_from(["a", "b", "ä", "zz"])
ROWS = st.lists(
    st.tuples(COINS, st.integers(0, 40), st.integers(1, 4), st.integers(0, 20), st.booleans()),
    max_size=40,
    unique_by=lambda row: row[:3],
)
QUERIES = st.builds(
    ArchivedQuery,
    coin_id=st.none() | COINS,
    models=st.none() | st.frozensets(st.integers(1, 5), max_size=3),
    min_probability=st.none() | st.integers(0, 20).map(lambda k: k / 20),
    stored_us=st.tuples(*[st.none() | st.integers(0, 45).map(lambda k: to_us(DAY) + k * 60_000_000)] * 2),
    in_scope=st.none() | st.booleans(),
    ids=st.none() | st.tuples(st.integers(0, 60), st.integers(0, 60)),
)


def prediction(number: int, row: tuple[str, int, int, int, bool]) -> dict[str, Any]:
    coin, minute, model, likely, in_scope = row
    moment = DAY + timedelta(minutes=minute)
    return {
        "id": number, "coin_id": coin, "timestamp": moment, "model_id": model, "prediction": int(likely >= 10),
        "probability": likely / 20, "score": float(np.float32(likely / 20)), "features_digest": -number,
        "features": None, "forecast": None, "low": None, "high": None,
        "in_scope": in_scope, "created_at": moment + timedelta(minutes=1),
    }  # fmt: skip


def write(archive: PredictionArchive, name: str, rows: list[dict[str, Any]]) -> Manifest | None:
    ordered = sorted(rows, key=lambda row: (row["coin_id"].encode(), row["timestamp"], row["model_id"]))
    batches = [pa.RecordBatch.from_pylist(ordered[k : k + 7], PREDICTION_SCHEMA) for k in range(0, len(ordered), 7)]
    return archive.write(name, batches, len(rows))


def wanted(row: dict[str, Any], query: ArchivedQuery) -> bool:
    stored, (since, until) = to_us(row["created_at"]), query.stored_us
    return (
        query.coin_id in {None, row["coin_id"]}
        and (query.models is None or row["model_id"] in query.models)
        and (query.min_probability is None or row["probability"] >= query.min_probability)
        and (since is None or stored >= since)
        and (until is None or stored <= until)
        and (query.in_scope is None or row["in_scope"] == query.in_scope)
        and (query.ids is None or query.ids[0] <= row["id"] <= query.ids[1])
    )


@settings(max_examples=25)
@given(rows=ROWS, cuts=st.tuples(st.integers(0, 40), st.integers(0, 40)), query=QUERIES, count=st.integers(1, 30))
def test_a_search_finds_what_a_look_at_every_row_finds(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], cuts: tuple[int, int], query: ArchivedQuery, count: int
):
    archive = PredictionArchive(tmp_path_factory.mktemp("archive"))
    every = [prediction(number, row) for number, row in enumerate(rows, start=1)]
    low, high = sorted(cuts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archiving, "_GROUP_ROWS", 5)
        patch.setattr("os.fsync", lambda _: None)  # no power is cut here
        for name, part in {"one": every[:low], "two": every[low:high], "three": every[high:]}.items():
            manifest = write(archive, name, part)
            assert (manifest is not None) == bool(part) == archive.holds(name)
    fitting = [row for row in every if wanted(row, query)]
    for order, key in (
        ("id", lambda row: -row["id"]),
        ("time", lambda row: (-to_us(row["timestamp"]), row["model_id"])),
    ):
        found = archive.search(query, ORDERS[order], count, seconds=60)
        assert [key(row) for row in found] == sorted(key(row) for row in fitting)[:count]
        assert all(row == every[row["id"] - 1] for row in found)
    assert archive.damaged() == []


@pytest.fixture
def archive(tmp_path: Path) -> PredictionArchive:
    made = PredictionArchive(tmp_path)
    rows = [prediction(k + 1, (f"c{k % 9}", k, 1, k % 20, True)) for k in range(300)]
    manifest = write(made, "20260101_7", rows)
    assert manifest is not None
    assert (manifest.rows, manifest.first_id, manifest.last_id, manifest.models) == (300, 1, 300, (1,))
    return made


def test_a_file_without_its_manifest_does_not_count(archive: PredictionArchive, tmp_path: Path):
    (tmp_path / "20260101_7.json").rename(tmp_path / "20260101_7.json.part")
    assert archive.manifests() == []
    assert not archive.holds("20260101_7")
    assert archive.search(ArchivedQuery(), ORDERS["id"], 5, seconds=60) == []


@pytest.mark.parametrize("harm", ["shorter", "missing"])
def test_a_file_that_is_not_whole_is_an_error(archive: PredictionArchive, tmp_path: Path, harm: str):
    path = tmp_path / "20260101_7.parquet"
    if harm == "shorter":
        path.write_bytes(path.read_bytes()[:-10])
    else:
        path.unlink()
    assert archive.damaged() == [path.name]
    with pytest.raises(StorageError, match=r"20260101_7\.parquet"):
        archive.search(ArchivedQuery(), ORDERS["id"], 5, seconds=60)


def test_a_changed_byte_is_found_by_the_checksum(archive: PredictionArchive, tmp_path: Path):
    path = tmp_path / "20260101_7.parquet"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    assert archive.damaged() == [path.name]


def test_a_manifest_of_another_version_is_refused(archive: PredictionArchive, tmp_path: Path):
    path = tmp_path / "20260101_7.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(StorageError, match=r"20260101_7\.json"):
        PredictionArchive(tmp_path).manifests()


def test_a_part_that_came_in_pieces_is_not_finished(tmp_path: Path):
    archive = PredictionArchive(tmp_path)
    batch = pa.RecordBatch.from_pylist([prediction(1, ("a", 1, 1, 1, True))], PREDICTION_SCHEMA)
    with pytest.raises(StorageError, match="2 predictions and got 1"):
        archive.write("x", [batch], 2)
    assert archive.manifests() == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        PredictionArchive(tmp_path / "file" / "below").write("x", [], 0)


def test_a_search_that_takes_too_long_is_given_up(archive: PredictionArchive):
    with pytest.raises(TooBroadError):
        archive.search(ArchivedQuery(), ORDERS["id"], 5, seconds=-1)


def test_files_are_compressed_with_zstd(archive: PredictionArchive, tmp_path: Path):
    group = pq.ParquetFile(tmp_path / "20260101_7.parquet").metadata.row_group(0)
    assert {group.column(k).compression for k in range(group.num_columns)} == {"ZSTD"}
