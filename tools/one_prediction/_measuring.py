"""Start everything, insert rows one by one, and collect what is seen of each."""

import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql

from benchmarks._coin_rows import own_database
from benchmarks.serving import activate_all, register_ten
from kurswerk.features import engineered_names
from kurswerk.market import market_named
from kurswerk.sources.market_part import open_market
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.server import Database

from ._observing import Key, Seen, Watch, listeners
from ._statements import statement_times

MOST_WAIT_S = 300.0
WARM_UP = 20
SPLIT_ROWS = 50
COINS = 10


@contextmanager
def service(database: Database, folder: Path) -> Iterator[str]:
    """Run ``kurswerk serve`` and give its URL."""
    settings = {
        "KURSWERK_DATABASE_URL": database.url,
        "KURSWERK_DATA_DIR": str(folder),
        "KURSWERK_LOG_LEVEL": "warning",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "kurswerk", "serve", "--port", "0", "--json"],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        document, _ = json.JSONDecoder().raw_decode(_document(process))
        yield document["addresses"]["api"]
    finally:
        process.terminate()
        process.wait()


def _document(process: subprocess.Popen[str]) -> str:
    text = ""
    for line in process.stdout or ():
        text += line
        if line.rstrip() == "}":
            return text
    raise SystemExit("the service did not start")


def insert_statement() -> sql.Composed:
    """Return the statement that writes one row, as any program may write it."""
    names = ("mint", "timestamp", *market_named().columns)
    return sql.SQL("INSERT INTO coin_metrics ({}) VALUES ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL(", ").join(map(sql.Placeholder, names))
    )


def metric_sums(url: str) -> dict[str, float]:
    """Return the seconds that features and predictions have taken so far."""
    text = httpx.get(f"{url}/metrics").text
    names = ("ml_feature_processing_duration_seconds_sum", "ml_prediction_duration_seconds_sum")
    return {name: float(re.findall(rf"^{name} (\S+)$", text, re.MULTILINE)[0]) for name in names}


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + MOST_WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {MOST_WAIT_S:g} s: {what}")
        time.sleep(0.05)


def send(connection: psycopg.Connection, rows: Sequence[dict[str, Any]], url: str, watch: Watch) -> list[Seen]:
    """Insert rows one by one, each once all is known of the one before; return what was seen of each."""
    statement, found = insert_statement(), []
    before = metric_sums(url)
    for values in rows:
        moment = datetime.now(UTC)
        seen = watch.expect((values["mint"], round(moment.timestamp() * 1e6)))
        seen.sent = time.time()
        connection.execute(statement, values | {"timestamp": moment})
        seen.committed = time.time()
        if not watch.done.wait(MOST_WAIT_S):
            raise SystemExit(f"a row's way did not end: {seen}")
        time.sleep(0.1)  # the predictor counts after it has stored
        after = metric_sums(url)
        features, models = (after[name] - before[name] for name in before)
        seen.features_s, seen.models_s = features, models * watch.models
        before = after
        found.append(seen)
        # At no fixed distance from the last one: nothing that polls regularly shall be met at the same point.
        time.sleep(random.uniform(0.05, 0.6))  # noqa: S311 - no secret  # nosec B311
    return found


@dataclass(frozen=True)
class Measured:
    """What was seen of each row, milliseconds of each statement inside the predictor's transaction, and the setting."""

    rows: Sequence[Seen]
    inside: Mapping[str, Sequence[float]]
    coins: int
    features: int
    models: int
    load: float


def measure(count: int) -> Measured:
    """Start everything, insert rows, and watch."""
    names = ["price_close", *engineered_names(tuple(market_named().columns), market_named(), (5, 10, 15))]
    with ExitStack() as stack:
        database, folder = stack.enter_context(own_database())
        ids = [model_id for model_id, _ in register_ten(database, names)]
        market = open_market(PostgresMarketStore(database, market_named()), speed=100.0, births_per_hour=60.0)
        rows = market.until(time.time_ns() // 1000 + 600_000_000).to_pylist()
        coins = [coin for coin, _ in Counter(row["mint"] for row in rows).most_common(COINS)]
        rows = [row for row in rows if row["mint"] in coins]
        activate_all(database)
        connection = stack.enter_context(psycopg.connect(database.url, autocommit=True))
        connection.execute("UPDATE ml_models SET alert_threshold = 0 WHERE id = %s", [ids[0]])
        url = stack.enter_context(service(database, folder / "service"))
        watch = Watch(len(ids))
        target = stack.enter_context(listeners(database, url, watch))
        until(lambda: all(one["loaded"] for one in httpx.get(f"{url}/api/models/active").json()["models"]), "models")
        rule = {"name": "all", "model_ids": ids[:1], "cooldown_seconds": 0, "channel": "webhook", "target": target}
        httpx.post(f"{url}/api/alerts/rules", json=rule).raise_for_status()
        send(connection, rows[:WARM_UP], url, watch)
        load = os.getloadavg()[0]
        seen = send(connection, rows[WARM_UP : WARM_UP + count], url, watch)
        for one in seen:
            one.begun = begun(connection, one.key)
        split = _split(connection, rows[WARM_UP + count :][:SPLIT_ROWS], url, watch)
        return Measured(seen, split, len(coins), len(names), len(ids), load)


def begun(connection: psycopg.Connection, key: Key) -> float:
    """Return when the transaction that predicted a row was begun."""
    row = connection.execute(
        "SELECT extract(epoch FROM min(created_at))::float8 FROM predictions"
        " WHERE coin_id = %s AND \"timestamp\" = timestamptz 'epoch' + %s * interval '1 microsecond'",
        key,
    ).fetchone()
    if row is None or row[0] is None:
        raise SystemExit(f"there is no prediction of {key}")
    return float(row[0])


def _split(
    connection: psycopg.Connection, rows: Sequence[dict[str, Any]], url: str, watch: Watch
) -> dict[str, list[float]]:
    """Have PostgreSQL log each statement of some more rows, and read how long they took."""
    shown = connection.execute("SELECT current_setting('data_directory')").fetchone()
    for name, value in (("log_line_prefix", "%a|"), ("log_min_duration_statement", "0")):
        connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
    connection.execute("SELECT pg_reload_conf()")
    send(connection, rows, url, watch)
    logs = sorted(Path(shown[0] if shown else "").parent.rglob("*log*"))
    return statement_times("".join(path.read_text(errors="replace") for path in logs if path.is_file()))
