"""Rows whose instrument stops trading before their horizon: no label records what became of them, a trade would."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.evaluation._trades import TradeCosts, simulate_trades
from kurswerk.labels import UNKNOWN, Labels
from kurswerk.market import Panel

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class EndedRows:
    """Predictions for rows that `ended_within_horizon` names.

    Attributes
    ----------
    rows
        Positions in the panel, shape (n,).
    probability
        Of class 1, in [0, 1], shape (n,).
    """

    rows: Int
    probability: NDArray[np.floating]


def ended_within_horizon(panel: Panel, labels: Labels) -> Bool:
    """Return which rows have no label because their instrument's rows end although the market's go on.

    Such rows look up to a moment that the panel's last row has reached and their instrument's last row has not. Leaving
    them out silently would be survivorship bias: what stopped trading is what went to zero.

    Returns
    -------
    ndarray
        Booleans, shape (n_rows,).

    Examples
    --------
    >>> from kurswerk.labels import LabelSpec, compute_labels
    >>> panel = Panel.from_columns(
    ...     ["dead", "dead", "alive", "alive"], np.array([0, 1, 0, 9]) * 60_000_000, {"price_close": np.ones(4)}
    ... )
    >>> labels = compute_labels(panel, LabelSpec("price_close", minutes=5, min_percent_change=1, direction="up"))
    >>> panel.instruments, ended_within_horizon(panel, labels).tolist()
    (('alive', 'dead'), [False, False, True, True])
    """
    if len(panel) == 0:
        return np.zeros(0, dtype=np.bool_)
    last_us = panel.timestamps[_last_rows(panel)]
    # A label of the next row ends on the row's own time where there is none, so no deadline was missed.
    looks_ahead = labels.end_us > panel.timestamps
    reached = labels.end_us <= panel.timestamps.max()
    return np.asarray((labels.values == UNKNOWN) & looks_ahead & (last_us < labels.end_us) & reached)


def trades_with_last_price(
    panel: Panel,
    labels: Labels,
    decisions: Bool,
    ended: EndedRows,
    *,
    evaluated: int,
    threshold: float,
    price: Float,
    costs: TradeCosts,
    reserves: Float | None = None,
) -> Mapping[str, Any]:
    """Simulate the trades of all rows, those of ended instruments left at their last price; return JSON.

    Parameters
    ----------
    decisions
        Which of the rows with a label are traded, shape (n_rows,).
    ended
        The others, with their probabilities; traded from ``threshold`` on.
    evaluated
        How many rows have a label.
    price, costs, reserves
        As in `simulate_trades`.

    Returns
    -------
    dict
        ``rows`` left out of the evaluation and their ``share`` of all rows in question, how many of them were
        ``predicted_positive``, and ``trades`` as `Trades.as_json` has them, without the equity.
    """
    predicted = np.asarray(ended.probability, dtype=np.float64) >= threshold
    decided = decisions.copy()
    decided[ended.rows] = predicted
    exits = labels.exit_row.copy()
    exits[ended.rows] = _last_rows(panel)[ended.rows]
    trades = simulate_trades(price, panel.timestamps, exits, decided, costs, reserves).as_json()
    return {
        "rows": len(ended.rows),
        "share": len(ended.rows) / (len(ended.rows) + evaluated),
        "predicted_positive": int(np.count_nonzero(predicted)),
        "trades": {name: value for name, value in trades.items() if name not in {"equity", "note"}},
    }


def _last_rows(panel: Panel) -> Int:
    """Return for each row the last row of its instrument."""
    return np.asarray(panel.offsets[1:] - 1, dtype=np.int64)[panel.codes]
