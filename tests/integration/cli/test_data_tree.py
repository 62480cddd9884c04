"""``kurswerk data export`` and ``import``: a round trip changes nothing."""

import csv
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from kurswerk.features import FeaturePlan
from kurswerk.market import market_named, market_of_interval
from kurswerk.market.adjustment import CorporateAction
from kurswerk.market.series import SeriesOrigin
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.server import Database
from stock_bars import bars

STOCKS = market_named("stocks")
TABLES = {
    "historical_stock_data": 'symbol, "timestamp", "interval", source, open_price, high_price, low_price, close_price,'
    " volume",
    "stock_series": 'symbol, "interval", source, price_basis, adjusted_as_of, is_preferred',
    "stock_actions": 'symbol, "date", kind, factor, amount, known_at',
    "stocks": "symbol, name, sector, industry, exchange, currency, first_day, last_day, is_active",
}


def content(database: Database) -> dict[str, list[tuple[object, ...]]]:
    with database.connection() as connection:
        return {
            table: sorted(connection.execute(f"SELECT {columns} FROM {table}").fetchall(), key=repr)
            for table, columns in TABLES.items()
        }


def fill(database: Database) -> None:
    """Store two sources of a symbol, an adjusted one, a bar of an hour, a corrected split and a dividend."""
    rng = np.random.default_rng(3)
    store = PostgresMarketStore(database, STOCKS)
    vendor = store.series_sink(SeriesOrigin('ven/dor, "x"'), "XNYS")
    vendor.upsert([bars("BRK.B", (100 / 3 * np.exp(rng.normal(0, 0.01, 80))).tolist()), bars("^GSPC", [0.1, 1e-7])])
    store.series_sink(SeriesOrigin("other", date(2021, 1, 1), preferred=True)).upsert([bars("BRK.B", [7.0] * 50, 10)])
    hours = PostgresMarketStore(database, market_of_interval("stocks", "1h"))
    hours.series_sink(SeriesOrigin("vendor")).upsert([bars("BRK.B", [1.5, 2.5])])
    split = CorporateAction("BRK.B", date(2020, 2, 3), "split", 3.0)
    store.add_actions([split, CorporateAction("BRK.B", date(2020, 3, 3), "dividend", 1.01, 0.3)])
    store.add_actions([CorporateAction("BRK.B", date(2020, 2, 3), "split", 2.0)])
    with database.connection() as connection:
        connection.execute("UPDATE stocks SET name = 'Berkshire, \"B\"', currency = 'USD' WHERE symbol = 'BRK.B'")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_round_trip_changes_nothing(run, database, bare_database, tmp_path, monkeypatch, ending):
    fill(database)
    before = content(database)
    names = ("--feature", "rsi_14", "--feature", "price_change_5")
    assert run("data", "export", "tree", "--format", ending, *names, "--json").code == 0
    written = files(tmp_path / "tree")
    assert {f"historical/daily/BRK.B.{ending}", f"historical/intraday/BRK.B-1h.{ending}", "metadata/features.csv",
            f"processed/features/BRK.B.{ending}", f"processed/indicators/BRK.B.{ending}", "metadata/symbols.csv",
            f"raw/2020-02/other-1d-adjusted-2021-01-01.{ending}", "metadata/index.csv"} < set(written)  # fmt: skip
    again = run("data", "import", "tree", "--json").json
    assert (again["inserted"], again["updated"], again["quarantined"]) == (0, 0, 0)
    assert (again["instruments"], again["actions"]) == (0, 0)
    assert content(database) == before
    monkeypatch.setenv("KURSWERK_DATABASE_URL", bare_database.url)
    first = run("data", "import", "tree", "--json").json
    assert (first["inserted"], first["quarantined"]) == (len(before["historical_stock_data"]), 0)
    assert content(bare_database) == before
    assert run("data", "export", "second", "--format", ending, *names).code == 0
    assert files(tmp_path / "second") == written


def test_features_are_those_of_the_library_and_the_index_names_every_file(run, database, tmp_path):
    fill(database)
    run("data", "export", "tree", "--format", "parquet", "--feature", "rsi_14", "--symbol", "BRK.B")
    table = pq.read_table(tmp_path / "tree/processed/indicators/BRK.B.parquet")
    plan = FeaturePlan(["rsi_14"], STOCKS)
    panel = PostgresMarketStore(database, STOCKS).load_panel(list(plan.inputs), mints=["BRK.B"])
    found = table.column("rsi_14").to_numpy()
    assert np.array_equal(found, plan.compute(panel)[:, 0], equal_nan=True)
    index = list(csv.DictReader((tmp_path / "tree/metadata/index.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["path"] for row in index} == set(files(tmp_path / "tree")) - {"metadata/index.csv"}
    assert not any("GSPC" in row["path"] for row in index)


def test_a_tree_replaces_the_one_before_and_damaged_or_foreign_folders_are_refused(run, database, tmp_path):
    assert run("data", "export", "tree").code == 1
    fill(database)
    for _ in range(2):
        assert run("data", "export", "tree", "--keep", "1").code == 0
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("tree")) == ["tree", "tree.1"]
    (path,) = (tmp_path / "tree/raw").glob("2020-01/ven%*")
    path.write_text(path.read_text().replace("BRK.B", "BRK.A"))
    done = run("data", "import", "tree")
    assert (done.code, "checksum" in done.err) == (1, True)
    path.unlink()
    assert "is missing" in run("data", "import", "tree").err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    done = run("data", "export", "mine")
    assert (done.code, "holds other files" in done.err) == (1, True)
    assert (tmp_path / "mine/letter.txt").is_file()
