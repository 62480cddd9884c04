"""Predictions from stored rows."""

from kurswerk.serving._predicting import CoinPredictions, Prediction, predict_coin
from kurswerk.serving.ports import CoinHistory

__all__ = ["CoinHistory", "CoinPredictions", "Prediction", "predict_coin"]
