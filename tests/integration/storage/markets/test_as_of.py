"""Columns joined as of each row: whole panels and single rows against a loop, and which changes of them are noted."""

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from integration.storage.coins import START_US as BEGIN
from integration.storage.coins import batch_of
from kurswerk.core.errors import SpecError
from kurswerk.core.timestamps import DAY_US
from kurswerk.market import COINS, MARKETS, JoinedColumn
from kurswerk.storage.feed import _joined_changes as changes
from kurswerk.storage.feed._queries import history_query
from kurswerk.storage.markets import MarketTable, PostgresMarketStore
from kurswerk.storage.server import _joined_trigger as triggers
from kurswerk.storage.server import joined_trigger_creation

LIMIT = timedelta(days=2)
# Of rows and facts, so that both often meet at one moment.
STEP_S = 43_200
TABLE = """
CREATE TABLE facts (id bigint GENERATED ALWAYS AS IDENTITY, "Symbol" varchar(64), known_at timestamptz,
    pe double precision, pb double precision)"""
JOINED = {
    "pe": JoinedColumn("facts", "pe", "known_at", key="Symbol"),
    "pb": JoinedColumn("facts", "pb", "known_at", key="Symbol", max_age=LIMIT),
    "pb_age_days": JoinedColumn("facts", "pb", "known_at", key="Symbol", max_age=LIMIT, is_age=True),
    "any_pe_age_days": JoinedColumn("facts", "pe", "known_at", is_age=True),
}
MARKET = replace(COINS, joined={**COINS.joined, **JOINED})
MOMENT = "timestamptz 'epoch' + %s * interval '1 microsecond'"
NAMES = ("a", "b", "BRK.B", "c'\"")


def add_facts(connection, facts):
    insert = f'INSERT INTO facts ("Symbol", known_at, pe, pb) VALUES (%s, {MOMENT}, %s, %s)'
    with connection.cursor() as cursor:
        cursor.executemany(insert, facts)


@pytest.fixture
def facts(database):
    """Rows of four instruments, and facts of them and of others: late, at equal moments, some without a value."""
    rng = np.random.default_rng(3)
    rows = [
        (name, int(step) * STEP_S, {"price_close": 1.0})
        for name in NAMES
        for step in np.sort(rng.choice(120, 60, replace=False))
    ]
    known = rng.integers(-10, 125, 240) * STEP_S * 1_000_000 + rng.integers(0, 2, 240)
    found = [
        (
            str(rng.choice([*NAMES[:3], "elsewhere"])),
            BEGIN + int(moment),
            None if rng.random() < 0.2 else float(rng.lognormal()),
            None if rng.random() < 0.6 else float(rng.lognormal()),
        )
        for moment in known
    ]
    found.append(("a", None, 1.0, 1.0))
    with database.connection() as connection:
        connection.execute(TABLE)
        add_facts(connection, found)
    store = PostgresMarketStore(database, MARKET)
    store.upsert([batch_of(rows)])
    return store, found


def expected(found, column, instrument, moment):
    """The newest value known by a moment, by a loop over all facts in the order in which they were inserted."""
    best = None
    for name, known, pe, pb in found:
        value = pe if column.value == "pe" else pb
        if value is None or known is None or known > moment or (column.key and name != instrument):
            continue
        if best is None or known >= best[0]:
            best = (known, value)
    if best is None:
        return math.nan
    age = moment - best[0]
    if column.max_age is not None and age > column.max_age / timedelta(microseconds=1):
        return math.nan
    return age / DAY_US if column.is_age else best[1]


