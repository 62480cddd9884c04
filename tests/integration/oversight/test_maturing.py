"""Outcomes of a replayed day against brute force; exactly once, corrected where rows are, whoever is killed."""

import os
import signal
import subprocess
import sys
from collections import Counter

import numpy as np

import waiting
from feed_lanes import a_lane, drain
from kurswerk.market import COINS, MARKETS
from kurswerk.oversight import MaturingReport, mature
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.outcomes import PostgresOutcomeStore
from kurswerk.storage.predictions import create_partitions
from kurswerk.storage.server import Database
from outcome_days import (
    SECOND_US,
    START_US,
    TARGETS,
    Rows,
    a_day,
    expected,
    predict,
    register_targets,
    stored,
    write_prices,
)

_DELAY_US = 120 * SECOND_US


def judged(database: Database) -> MaturingReport:
    return mature(PostgresOutcomeStore(database), "coins")


def rows_until(rows: Rows, us: int) -> Rows:
    return {key: price for key, price in rows.items() if key[1] <= us}


def all_expected(rows: Rows, keys: Rows, ids: dict[str, int], newest_us: int) -> dict[tuple[int, str, int], int | str]:
    """Return what must be stored once the market has come to ``newest_us``."""
    found = {}
    for name, model in ids.items():
        labels = expected(rows, TARGETS[name])
        for coin, us in keys:
            end = us + round(TARGETS[name].get("future_minutes", 0) * 60 * SECOND_US)
            if end + _DELAY_US <= newest_us:
                found[model, coin, us] = labels[coin, us]
    return found


def counts_add_up(database: Database) -> None:
    """Sums by day are those of the outcomes of rows in scope."""
    with database.connection() as connection:
        counted = connection.execute(
            "SELECT model_id, day, known, positive, predicted_positive, true_positive, unknown FROM outcome_counts"
        ).fetchall()
        found = connection.execute(
            "SELECT model_id, date_trunc('day', \"timestamp\", 'UTC'), count(label), coalesce(sum(label), 0),"
            " count(label) FILTER (WHERE prediction = 1), count(*) FILTER (WHERE prediction = 1 AND label = 1),"
            " count(*) - count(label) FROM outcomes WHERE in_scope GROUP BY 1, 2"
        ).fetchall()
    assert sorted(counted) == sorted(found)


def test_a_replayed_day_has_the_outcomes_that_brute_force_finds(database: Database):
    rows, ids = a_day(coins=8, minutes=100), register_targets(database)
    seen: Rows = {}
    for minute in (40, 41, 70, 100):
        new = {
            key: price for key, price in rows_until(rows, START_US + minute * 60 * SECOND_US).items() if key not in seen
        }
        write_prices(database, new)
        predict(database, new, ids.values(), seed=minute)
        seen |= new
        judged(database)
        newest = max(us for _, us in seen)
        found, wanted = stored(database), all_expected(seen, seen, ids, newest)
        assert found.keys() == wanted.keys()
        # What had ended by then and trades again is judged anew; what came later is not known yet.
        assert {key for key in found if found[key] != wanted[key]} == set()
        assert judged(database) == MaturingReport()
    kinds = Counter(wanted.values())
    assert set(kinds) == {0, 1, "ended", "gap", "no_value"}
    assert min(kinds.values()) > 10
    counts_add_up(database)


def test_nothing_is_judged_before_its_time_and_everything_when_it_has_come(database: Database):
    ids = register_targets(database, ["up at"])
    first, end = START_US, START_US + 600 * SECOND_US
    write_prices(database, {("a", first): 1.0, ("a", end): 1.02})
    predict(database, [("a", first)], ids.values())
    assert judged(database) == MaturingReport()
    write_prices(database, {("b", end + _DELAY_US - 1): 1.0})
    assert judged(database) == MaturingReport()
    write_prices(database, {("b", end + _DELAY_US): 1.0})
    assert judged(database) == MaturingReport(judged=1)
    assert stored(database) == {(ids["up at"], "a", first): 1}


def test_a_prediction_from_the_future_holds_up_no_other(database: Database):
    ids = register_targets(database, ["up at"])
    future, end = START_US + 10**12, START_US + 600 * SECOND_US
    write_prices(database, {("a", START_US): 1.0, ("a", end): 0.9, ("a", end + _DELAY_US): 0.9, ("b", future): 1.0})
    for key in [("b", future), ("a", START_US), ("b", future + 1)]:
        predict(database, [key], ids.values())
    with database.connection() as connection:
        connection.execute("DELETE FROM coin_metrics WHERE mint = 'b'")
    assert judged(database) == MaturingReport(judged=1)
    later = future + 600 * SECOND_US
    write_prices(database, {("b", future): 1.0, ("b", later): 0.5, ("b", later + _DELAY_US + 1): 2.0})
    assert judged(database).judged == 2
    assert stored(database) == {
        (ids["up at"], "a", START_US): 0,
        (ids["up at"], "b", future): 0,
        (ids["up at"], "b", future + 1): "no_row",
    }


