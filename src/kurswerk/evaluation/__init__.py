"""Splits, metrics, baselines, intervals, simulated trades and paired tests."""

from kurswerk.evaluation._baselines import Baseline, persistence, recent_volatility
from kurswerk.evaluation._blocks import Blocks, Bootstrap, Estimate, make_blocks
from kurswerk.evaluation._candidate import METRIC_NAMES
from kurswerk.evaluation._comparison import McNemar, PairedComparison, compare_paired, mcnemar, winner
from kurswerk.evaluation._curves import curves
from kurswerk.evaluation._ended import EndedRows, ended_within_horizon
from kurswerk.evaluation._evaluation import Evaluation, evaluate, evaluate_panel
from kurswerk.evaluation._folds import CvSummary, FoldScores, accuracy_degradation, is_overfitted, summarize_folds
from kurswerk.evaluation._forecast_comparison import ForecastComparison, compare_forecasts
from kurswerk.evaluation._forecast_tests import DieboldMariano, Moments, diebold_mariano, information_coefficient
from kurswerk.evaluation._forecasts import (
    FORECAST_METRICS,
    ForecastEvaluation,
    ForecastPart,
    ForecastRows,
    NaiveForecasts,
    evaluate_forecasts,
)
from kurswerk.evaluation._metrics import Metrics, brier, classification_metrics, log_loss
from kurswerk.evaluation._overlap import Overlap, overlap
from kurswerk.evaluation._ranking import pr_auc, roc_auc
from kurswerk.evaluation._splits import Fold, purged_hold_out, purged_walk_forward
from kurswerk.evaluation._trades import TradeCosts, Trades, change_of_costs, simulate_trades, trade_returns

__all__ = [
    "FORECAST_METRICS",
    "METRIC_NAMES",
    "Baseline",
    "Blocks",
    "Bootstrap",
    "CvSummary",
    "DieboldMariano",
    "EndedRows",
    "Estimate",
    "Evaluation",
    "Fold",
    "FoldScores",
    "ForecastComparison",
    "ForecastEvaluation",
    "ForecastPart",
    "ForecastRows",
    "McNemar",
    "Metrics",
    "Moments",
    "NaiveForecasts",
    "Overlap",
    "PairedComparison",
    "TradeCosts",
    "Trades",
    "accuracy_degradation",
    "brier",
    "change_of_costs",
    "classification_metrics",
    "compare_forecasts",
    "compare_paired",
    "curves",
    "diebold_mariano",
    "ended_within_horizon",
    "evaluate",
    "evaluate_forecasts",
    "evaluate_panel",
    "information_coefficient",
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