def test_whole_panels_and_single_rows_equal_a_loop_in_every_bit(facts, database):
    store, found = facts
    columns = [*JOINED]
    panel = store.load_panel(["price_close", *columns])
    with database.connection() as connection:
        table = MarketTable.find(connection, MARKET)
        query = history_query(table, NAMES, np.zeros(len(NAMES), dtype=np.int64), columns, None)
        live = {(row[0], us(row[1])): row[2:] for row in connection.execute(query)}
    stale = 0
    for i, moment in enumerate(panel.timestamps.tolist()):
        instrument = panel.instruments[panel.codes[i]]
        single = live[instrument, moment]
        for k, (name, column) in enumerate(JOINED.items()):
            value = expected(found, column, instrument, moment)
            for given in (panel.column(name)[i], math.nan if single[k] is None else single[k]):
                assert given == value or (math.isnan(given) and math.isnan(value)), (name, instrument, moment)
        stale += math.isnan(panel.column("pb")[i]) and not math.isnan(panel.column("pe")[i])
    assert stale > 0
    assert np.isnan(panel.column("pe")[panel.rows_of("c'\"")]).all(), "nothing is known of this one"


def us(time):
    return round(time.timestamp() * 1_000_000)


def test_a_later_fact_changes_no_earlier_row(facts, database):
    store, _ = facts
    before = store.load_panel([*JOINED])
    moment = int(before.timestamps[before.rows_of("b")][20])
    with database.connection() as connection:
        add_facts(connection, [("b", moment, 77.0, None)])
    after = store.load_panel([*JOINED])
    same = (before.values == after.values) | (np.isnan(before.values) & np.isnan(after.values))
    mine = (before.codes == before.instruments.index("b")) & (before.timestamps >= moment)
    keyed = [before.columns.index(name) for name in ("pe", "pb", "pb_age_days")]
    assert same[keyed][:, ~mine].all()
    assert after.column("pe")[mine & (before.timestamps == moment)].tolist() == [77.0]
    assert not same[before.columns.index("pe")][mine].all()


def test_without_the_table_or_its_key_the_column_is_absent(facts, database):
    store, _ = facts
    assert set(JOINED) <= set(store.columns())
    with database.connection() as connection:
        connection.execute('ALTER TABLE facts DROP COLUMN "Symbol"')
    assert set(store.columns()) & set(JOINED) == {"any_pe_age_days"}


@pytest.mark.parametrize("way", ["trigger", "polling"])
def test_changes_of_single_instruments_are_noted_for_their_partitions(facts, database, monkeypatch, way):
    market = replace(MARKET, joined={name: JOINED[name] for name in ("pe", "pb")})
    monkeypatch.setitem(MARKETS, "coins", market)
    monkeypatch.setattr(triggers, "MARKETS", {"coins": market})
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO ml_models (name, model_type, target_variable, features, train_start, train_end, spec,"
            " is_active) VALUES ('m', 'xgboost', 'x', '[]', now() - interval '1 day', now(), '{}', true)"
        )
        if way == "trigger":
            for statement in joined_trigger_creation(market):
                connection.execute(statement)
        else:
            changes.compare_joined(connection, market)
        connection.execute("DELETE FROM joined_changes")
        add_facts(connection, [("a", BEGIN + 5, 1.0, None), ("b", BEGIN + 7, None, 2.0), ("b", BEGIN, None, None)])
        if way == "polling":
            assert changes.compare_joined(connection, market) == 1
            assert changes.compare_joined(connection, market) == 0
        home = "SELECT (hashtext(%s) & 63)"
        homes = {name: connection.execute(home, [name]).fetchone()[0] for name in ("a", "b")}
        noted = connection.execute("SELECT partition, from_time, until_time FROM joined_changes").fetchall()
    moments = {partition: us(first) - BEGIN for partition, first, _ in noted}
    assert {until for *_, until in noted} == {None}
    if way == "trigger":
        assert moments == {homes["a"]: 5, homes["b"]: 7}
    else:
        assert moments == dict.fromkeys(range(64), 5)


def test_a_limit_of_age_is_positive():
    with pytest.raises(SpecError, match=r"facts\.pe is 0:00:00; it must be above 0"):
        JoinedColumn("facts", "pe", "known_at", max_age=timedelta(0))
