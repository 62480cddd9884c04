"""The scalar metrics of a binary classifier."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metrics:
    """The scalar metrics of contracts.md for one set of predictions; None where undefined (e.g. one class only).

    Ratios lie in [0, 1], ``mcc`` in [-1, 1]; ``simulated_profit_pct`` is the mean net return per trade in percent.
    ``fpr`` and ``fnr`` are the false positive and false negative rates.
    """

    accuracy: float
    f1: float
    precision: float
    recall: float
    roc_auc: float | None
    mcc: float
    fpr: float | None
    fnr: float | None
    tp: int
    tn: int
    fp: int
    fn: int
    simulated_profit_pct: float | None

    @property
    def confusion_matrix(self) -> dict[str, int]:
        """The four counts as the database keeps them."""
        return {"tp": self.tp, "tn": self.tn, "fp": self.fp, "fn": self.fn}
