"""One way of predicting (a model or a baseline), reduced to what every bootstrap replicate needs."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kurswerk.evaluation._blocks import Blocks, Bootstrap, Estimate, draw, estimates_of
from kurswerk.evaluation._metrics import confusion_rates, row_log_loss
from kurswerk.evaluation._ranking import Ranking

Float = NDArray[np.float64]

METRIC_NAMES: Final = (
    "pr_auc",
    "roc_auc",
    "accuracy",
    "f1",
    "precision",
    "recall",
    "mcc",
    "fpr",
    "fnr",
    "brier",
    "log_loss",
    "base_rate",
    "simulated_profit_pct",
)


@dataclass(frozen=True, eq=False)
class Candidate:
    """Sums per block and a ranking sorted once.

    Attributes
    ----------
    block_sums
        Per block: tp, tn, fp, fn, squared errors, log losses, trades, net returns; shape (n_blocks, 8).
    ranking
        Rows by descending score.
    has_probability
        Whether the scores are probabilities; without, Brier and log loss are undefined.
    """

    block_sums: Float
    ranking: Ranking
    has_probability: bool

    @classmethod
    def of(
        cls,
        y: NDArray[np.int8],
        scores: Float,
        decisions: NDArray[np.bool_],
        blocks: Blocks,
        *,
        has_probability: bool,
        returns: Float | None = None,
    ) -> "Candidate":
        """Reduce rows; ``returns`` is the net return of a trade on each row in percent, NaN where none is possible."""
        positive = y == 1
        traded = np.zeros(len(y), dtype=np.bool_) if returns is None else decisions & np.isfinite(returns)
        gained = np.zeros(len(y)) if returns is None else np.where(traded, returns, 0.0)
        columns = [
            positive & decisions,
            ~positive & ~decisions,
            ~positive & decisions,
            positive & ~decisions,
            (scores - y) ** 2 if has_probability else np.zeros(len(y)),
            row_log_loss(y, scores) if has_probability else np.zeros(len(y)),
            traded,
            gained,
        ]
        block_sums = np.column_stack([blocks.sums(np.asarray(column, dtype=np.float64)) for column in columns])
        return cls(block_sums, Ranking.of(y, scores, blocks.codes), has_probability)

    def metrics(self, block_sums: Float, rankings: Float) -> dict[str, Float]:
        """Turn weighted sums, shape (m, 8), and (PR-AUC, ROC AUC), shape (m, 2), into metrics of shape (m,)."""
        counts = block_sums[:, :4]
        rows = counts.sum(axis=1)
        undefined = np.full(len(block_sums), np.nan)
        trades = np.where(block_sums[:, 6] > 0, block_sums[:, 6], np.nan)
        return {
            "pr_auc": rankings[:, 0],
            "roc_auc": rankings[:, 1],
            **confusion_rates(counts),
            "brier": block_sums[:, 4] / rows if self.has_probability else undefined,
            "log_loss": block_sums[:, 5] / rows if self.has_probability else undefined,
            "base_rate": (counts[:, 0] + counts[:, 3]) / rows,
            "simulated_profit_pct": block_sums[:, 7] / trades,
        }


@dataclass(frozen=True, eq=False)
class Measured:
    """Metrics of one candidate on the data themselves (floats) and on every replicate (shape (replicates,))."""

    values: dict[str, float]
    replicates: dict[str, Float]

    def estimates(self, blocks: Blocks, bootstrap: Bootstrap) -> dict[str, Estimate]:
        """Return each metric with its interval."""
        return estimates_of(self.values, self.replicates, blocks, bootstrap)

    def minus(self, other: "Measured", blocks: Blocks, bootstrap: Bootstrap) -> dict[str, Estimate]:
        """Return the difference in each metric, paired: both on the same rows in each replicate."""
        values = {name: self.values[name] - other.values[name] for name in self.values}
        replicates = {name: self.replicates[name] - other.replicates[name] for name in self.values}
        return estimates_of(values, replicates, blocks, bootstrap)


def measure(candidates: dict[str, Candidate], blocks: Blocks, bootstrap: Bootstrap) -> dict[str, Measured]:
    """Measure candidates on the same rows and the same replicates."""
    block_sums = {name: np.empty((bootstrap.replicates + 1, 8)) for name in candidates}
    rankings = {name: np.empty((bootstrap.replicates + 1, 2)) for name in candidates}
    row = 0

    def take(weights: Float) -> None:
        nonlocal row
        for name, candidate in candidates.items():
            block_sums[name][row] = weights @ candidate.block_sums
            rankings[name][row] = candidate.ranking.scores(weights)
        row += 1

    take(np.ones(blocks.count))
    draw(blocks, bootstrap, take)
    measured = {}
    for name, candidate in candidates.items():
        found = candidate.metrics(block_sums[name], rankings[name])
        measured[name] = Measured(
            {metric: float(found[metric][0]) for metric in METRIC_NAMES},
            {metric: found[metric][1:] for metric in METRIC_NAMES},
        )
    return measured
