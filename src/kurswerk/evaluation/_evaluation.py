"""A model's metrics with intervals, against naive baselines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError
from kurswerk.evaluation._baselines import Baseline, persistence, recent_volatility
from kurswerk.evaluation._blocks import Blocks, Bootstrap, Estimate, make_blocks, resampling_json
from kurswerk.evaluation._candidate import Candidate, measure
from kurswerk.evaluation._curves import curves
from kurswerk.evaluation._ended import EndedRows, trades_with_last_price
from kurswerk.evaluation._metrics import Metrics, checked, metrics_of_decisions
from kurswerk.evaluation._trades import TradeCosts, Trades, simulate_trades, trade_returns
from kurswerk.labels import Labels
from kurswerk.market import Panel

Float = NDArray[np.float64]
Int = NDArray[np.int64]

BASE_RATE, VOLATILITY, PERSISTENCE = "base_rate", "volatility", "persistence"


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a model on one set of rows, beside baselines on the same rows.

    Attributes
    ----------
    metrics
        What the database keeps.
    num_samples, num_positive, num_negative
        Rows evaluated.
    threshold
        Smallest probability called positive.
    estimates
        Metric name → value with interval.
    baselines
        Baseline → metric → value with interval.
    differences
        Baseline → metric → model minus baseline, paired by block, with interval.
    trades
        The simulated trades, or None where there is no price.
    ended
        What the trades would be with those of instruments that stop trading before the horizon, left at their last
        price; see `trades_with_last_price`. None where it was not asked for.
    curves
        As `curves` returns them.
    resampling
        How the intervals were drawn, as JSON.
    """

    metrics: Metrics
    num_samples: int
    num_positive: int
    num_negative: int
    threshold: float
    estimates: Mapping[str, Estimate]
    baselines: Mapping[str, Mapping[str, Estimate]]
    differences: Mapping[str, Mapping[str, Estimate]]
    trades: Trades | None
    ended: Mapping[str, Any] | None
    curves: Mapping[str, Any]
    resampling: Mapping[str, Any]

    @property
    def pr_auc(self) -> float | None:
        """Average precision."""
        return self.estimates["pr_auc"].value

    @property
    def brier(self) -> float | None:
        """Mean squared error of the probability."""
        return self.estimates["brier"].value

    @property
    def log_loss(self) -> float | None:
        """Mean negative log-likelihood in nats."""
        return self.estimates["log_loss"].value

    @property
    def base_rate(self) -> float | None:
        """Share of positive rows."""
        return self.estimates["base_rate"].value

    def beats(self, baseline: str, metric: str = "pr_auc") -> bool:
        """Whether the model's metric is above the baseline's by more than the interval of the difference."""
        difference = self.differences[baseline][metric]
        return difference.low is not None and difference.low > 0

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {
            "num_samples": self.num_samples,
            "num_positive": self.num_positive,
            "num_negative": self.num_negative,
            "threshold": self.threshold,
            "confusion_matrix": self.metrics.confusion_matrix,
            "metrics": _json(self.estimates),
            "baselines": {name: _json(estimates) for name, estimates in self.baselines.items()},
            "differences": {name: _json(estimates) for name, estimates in self.differences.items()},
            "beats": {name: self.beats(name) for name in self.differences},
            "trades": None if self.trades is None else self.trades.as_json(),
            "ended_within_horizon": None if self.ended is None else dict(self.ended),
            "curves": dict(self.curves),
            "bootstrap": dict(self.resampling),
        }


def _json(estimates: Mapping[str, Estimate]) -> dict[str, dict[str, float | None]]:
    return {name: estimate.as_json() for name, estimate in estimates.items()}


