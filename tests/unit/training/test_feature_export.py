"""Exports of features hold what a training computes, whatever is loaded at once, and nothing half written."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job_orders import JobEnvironment, order_features
from kurswerk.core.errors import DataError, DataFileError, KurswerkError, NoDataError, SpecError, UnknownNameError
from kurswerk.core.timestamps import MINUTE_US, to_datetime
from kurswerk.features import FeaturePlan, resolve
from kurswerk.jobs import no_progress
from kurswerk.market import COINS
from kurswerk.storage.jobs import FolderJobFiles
from kurswerk.training import FeaturesRequest, export_features, load_dataset
from kurswerk.training import _feature_export as export
from kurswerk.training import _feature_file as feature_file
from memory_jobs import MemoryJobs
from memory_market import START_US, MemoryMarket, MemoryRegistry, a_spec, random_market, stores_of

PANEL = random_market(coins=5, minutes=400)
STORES = stores_of(PANEL, MemoryRegistry())
SPEC = a_spec(train_end="2024-01-01T05:00:00Z")
TARGET = {"target_var": "price_close", "future_minutes": 5, "min_percent_change": 1.0, "direction": "up"}
PERIOD = {"start": "2024-01-01T01:00:00Z", "end": "2024-01-01T05:00:00Z"}
PATH = "exports/features/a.parquet"
SECRET = "secret.parquet"


def request_of(**fields):
    return FeaturesRequest.model_validate(PERIOD | fields)


def exported(folder, stores=STORES, **fields):
    result = export_features(request_of(**fields), stores, FolderJobFiles(folder), PATH)
    return result, pq.ParquetFile(folder / PATH)


def test_values_and_labels_are_those_of_a_training(tmp_path):
    dataset = load_dataset(SPEC, MemoryMarket(PANEL))
    names = list(dataset.plan.names)
    result, file = exported(
        tmp_path, features=names, start="2024-01-01T00:00:00Z", target=TARGET, feature_engineering_windows=[5, 10]
    )
    table = file.read()
    assert table.column_names == ["mint", "timestamp", *names, "label"] == result.columns
    assert result.rows == table.num_rows == len(dataset.panel)
    keys = list(zip(table["mint"].to_pylist(), table["timestamp"].cast("int64").to_pylist(), strict=True))
    assert keys == sorted(keys)
    codes = np.asarray(dataset.panel.instruments, dtype=object)[dataset.panel.codes]
    assert keys == list(zip(codes, dataset.panel.timestamps.tolist(), strict=True))
    for place, name in enumerate(names):
        found = table[name].combine_chunks().to_numpy(zero_copy_only=False)
        assert found.tobytes() == np.ascontiguousarray(dataset.features[:, place]).tobytes(), name
    labels = [None if value < 0 else value for value in dataset.labels.values.tolist()]
    assert table["label"].to_pylist() == labels
    assert {0, 1, None} == set(labels)


def test_labels_may_look_ahead_by_sessions(tmp_path):
    """Eight rows a day, the first at midnight: a market that never closes has a session for each day."""
    panel = replace(PANEL, timestamps=START_US + (PANEL.timestamps - START_US) * 180)
    target = {name: value for name, value in TARGET.items() if name != "future_minutes"} | {"horizon_sessions": 1}
    period = {"start": "2024-01-01", "end": "2024-03-01", "features": ["volume_sol"]}
    _, file = exported(tmp_path, stores_of(panel, MemoryRegistry()), **period, target=target)
    expected = []
    for k in range(len(panel.instruments)):
        price = panel.column("price_close")[panel.offsets[k] : panel.offsets[k + 1]]
        reached = [-(-row // 8) * 8 + 8 for row in range(len(price))]
        expected += [
            int((price[exit_row] - price[row]) / price[row] * 100 >= 1) if exit_row < len(price) else None
            for row, exit_row in enumerate(reached)
        ]
    assert file.read()["label"].to_pylist() == expected
    stated = json.loads(file.metadata.metadata[b"kurswerk"])["target"]
    assert stated["horizon_sessions"] == 1
    assert not {"horizon_sessions", "calendar"} & set(export.ExportTarget(**TARGET).as_json())


@settings(max_examples=12)
@given(at_once=st.integers(1, 3000), group=st.integers(1, 700))
def test_what_is_loaded_at_once_changes_no_byte(tmp_path_factory, at_once, group):
    """The bytes of one row group size are the same however rows come; each row group but the last one is full."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_file, "_ROW_GROUP", group)
        whole, file = exported(tmp_path_factory.mktemp("whole"), features=["rsi_14", "price_change_5"])
        patch.setattr(feature_file, "ROWS_AT_ONCE", at_once)
        parts, _ = exported(tmp_path_factory.mktemp("parts"), features=["rsi_14", "price_change_5"])
    assert parts == whole
    sizes = [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
    assert sizes == [group] * (whole.rows // group) + [whole.rows % group] * (whole.rows % group > 0)


class Hooked(MemoryMarket):
    """A market that hands what an export loads to a function; checks and estimates are left alone."""

    def __init__(self, panel, hook):
        super().__init__(panel)
        self._hook = hook

    def load_panel(self, columns, *, start_us=None, **bounds):
        panel = super().load_panel(columns, start_us=start_us, **bounds)
        return self._hook(panel) if columns and start_us is None else panel


def test_at_most_so_many_rows_are_loaded_at_once(tmp_path, monkeypatch):
    loaded = []

    def watch(panel):
        loaded.append(len(panel))
        return panel

    monkeypatch.setattr(feature_file, "ROWS_AT_ONCE", 700)
    exported(tmp_path, replace(STORES, markets={"coins": Hooked(PANEL, watch)}))
    assert sum(loaded) == 5 * 301
    assert len(loaded) > 1
    assert max(loaded) <= 700


def test_the_result_and_the_metadata_show_what_it_is(tmp_path):
    result, file = exported(tmp_path, features=["price_close", "volume_ratio_5"], instruments=["COIN3", "COIN1", "X"])
    data = (tmp_path / result.path).read_bytes()
    assert (result.bytes, result.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (result.rows, result.instruments) == (2 * 241, 2)
    assert file.metadata.row_group(0).column(2).compression == "ZSTD"
    document = json.loads(file.metadata.metadata[feature_file.METADATA_KEY.encode()])
    plan = FeaturePlan(["price_close", "volume_ratio_5"], COINS)
    assert (document["features"], document["definition_hash"]) == (plan.definitions, plan.definition_hash)
    assert (document["market"], document["rows"], document["target"]) == ("coins", result.rows, None)
    assert document["data_fingerprint"] == result.data_fingerprint


def test_the_fingerprint_follows_the_data_and_not_the_period(tmp_path):
    first, _ = exported(tmp_path, features=["price_close"])
    later, _ = exported(tmp_path, features=["price_close"], start="2024-01-01T04:00:00Z")
    changed = PANEL.values.copy()
    changed[PANEL.columns.index("price_close"), 0] += 1e-9
    other_data = replace(STORES, markets={"coins": MemoryMarket(replace(PANEL, values=changed))})
    other, _ = exported(tmp_path, other_data, features=["price_close"])
    assert first.data_fingerprint == later.data_fingerprint != other.data_fingerprint
    assert first.sha256 != later.sha256


@settings(max_examples=20)
@given(st.lists(st.sampled_from(["*", "price_*", "volume_*_5", "rsi_14", "price_close", "*_1?"]), min_size=1))
def test_patterns_stand_for_what_the_columns_allow_each_once(wanted):
    names = export.check_export(request_of(features=wanted), STORES).features
    assert len(set(names)) == len(names)
    assert all(set(resolve(name, COINS).inputs) <= set(PANEL.columns) for name in names)
    together = {name for one in wanted for name in export.check_export(request_of(features=[one]), STORES).features}
    assert set(names) == together
    if "*" in wanted:
        assert together == set(export.check_export(request_of(), STORES).features) > set(PANEL.columns)


def test_windows_decide_which_engineered_features_there_are():
    names = export.check_export(request_of(features=["price_change_*"], feature_engineering_windows=[7]), STORES)
    assert names.features == ("price_change_7",)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"features": ["price_clse"]}, UnknownNameError, "did you mean 'price_close'?"),
        ({"features": ["prize_*"]}, UnknownNameError, "the pattern 'prize_*' fits no feature of this market"),
        ({"features": ["buy_volume_sol"]}, UnknownNameError, "needed by feature 'buy_volume_sol'"),
        ({"features": ["price_change_0"]}, SpecError, "give an integer from 1"),
        ({"feature_engineering_windows": [0]}, SpecError, "0"),
        ({"market": "coin"}, UnknownNameError, "did you mean 'coins'?"),
        ({"end": "2024-01-01T01:00:00Z"}, SpecError, "2024-01-01T01:00:00Z"),
        ({"start": "2023-01-01", "end": "2023-02-01"}, NoDataError, "the data reach from 2024-01-01T00:00:00Z"),
        ({"instruments": ["X"]}, NoDataError, "no rows of X from"),
        ({"target": {"target_var": "nothing", "operator": ">", "target_value": 1.0}}, UnknownNameError, "nothing"),
        ({"target": {"target_var": "price_close"}}, SpecError, "a label needs either"),
        ({"target": TARGET | {"operator": ">", "target_value": 1.0}}, SpecError, "not both"),
        ({"target": TARGET | {"target_var": "market_cap_close"}}, UnknownNameError, "needed by target_var"),
    ],
)
def test_what_cannot_succeed_is_refused_before_anything_is_written(tmp_path, fields, error, message):
    env = environment_over(tmp_path)
    with pytest.raises(error) as refused:
        env.service.order("FEATURES", PERIOD | fields)
    assert message in str(refused.value)
    assert not env.jobs.find()
    assert not list(tmp_path.iterdir())


