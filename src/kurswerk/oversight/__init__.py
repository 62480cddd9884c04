"""Supervision of models at work: what became of their predictions, and how good they are by it."""

from kurswerk.oversight._judging import REASONS, Reason, judge, judge_rows
from kurswerk.oversight._loop import mature_regularly
from kurswerk.oversight._maturing import DELAY_S, MaturingReport, mature
from kurswerk.oversight._performance import (
    DEFAULT_OUTCOMES,
    LIVE_METRICS,
    MOST_OUTCOMES,
    ForecastPerformance,
    JudgedForecasts,
    JudgedScores,
    LivePerformance,
    OutcomeCounts,
    OutcomeLog,
    live_performance,
)
from kurswerk.oversight.ports import (
    JudgedModel,
    Judgements,
    OutcomeRows,
    OutcomeStore,
    OutcomeTransaction,
    PredictionRows,
    RevisedRows,
)

__all__ = [
    "DEFAULT_OUTCOMES",
    "DELAY_S",
    "LIVE_METRICS",
    "MOST_OUTCOMES",
    "REASONS",
    "ForecastPerformance",
    "JudgedForecasts",
    "JudgedModel",
    "JudgedScores",
    "Judgements",
    "LivePerformance",
    "MaturingReport",
    "OutcomeCounts",
    "OutcomeLog",
    "OutcomeRows",
    "OutcomeStore",
    "OutcomeTransaction",
    "PredictionRows",
    "Reason",
    "RevisedRows",
    "judge",
    "judge_rows",
    "live_performance",
    "mature",
    "mature_regularly",
]
