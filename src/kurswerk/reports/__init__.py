"""Reports: one self-contained HTML file with charts on what was done and how good the models are."""

from kurswerk.reports._candles import figure_candles
from kurswerk.reports._evaluation_charts import (
    figure_calibration,
    figure_confusion,
    figure_equity,
    figure_precision_recall,
    figure_roc,
)
from kurswerk.reports._formats import without_secret
from kurswerk.reports._metric_charts import figure_advantage, figure_metrics
from kurswerk.reports._model_charts import figure_folds, figure_importance
from kurswerk.reports._quality import render_quality_report, write_quality_report
from kurswerk.reports._report import Command, MarketOverview, Place, Report, ReportedModel, Step
from kurswerk.reports._themes import DARK, LIGHT, Theme
from kurswerk.reports._write import render_report, write_report

__all__ = [
    "DARK",
    "LIGHT",
    "Command",
    "MarketOverview",
    "Place",
    "Report",
    "ReportedModel",
    "Step",
    "Theme",
    "figure_advantage",
    "figure_calibration",
    "figure_candles",
    "figure_confusion",
    "figure_equity",
    "figure_folds",
    "figure_importance",
    "figure_metrics",
    "figure_precision_recall",
    "figure_roc",
    "render_quality_report",
    "render_report",
    "without_secret",
    "write_quality_report",
    "write_report",
]