def test_more_memory_than_a_job_may_take_is_refused(tmp_path):
    with pytest.raises(DataError, match="GiB of memory, allowed are"):
        environment_over(tmp_path, memory_budget_bytes=1 << 20).service.order("FEATURES", PERIOD)


def environment_over(folder: Path, **changes) -> JobEnvironment:
    registry = MemoryRegistry()
    return JobEnvironment(MemoryMarket(PANEL), registry, registry, MemoryJobs(), data_dir=folder, **changes)


def test_a_job_stores_names_and_its_file_appears_when_it_is_completed(tmp_path):
    env = environment_over(tmp_path)
    job = order_features(env, start_us=START_US, end_us=START_US + 60 * MINUTE_US, features=["price_*"])
    assert set(job.request["features"]) > {"price_close", "price_change_5"}
    env.service.run(env.jobs.start(job.id), no_progress)
    done = env.jobs.get(job.id)
    assert done.result["path"] == f"exports/features/features-{job.id}.parquet"
    data = (tmp_path / done.result["path"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == done.result["sha256"]
    assert [path.name for path in (tmp_path / "exports/features").iterdir()] == [f"features-{job.id}.parquet"]
    (tmp_path / done.result["path"]).unlink()
    env.jobs.retry(job.id)
    env.service.run(env.jobs.start(job.id), no_progress)
    assert (tmp_path / done.result["path"]).read_bytes() == data


def test_a_run_that_breaks_off_leaves_what_was_there(tmp_path):
    files = FolderJobFiles(tmp_path)
    exported(tmp_path)
    before = (tmp_path / PATH).read_bytes()

    def break_off(_):
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        export_features(request_of(), replace(STORES, markets={"coins": Hooked(PANEL, break_off)}), files, PATH)
    assert (tmp_path / PATH).read_bytes() == before
    assert files.part(PATH).exists()
    files.discard(PATH)
    files.discard(PATH)
    assert [path.name for path in (tmp_path / PATH).parent.iterdir()] == ["a.parquet"]


def test_a_cancelled_or_failed_job_leaves_no_unfinished_file(tmp_path):
    env = environment_over(tmp_path)
    job = order_features(env, start_us=START_US, end_us=START_US + 60 * MINUTE_US)
    hooks = env.service.kinds.named("FEATURES").hooks
    for end in (hooks.failed, hooks.cancelled):
        part = FolderJobFiles(tmp_path).part(f"exports/features/features-{job.id}.parquet")
        part.write_bytes(b"half")
        end(job, "because")
        assert not part.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "exports").write_text("a file")
    with pytest.raises(DataFileError, match=r"exports/features/a\.parquet cannot be written: "):
        exported(tmp_path)


def test_rows_that_went_meanwhile_are_an_error_and_no_empty_file(tmp_path):
    stores = replace(STORES, markets={"coins": Hooked(PANEL, lambda panel: panel.until(START_US))})
    with pytest.raises(NoDataError, match="have no rows from 2024-01-01T01:00:00Z to 2024-01-01T05:00:00Z"):
        exported(tmp_path, stores)
    assert not (tmp_path / PATH).exists()


@given(
    st.one_of(
        st.text(max_size=30),
        st.lists(st.sampled_from(["..", ".", "exports", "features", SECRET, "", "/", "link", "\0"]), max_size=8).map(
            "/".join
        ),
    )
)
def test_no_path_leads_out_of_the_export_folder(tmp_path_factory, path):
    data = tmp_path_factory.getbasetemp() / "confined"
    inside = data / "exports" / "features"
    if not inside.exists():
        inside.mkdir(parents=True)
        (data / SECRET).write_text("no")
        (inside / "link").symlink_to(data)
        (inside / "a.parquet").write_text("yes")
    files = FolderJobFiles(data)
    for reach in (files.find, files.part, files.finish):
        try:
            found = reach(path)
        except (KurswerkError, OSError):
            continue
        assert found is None or found.resolve().is_relative_to(data / "exports")
        assert reach is not files.find or found.read_text() == "yes"
    assert (data / SECRET).read_text() == "no"
    assert files.find("exports/features/a.parquet").read_text() == "yes"


def test_times_without_a_zone_are_utc():
    assert request_of(start="2024-01-01T01:00:00").start == to_datetime(START_US + 60 * MINUTE_US)