def test_a_transaction_that_is_still_open_loses_none_of_its_predictions(database: Database):
    """Its ids are smaller than those of a prediction that is judged before it ends."""
    (model,) = register_targets(database, ["next"]).values()
    late = START_US + 300 * SECOND_US
    write_prices(database, {("a", START_US): 1.0, ("a", late): 2.0})
    store = PostgresOutcomeStore(database)
    insert = (
        'INSERT INTO predictions (coin_id, "timestamp", model_id, prediction, probability)'
        f" VALUES ('a', timestamptz 'epoch' + %s * interval '1 microsecond', {model}, 1, 0.5)"
    )
    with database.connection() as connection:
        create_partitions(connection, np.array([START_US, late], dtype=np.int64))
    with database.connection() as slow:
        slow.execute(insert.encode(), [START_US])
        with database.connection() as quick:
            quick.execute(insert.encode(), [late])
        assert mature(store, "coins") == MaturingReport()
    write_prices(database, {("b", late + _DELAY_US): 1.0})
    assert mature(store, "coins") + mature(store, "coins") == MaturingReport(judged=2)
    assert stored(database) == {(model, "a", START_US): 1, (model, "a", late): "ended"}


def test_rows_that_come_late_or_are_corrected_correct_the_outcomes(database: Database, session: PostgresFeedSession):
    """By a lane that predicts the rows and notes their revisions, as in a running predictor."""
    ids = register_targets(database, ["up at", "below within", "next"], active=True)
    rows, lane = a_day(coins=4, minutes=30, seed=3), a_lane(database, session)
    rng = np.random.default_rng(1)
    keys = sorted(rows)
    held_back = {keys[k]: rows[keys[k]] for k in rng.choice(len(keys), 12, replace=False)}
    write_prices(database, {key: rows[key] for key in keys if key not in held_back})
    drain(lane)
    assert judged(database).judged > 0
    before = stored(database)

    write_prices(database, held_back)
    for key in [keys[k] for k in rng.choice(len(keys), 12, replace=False)]:
        rows[key] = rows[key] * 1.03 if rng.random() < 0.8 else float("nan")
        write_prices(database, {key: rows[key]})
    drain(lane)
    done = judged(database)

    found, newest = stored(database), max(us for _, us in rows)
    assert found == all_expected(rows, rows, ids, newest)
    changed = {key: label for key, label in before.items() if found[key] != label}
    assert done.corrected == len(changed) > 20
    assert corrections(database) == {(*key, label) for key, label in changed.items()}
    assert judged(database) == MaturingReport()
    counts_add_up(database)


def corrections(database: Database) -> set[tuple[int, str, int, int | str]]:
    """Return model, coin, moment and earlier label of each correction."""
    with database.connection() as connection:
        found = connection.execute(
            'SELECT c.model_id, c.coin_id, (extract(epoch FROM c."timestamp") * 1000000)::bigint,'
            " coalesce(c.label::text, c.reason) FROM outcome_corrections c"
            ' JOIN outcomes o USING (coin_id, "timestamp", model_id) WHERE o.corrected_at = c.corrected_at'
        ).fetchall()
    return {(*row[:3], int(row[3]) if row[3].isdigit() else row[3]) for row in found}


def test_a_coin_that_trades_again_after_it_had_ended_is_judged_anew(database: Database):
    ids = register_targets(database, ["up at", "next"])
    market = START_US + 1000 * SECOND_US
    write_prices(database, {("a", START_US): 1.0, ("b", market): 1.0})
    predict(database, [("a", START_US)], ids.values())
    assert judged(database) == MaturingReport(judged=2)
    assert set(stored(database).values()) == {"ended"}
    write_prices(database, {("a", START_US + 601 * SECOND_US): 2.0})
    assert judged(database) == MaturingReport(corrected=2)
    assert stored(database) == {(ids["up at"], "a", START_US): "gap", (ids["next"], "a", START_US): 1}
    assert judged(database) == MaturingReport()


def test_a_label_stays_when_its_rows_are_no_longer_kept(database: Database):
    ids = register_targets(database, ["next"])
    moments = [START_US + k * 60 * SECOND_US for k in range(10)]
    write_prices(database, {("a", us): 1.0 + k for k, us in enumerate(moments)})
    predict(database, [("a", us) for us in moments], ids.values())
    judged(database)
    before = stored(database)
    with database.connection() as connection:
        connection.execute('DELETE FROM coin_metrics WHERE "timestamp" < to_timestamp(%s)', [moments[4] / SECOND_US])
        connection.execute(
            "INSERT INTO coin_revisions (coin_id, first_prediction_id, kind, timestamps)"
            " SELECT 'a', max(id), 'corrected', ARRAY[to_timestamp(%s)] FROM predictions",
            [moments[3] / SECOND_US],
        )
    assert judged(database) == MaturingReport()
    assert stored(database) == before


