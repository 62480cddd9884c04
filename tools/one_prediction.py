"""Write docs/one-prediction.md: a row's way from INSERT to alert, measured from outside on a real service.

Starts PostgreSQL and ``kurswerk serve`` with ten active models, inserts rows one by one and notes when each step is
seen: by a listener of the database, a WebSocket client and a receiver of webhooks of its own. ``--rows N`` measures
fewer.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import psycopg
from psycopg import sql
from websockets.sync.client import connect

from benchmarks._coin_rows import own_database
from benchmarks.serving import activate_all, register_ten
from kurswerk import __version__
from kurswerk.bootstrap.market_part import open_market
from kurswerk.features import engineered_names
from kurswerk.market import market_named
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.server import Database

TARGET = Path(__file__).resolve().parents[1] / "docs" / "one-prediction.md"
PREDICTOR = "kurswerk predictor"
MOST_WAIT_S = 300.0
WARM_UP = 20
SPLIT_ROWS = 50
COINS = 10
# What the predictor's transaction consists of: name → how its statements begin or what they contain.
INSIDE = {
    "take the row and its values from the feed": r"coin_feed",
    "read which models are active": r"FROM ml_models",
    "reserve ids": r"pg_get_serial_sequence",
    "store the predictions (COPY)": r"COPY predictions",
    "store the alert": r"INSERT INTO prediction_alerts",
    "rules and message": r"alert_rules|alert_deliveries",
    "counts and notification": r"prediction_counts|pg_notify",
    "commit": r"COMMIT",
}

Key = tuple[str, int]


HEAD = """# The way of one prediction

Written by `python -m tools.one_prediction` from what it measured: PostgreSQL and one `kurswerk serve` on one machine,
with {models} active models (5 forests, 5 XGBoost of 100 trees each) on {features} engineered features. {rows} rows of
{coins} simulated coins were inserted one by one with plain INSERTs, at irregular intervals, each once all was known of
the one before: this is how long a row takes that nothing else is in the way of; `python -m benchmarks serving` says
what thousands of rows a second come to. Every row is predicted by all models and raises one alert, which a rule sends
to a webhook.

Moments are by one clock, in milliseconds after the writer was told that its INSERT is committed. “One row” is the row
that took the median time to the last WebSocket message.

"""
INSIDE_HEAD = """
A notification can be heard before the writer has the answer to its commit. Alerts are rows of the same transaction as
the predictions. What happens in it, each by itself:

"""
TAIL = """
Features and models are the service's own metrics, of the same rows. Statements are by PostgreSQL's log, of {split}
further rows. The rest of the time is Python's, decoding and encoding rows, and round trips.

