"""Splits, metrics, baselines, intervals, simulated trades and paired tests."""

from kurswerk.evaluation._metrics import Metrics

__all__ = ["Metrics"]
