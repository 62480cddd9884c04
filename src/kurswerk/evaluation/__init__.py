"""Splits, metrics, baselines, intervals, simulated trades and paired tests."""

from kurswerk.evaluation._baselines import Baseline, persistence, recent_volatility
from kurswerk.evaluation._blocks import Blocks, Bootstrap, Estimate, make_blocks
from kurswerk.evaluation._candidate import METRIC_NAMES
from kurswerk.evaluation._comparison import McNemar, PairedComparison, compare_paired, mcnemar, winner
from kurswerk.evaluation._curves import curves
from kurswerk.evaluation._ended import EndedRows, ended_within_horizon
from kurswerk.evaluation._evaluation import Evaluation, evaluate, evaluate_panel
from kurswerk.evaluation._folds import CvSummary, FoldScores, accuracy_degradation, is_overfitted, summarize_folds
from kurswerk.evaluation._metrics import Metrics, brier, classification_metrics, log_loss
from kurswerk.evaluation._overlap import Overlap, overlap
from kurswerk.evaluation._ranking import pr_auc, roc_auc
from kurswerk.evaluation._splits import Fold, purged_hold_out, purged_walk_forward
from kurswerk.evaluation._trades import TradeCosts, Trades, simulate_trades, trade_returns

__all__ = [
    "METRIC_NAMES",
    "Baseline",
    "Blocks",
    "Bootstrap",
    "CvSummary",
    "EndedRows",
    "Estimate",
    "Evaluation",
    "Fold",
    "FoldScores",
    "McNemar",
    "Metrics",
    "Overlap",
    "PairedComparison",
    "TradeCosts",
    "Trades",
    "accuracy_degradation",
    "brier",
    "classification_metrics",
    "compare_paired",
    "curves",
    "ended_within_horizon",
    "evaluate",
    "evaluate_panel",
    "is_overfitted",
    "log_loss",
    "make_blocks",
    "mcnemar",
    "overlap",
    "persistence",
    "pr_auc",
    "purged_hold_out",
    "purged_walk_forward",
    "recent_volatility",
    "roc_auc",
    "simulate_trades",
    "summarize_folds",
    "trade_returns",
    "winner",
]