Measured on {cores} cores with {memory} GiB of memory, on which the listeners ran, too, with Kurswerk {version}.
Load average of the machine when it began: {load:.1f}.
"""


@dataclass
class Seen:
    """Moments (seconds since 1970) at which something was seen of a row."""

    sent: float = 0.0
    committed: float = 0.0
    key: Key = ("", 0)
    fed: float | None = None
    stored: float | None = None
    messages: list[float] = field(default_factory=list)
    webhook: float | None = None
    begun: float | None = None
    features_s: float = 0.0
    models_s: float = 0.0


class Watch:
    """Collects what listeners see of the row that is on its way."""

    def __init__(self, models: int) -> None:
        self.models = models
        self.row = Seen()
        self.done = threading.Event()

    def expect(self, key: Key) -> Seen:
        """Look out for a new row."""
        self.row = Seen(key=key)
        self.done.clear()
        return self.row

    def notified(self, channel: str) -> None:
        """See a notification of the database."""
        if channel == "kurswerk_feed" and self.row.fed is None:
            self.row.fed = time.time()
        if channel == "kurswerk_predictions" and self.row.stored is None:
            self.row.stored = time.time()

    def told(self, message: Mapping[str, Any]) -> None:
        """See a message of the WebSocket."""
        if key_of(message) == self.row.key:
            self.row.messages.append(time.time())
            self._look()

    def posted(self, message: Mapping[str, Any]) -> None:
        """See a webhook."""
        if key_of(message) == self.row.key:
            self.row.webhook = time.time()
            self._look()

    def _look(self) -> None:
        if len(self.row.messages) == self.models and self.row.webhook is not None:
            self.done.set()


def key_of(message: Mapping[str, Any]) -> Key:
    """Return whose row a message is about."""
    return message["coin_id"], round(datetime.fromisoformat(message["timestamp"]).timestamp() * 1e6)


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
        said, _ = json.JSONDecoder().raw_decode(_document(process))
        yield said["addresses"]["api"]
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


@contextmanager
def listeners(database: Database, url: str, watch: Watch) -> Iterator[str]:
    """Listen to the database, the WebSocket and a port for webhooks; give the address of that."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            watch.posted(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    socket = connect(f"{url.replace('http', 'ws')}/ws/predictions")
    listening = psycopg.connect(database.url, autocommit=True)
    listening.execute("LISTEN kurswerk_feed")
    listening.execute("LISTEN kurswerk_predictions")

    def hear_database() -> None:
        with suppress(psycopg.OperationalError):  # it ends with the server
            for one in listening.notifies():
                watch.notified(one.channel)

    def hear_socket() -> None:
        for message in socket:
            watch.told(json.loads(message))

    for work in (receiver.serve_forever, hear_database, hear_socket):
        threading.Thread(target=work, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{receiver.server_port}/"
    finally:
        receiver.shutdown()
        socket.close()


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
        # At no fixed distance from the last one: nothing that looks regularly shall be met at the same point.
        time.sleep(random.uniform(0.05, 0.6))  # noqa: S311 - no secret  # nosec B311
    return found


def inside(log: str) -> dict[str, list[float]]:
    """Return how many milliseconds each statement of the predictor took, by what it is for, per transaction."""
    found: dict[str, list[float]] = {name: [] for name in INSIDE}
    current: dict[str, float] = defaultdict(float)
    pattern = rf"{PREDICTOR}\|LOG:  duration: ([\d.]+) ms  (?:parse|bind|execute|statement)[^:]*: (.*)"
    for duration, statement in re.findall(pattern, log):
        for name, words in INSIDE.items():
            if re.search(words, statement):
                current[name] += float(duration)
                break
        if statement.startswith("COMMIT"):
            if "store the predictions (COPY)" in current:
                for name in INSIDE:
                    found[name].append(current[name])
            current.clear()
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
    return inside("".join(path.read_text(errors="replace") for path in logs if path.is_file()))


STEPS: dict[str, Callable[[Seen], float | None]] = {
    "NOTIFY says that the feed has a row": lambda row: row.fed,
    "the predictor has begun its transaction": lambda row: row.begun,
    "predictions, alert and its message are committed, as a listener of the database hears": lambda row: row.stored,
    "the first WebSocket message is received": lambda row: min(row.messages),
    "the last of ten is received": lambda row: max(row.messages),
    "the webhook is received": lambda row: row.webhook,
}


def after_commit(step: Callable[[Seen], float | None], rows: Sequence[Seen]) -> list[float]:
    """Return how many milliseconds after a row's commit a step was seen, for each row."""
    return [1000 * (moment - row.committed) for row in rows if (moment := step(row)) is not None]


def quantiles(values: Sequence[float]) -> str:
    """Return p50 and p99 as cells of a table."""
    return " | ".join(f"{value:.2f}" for value in np.percentile(values, [50, 99]))


def page(measured: Measured) -> str:
    """Return the page."""
    rows = measured.rows
    way = STEPS["the last of ten is received"]
    typical = sorted(rows, key=lambda row: after_commit(way, [row]))[len(rows) // 2]
    steps = [
        f"| {name} | {quantiles(after_commit(step, rows))} | {after_commit(step, [typical])[0]:.2f} |"
        for name, step in STEPS.items()
    ]
    computing = [
        f"| compute {measured.features} features | {quantiles([1000 * row.features_s for row in rows])} |",
        f"| {measured.models} models | {quantiles([1000 * row.models_s for row in rows])} |",
    ]
    statements = [f"| {name} | {quantiles(times)} |" for name, times in measured.inside.items() if times]
    took = [1000 * (row.committed - row.sent) for row in rows]
    tail = {
        "split": len(measured.inside["commit"]),
        "cores": os.cpu_count(),
        "memory": round(psutil.virtual_memory().total / 2**30),
        "version": __version__,
        "load": measured.load,
    }
    return "\n".join(
        [
            HEAD.format(rows=len(rows), coins=measured.coins, models=measured.models, features=measured.features)
            + "| step | p50, ms | p99, ms | one row, ms |\n|---|---|---|---|",
            f"| *the INSERT itself took* | {quantiles(took)} | {1000 * (typical.committed - typical.sent):.2f} |",
            *steps,
            INSIDE_HEAD + "| within the predictor's transaction | p50, ms | p99, ms |\n|---|---|---|",
            *statements[:2],
            *computing,
            *statements[2:],
            TAIL.format(**tail),
        ]
    )


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200, help="rows to measure")
    parser.add_argument("--output", type=Path, default=TARGET, help="where to write")
    arguments = parser.parse_args()
    arguments.output.write_text(page(measure(arguments.rows)), encoding="utf-8")
    print(f"{arguments.output} written", file=sys.stderr)


if __name__ == "__main__":
    main()
