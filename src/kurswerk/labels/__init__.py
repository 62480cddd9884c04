"""What a model learns to predict: labels per instrument, by time, from later rows only."""

from kurswerk.labels._compute import UNKNOWN, Labels, compute_labels
from kurswerk.labels._deadlines import deadlines, embargoes, latest_deadline, latest_due
from kurswerk.labels._spec import MAX_HORIZON_MINUTES, LabelSpec, label_name

__all__ = [
    "MAX_HORIZON_MINUTES",
    "UNKNOWN",
    "LabelSpec",
    "Labels",
    "compute_labels",
    "deadlines",
    "embargoes",
    "label_name",
    "latest_deadline",
    "latest_due",
]