def test_old_outcomes_are_removed_in_batches_and_their_sums_stay(database: Database):
    (model,) = register_targets(database, ["next"]).values()
    rows = {("a", START_US + k * 60 * SECOND_US): 1.0 + k for k in range(30)}
    write_prices(database, rows)
    predict(database, rows, [model])
    judged(database)
    with database.connection() as connection:
        connection.execute(
            "UPDATE outcomes SET \"timestamp\" = now() - interval '5 days'"
            ' WHERE "timestamp" = (SELECT max("timestamp") FROM outcomes)'
        )
        connection.execute(
            'INSERT INTO outcome_corrections (coin_id, "timestamp", model_id, label, judged_at)'
            ' SELECT coin_id, "timestamp", model_id, 0, now() FROM outcomes'
        )
        sums = connection.execute("SELECT * FROM outcome_counts").fetchall()
    store = PostgresOutcomeStore(database)
    assert [store.remove_older(6, 20) for _ in range(3)] == [20, 7, 0]
    assert len(stored(database)) == 1
    with database.connection() as connection:
        assert connection.execute("SELECT count(*) FROM outcome_corrections").fetchone() == (1,)
        assert connection.execute("SELECT * FROM outcome_counts").fetchall() == sums


# Imports and compiles once; each line on its input makes a process that judges until it is killed.
_JUDGES = """
import os, signal, sys
import numpy as np
import kurswerk.oversight._maturing as maturing
from kurswerk.labels import LabelSpec, compute_labels
from kurswerk.market import Panel
from kurswerk.storage.binary_copy import compile_now
from kurswerk.storage.outcomes import PostgresOutcomeStore
from kurswerk.storage.server import Database
maturing._LEAST_AT_ONCE = maturing._PREDICTIONS_AT_ONCE = 30
compile_now()
panel = Panel.from_columns(["a"], np.zeros(1, np.int64), {"v": np.ones(1)})
for options in ({"operator": ">", "target_value": 1.0}, {"min_percent_change": 1.0, "direction": "up"}):
    for mode in ("at", "within"):
        compute_labels(panel, LabelSpec("v", minutes=1, mode=mode, **options))
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
here = os.getpid()
for _ in sys.stdin:
    number = os.fork()
    if not number:
        store = PostgresOutcomeStore(Database(sys.argv[1]))
        while os.getppid() == here:
            maturing.mature(store, "coins")
        os._exit(0)
    print(number, flush=True)
"""


def test_services_that_are_killed_at_any_moment_leave_each_prediction_judged_once(database: Database):
    """Three at a time; one after the other is killed as soon as some more is judged, until all is."""
    rows, ids = a_day(coins=3, minutes=60, seed=5), register_targets(database)
    write_prices(database, rows)
    predict(database, rows, ids.values())
    wanted = all_expected(rows, rows, ids, max(us for _, us in rows))
    rng, kills, have = np.random.default_rng(0), 0, 0
    with subprocess.Popen(
        [sys.executable, "-c", _JUDGES, database.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as judges:
        numbers = [start(judges) for _ in range(3)]
        try:
            while have < len(wanted):
                goal = min(len(wanted), have + int(rng.integers(1, 400)))
                have = waiting.until(lambda goal=goal: (n := count(database)) >= goal and n, what=f"{goal} outcomes")
                os.kill(numbers.pop(0), signal.SIGKILL)
                kills += 1
                numbers.append(start(judges))
        finally:
            for number in numbers:
                os.kill(number, signal.SIGKILL)
    assert kills >= 5
    assert stored(database) == wanted
    counts_add_up(database)


def start(judges: subprocess.Popen[str]) -> int:
    """Start a process that judges; return its number."""
    assert judges.stdin is not None
    assert judges.stdout is not None
    judges.stdin.write("\n")
    judges.stdin.flush()
    return int(judges.stdout.readline())


def count(database: Database) -> int:
    with database.connection() as connection:
        row = connection.execute("SELECT count(*) FROM outcomes").fetchone()
    return row[0] if row else 0


def test_another_market_has_outcomes_of_its_own(database: Database):
    """Candles have another key and another name of the moment."""
    assert COINS.name == "coins"
    (model,) = register_targets(database, ["up at"]).values()
    with database.connection() as connection:
        connection.execute(
            'UPDATE ml_models SET market = \'candles\', spec = spec || \'{"market": "candles", "target_var": "close",'
            ' "features": ["volume"]}\''
        )
        connection.execute(
            "INSERT INTO candles (symbol, time, close) SELECT 'BTC', to_timestamp(60 * k), 100 + k % 3"
            " FROM generate_series(0, 30) k"
        )
    predict(database, [("BTC", 60 * k * SECOND_US) for k in range(31)], [model])
    assert mature(PostgresOutcomeStore(database), "coins") == MaturingReport()
    assert mature(PostgresOutcomeStore(database), "candles") == MaturingReport(judged=19)
    assert stored(database) == {
        (model, "BTC", 60 * k * SECOND_US): int((k + 10) % 3 - k % 3 >= (100 + k % 3) / 100) for k in range(19)
    }


def test_markets_that_have_no_tables_yet_hold_up_no_other(database: Database):
    store = PostgresOutcomeStore(database)
    assert any(market.on_demand for market in MARKETS.values())
    assert {mature(store, name).judged for name in MARKETS} == {0}
