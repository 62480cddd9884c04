"""The web interface: pages on the data, the models, the jobs and the predictions of one installation."""

from kurswerk.dashboard._mount import mount
from kurswerk.dashboard.ports import (
    Alert,
    HealthReport,
    KeyRecord,
    Keys,
    Live,
    Market,
    Models,
    Options,
    Prediction,
    Provision,
    Quarantined,
    Results,
    Services,
)

__all__ = [
    "Alert",
    "HealthReport",
    "KeyRecord",
    "Keys",
    "Live",
    "Market",
    "Models",
    "Options",
    "Prediction",
    "Provision",
    "Quarantined",
    "Results",
    "Services",
    "mount",
]
