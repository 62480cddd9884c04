"""Predictions: from stored rows on demand, and of every new row at once."""

from kurswerk.serving._activation import ActivationStore, NotCertifiedError, activate, require_certificate
from kurswerk.serving._active_models import ActiveModels, ModelCache, ServedModel
from kurswerk.serving._health import inputs_check, predictors_check
from kurswerk.serving._input_columns import MissingColumn, missing_columns_message, required_columns
from kurswerk.serving._lane import BatchReport, Lane, LaneOptions
from kurswerk.serving._moments import MomentOptions
from kurswerk.serving._predicting import InstrumentPredictions, Prediction, predict_instrument
from kurswerk.serving._predictor import Predictor, PredictorEvents
from kurswerk.serving._predictor_metrics import LaneMetrics, PredictorMetrics
from kurswerk.serving._replay import PredictionLog, Replay, StoredPrediction, replay
from kurswerk.serving._scope import Scope
from kurswerk.serving.ports import MarketHistory, PredictionFilter

__all__ = [
    "ActivationStore",
    "ActiveModels",
    "BatchReport",
    "InstrumentPredictions",
    "Lane",
    "LaneMetrics",
    "LaneOptions",
    "MarketHistory",
    "MissingColumn",
    "ModelCache",
    "MomentOptions",
    "NotCertifiedError",
    "Prediction",
    "PredictionFilter",
    "PredictionLog",
    "Predictor",
    "PredictorEvents",
    "PredictorMetrics",
    "Replay",
    "Scope",
    "ServedModel",
    "StoredPrediction",
    "activate",
    "inputs_check",
    "missing_columns_message",
    "predict_instrument",
    "predictors_check",
    "replay",
    "require_certificate",
    "required_columns",
]
