"""The page that is written from the measurements."""

import os
from collections.abc import Callable, Sequence

import numpy as np
import psutil

from kurswerk import __version__

from ._measuring import Measured
from ._observing import Seen

HEAD = """# The way of one prediction

Written by `python -m tools.one_prediction` from what it measured: PostgreSQL and one `kurswerk serve` on one machine,
with {models} active models (5 forests, 5 XGBoost of 100 trees each) on {features} engineered features. {rows} rows of
{coins} simulated coins were inserted one by one with plain INSERTs, at irregular intervals, each once all was known of
the one before: this is how long a row takes that nothing else is in the way of; `python -m benchmarks serving` measures
thousands of rows a second. Every row is predicted by all models and raises one alert, which a rule sends
to a webhook.

Moments are by one clock, in milliseconds after the writer knew that its INSERT is committed. “One row” is the row
that took the median time to the last WebSocket message.

"""
INSIDE_HEAD = """
A notification can arrive before the writer has the answer to its commit. Alerts are rows of the same transaction as
the predictions. What happens in it, each by itself:

"""
TAIL = """
Features and models are the service's own metrics, of the same rows. Statements are by PostgreSQL's log, of {split}
further rows. The rest of the time is Python's, decoding and encoding rows, and round trips.

Measured on {cores} cores with {memory} GiB of memory, on which the listeners ran, too, with Kurswerk {version}.
Load average of the machine when it began: {load:.1f}.
"""

STEPS: dict[str, Callable[[Seen], float | None]] = {
    "NOTIFY: the feed has a row": lambda row: row.fed,
    "the predictor has begun its transaction": lambda row: row.begun,
    "predictions, alert and its message are committed, as a listener of the database sees": lambda row: row.stored,
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
