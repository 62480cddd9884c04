"""Predictions: from stored rows on demand, and of every new row at once."""

from kurswerk.serving._activation import ActivationStore, NotCertifiedError, activate, require_certificate
from kurswerk.serving._alert_rules import AlertDesk, check_rule, create_rule
from kurswerk.serving._alerting import (
    CLAIM_S,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    Channel,
    Courier,
    Delivery,
    DeliveryStore,
    agreed,
    deliver,
)
from kurswerk.serving._fleet import Fleet, Member, ModelShelf
from kurswerk.serving._lane import BatchReport, Lane, LaneOptions
from kurswerk.serving._predicting import CoinPredictions, Prediction, predict_coin
from kurswerk.serving._predictor import Predictor, PredictorEvents
from kurswerk.serving._replay import PredictionLog, Replay, StoredPrediction, replay
from kurswerk.serving.ports import CoinHistory

__all__ = [
    "CLAIM_S",
    "FIRST_PAUSE_S",
    "LONGEST_PAUSE_S",
    "ActivationStore",
    "AlertDesk",
    "BatchReport",
    "Channel",
    "CoinHistory",
    "CoinPredictions",
    "Courier",
    "Delivery",
    "DeliveryStore",
    "Fleet",
    "Lane",
    "LaneOptions",
    "Member",
    "ModelShelf",
    "NotCertifiedError",
    "Prediction",
    "PredictionLog",
    "Predictor",
    "PredictorEvents",
    "Replay",
    "StoredPrediction",
    "activate",
    "agreed",
    "check_rule",
    "create_rule",
    "deliver",
    "predict_coin",
    "replay",
    "require_certificate",
]