def evaluate(
    y: NDArray[np.integer],
    probability: NDArray[np.floating],
    codes: Int,
    timestamps: Int,
    *,
    threshold: float = 0.5,
    horizon_us: int = 0,
    baselines: Mapping[str, Baseline] | None = None,
    base_rate: float | None = None,
    returns: Float | None = None,
    trades: Trades | None = None,
    ended: Mapping[str, Any] | None = None,
    bootstrap: Bootstrap | None = None,
) -> Evaluation:
    """Measure predictions with bootstrap intervals by instrument and block of time, beside baselines on the same rows.

    Parameters
    ----------
    y
        1 or 0, shape (n,); rows of unknown label left out.
    probability
        Of class 1, in [0, 1], shape (n,).
    codes, timestamps
        Instrument and time (microseconds UTC) of each row, shape (n,); they make the blocks, see `make_blocks`.
    threshold
        Smallest probability called positive.
    horizon_us
        How far the label looks ahead.
    baselines
        Name → `Baseline` over the same rows; the constant base rate is always added.
    base_rate
        The constant of that baseline, as known from training; the rows' own rate if None, which favours it.
    returns
        Net return in percent of a trade on each row, NaN where none is possible (`trade_returns`).
    trades, ended
        The model's simulated trades, kept for the report.
    bootstrap
        Replicates, confidence and seed; the defaults of `Bootstrap` if None.

    Raises
    ------
    DataError
        If there are no rows, lengths differ, or a value is out of range.

    Examples
    --------
    >>> y, probability = np.tile([0, 1], 50), np.tile([0.2, 0.7], 50)
    >>> found = evaluate(y, probability, np.zeros(100, dtype=int), np.arange(100) * 3_600_000_000)
    >>> found.pr_auc, found.baselines["base_rate"]["pr_auc"].value, found.beats("base_rate")
    (1.0, 0.5, True)
    """
    y, probability = checked(y, probability)
    if len(codes) != len(y):
        raise DataError("evaluation.labels_not_one_per_row", labels=len(y), instruments=len(codes))
    bootstrap = bootstrap or Bootstrap()
    blocks = make_blocks(codes, timestamps, horizon_us)
    decisions = probability >= threshold
    candidates = {
        "": Candidate.of(y, probability, decisions, blocks, has_probability=True, returns=returns),
        BASE_RATE: _constant(y, blocks, base_rate, threshold, returns),
    }
    for name, baseline in (baselines or {}).items():
        if len(baseline.scores) != len(y):
            raise DataError(
                "evaluation.baseline_not_one_per_row", baseline=name, scores=len(baseline.scores), rows=len(y)
            )
        decided = baseline.decide(int(np.count_nonzero(decisions)))
        candidates[name] = Candidate.of(y, baseline.scores, decided, blocks, has_probability=False, returns=returns)
    measured = measure(candidates, blocks, bootstrap)
    model = measured.pop("")
    estimates = model.estimates(blocks, bootstrap)
    num_positive = int(np.count_nonzero(y))
    return Evaluation(
        metrics=metrics_of_decisions(y, decisions, probability, estimates["simulated_profit_pct"].value),
        num_samples=len(y),
        num_positive=num_positive,
        num_negative=len(y) - num_positive,
        threshold=threshold,
        estimates=estimates,
        baselines={name: other.estimates(blocks, bootstrap) for name, other in measured.items()},
        differences={name: model.minus(other, blocks, bootstrap) for name, other in measured.items()},
        trades=trades,
        ended=ended,
        curves=curves(y, probability, returns),
        resampling=resampling_json(blocks, bootstrap),
    )


def _constant(
    y: NDArray[np.int8], blocks: Blocks, base_rate: float | None, threshold: float, returns: Float | None
) -> Candidate:
    rate = float(np.mean(y)) if base_rate is None else base_rate
    if not 0 <= rate <= 1:
        raise DataError("evaluation.base_rate_out_of_range", rate=rate)
    decisions = np.full(len(y), rate >= threshold)
    return Candidate.of(y, np.full(len(y), rate), decisions, blocks, has_probability=True, returns=returns)


def evaluate_panel(
    panel: Panel,
    labels: Labels,
    rows: Int,
    probability: NDArray[np.floating],
    *,
    threshold: float = 0.5,
    base_rate: float | None = None,
    price_column: str | None = None,
    reserves_column: str | None = None,
    costs: TradeCosts | None = None,
    ended: EndedRows | None = None,
    bootstrap: Bootstrap | None = None,
) -> Evaluation:
    """Evaluate predictions for rows of a panel beside all naive baselines, with simulated trades.

    The baselines see the whole panel up to each row, so it should start before the first evaluated row; with a
    price in it there are trades and the ranking by recent volatility.

    Parameters
    ----------
    panel
        All rows, history included.
    labels
        Of all rows of the panel.
    rows
        Indices of the rows evaluated; their labels must be known.
    probability
        For those rows, shape (len(rows),).
    threshold, base_rate, bootstrap
        As in `evaluate`.
    price_column
        The price at which is traded, the market's close; None, or a column that the panel lacks: no trades.
    reserves_column
        Where costs with price impact find the reserves; None, or a column that the panel lacks: no such costs.
    costs
        Of the simulated trades; its direction is `LabelSpec.trade_direction`.
    ended
        Predictions for rows of instruments that stop trading before their horizon.

    Raises
    ------
    DataError
        If a row's label is unknown, or as in `evaluate`.
    """
    y = labels.values[rows]
    if len(y) != len(probability):
        raise DataError("evaluation.probabilities_not_one_per_row", probabilities=len(probability), rows=len(y))
    costs = costs or TradeCosts()
    latest = persistence(panel, labels)[rows]
    baselines = {PERSISTENCE: Baseline(latest, latest == 1.0)}
    returns, trades, with_ended = None, None, None
    if price_column in panel.columns:
        baselines[VOLATILITY] = Baseline(recent_volatility(panel, price_column)[rows])
        price = panel.column(price_column)
        reserves = panel.column(reserves_column) if reserves_column in panel.columns else None
        returns = trade_returns(price, labels.exit_row, costs, reserves)[rows]
        decisions = np.zeros(len(panel), dtype=np.bool_)
        decisions[rows] = np.asarray(probability, dtype=np.float64) >= threshold
        trades = simulate_trades(price, panel.timestamps, labels.exit_row, decisions, costs, reserves)
        if ended is not None:
            with_ended = trades_with_last_price(
                panel,
                labels,
                decisions,
                ended,
                evaluated=len(rows),
                threshold=threshold,
                price=price,
                costs=costs,
                reserves=reserves,
            )
    horizon_us = int(np.max(labels.end_us[rows] - panel.timestamps[rows], initial=0))
    return evaluate(
        y,
        probability,
        panel.codes[rows],
        panel.timestamps[rows],
        threshold=threshold,
        horizon_us=horizon_us,
        baselines=baselines,
        base_rate=base_rate,
        returns=returns,
        trades=trades,
        ended=with_ended,
        bootstrap=bootstrap,
    )
