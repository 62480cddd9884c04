"""The feature library: one definition for batch and live."""

from kurswerk.features._cross import RETURN
from kurswerk.features._feature import Feature
from kurswerk.features._kind import LARGEST_WINDOW
from kurswerk.features._live import LateRowError, LiveEngine
from kurswerk.features._names import (
    DEFAULT_WINDOWS,
    OWN_KINDS,
    cross_feature_names,
    engineered_names,
    feature_names,
    registered_features,
    resolve,
)
from kurswerk.features._plan import FeaturePlan
from kurswerk.features._sealed import Past, SealedMoment, compare_with, compared_features, longest_regression

__all__ = [
    "DEFAULT_WINDOWS",
    "LARGEST_WINDOW",
    "OWN_KINDS",
    "RETURN",
    "Feature",
    "FeaturePlan",
    "LateRowError",
    "LiveEngine",
    "Past",
    "SealedMoment",
    "compare_with",
    "compared_features",
    "cross_feature_names",
    "engineered_names",
    "feature_names",
    "longest_regression",
    "registered_features",
    "resolve",
]
