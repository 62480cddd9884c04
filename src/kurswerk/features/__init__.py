"""The feature library: one definition for batch and live."""

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

__all__ = [
    "DEFAULT_WINDOWS",
    "LARGEST_WINDOW",
    "OWN_KINDS",
    "Feature",
    "FeaturePlan",
    "LateRowError",
    "LiveEngine",
    "cross_feature_names",
    "engineered_names",
    "feature_names",
    "registered_features",
    "resolve",
]
