"""Predictions: from stored rows on demand, and of every new row at once."""

from kurswerk.serving._fleet import Fleet, Member, ModelShelf
from kurswerk.serving._lane import BatchReport, Lane, LaneOptions
from kurswerk.serving._predicting import CoinPredictions, Prediction, predict_coin
from kurswerk.serving.ports import CoinHistory

__all__ = [
    "BatchReport",
    "CoinHistory",
    "CoinPredictions",
    "Fleet",
    "Lane",
    "LaneOptions",
    "Member",
    "ModelShelf",
    "Prediction",
    "predict_coin",
]
