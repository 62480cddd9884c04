"""How long the statements inside the predictor's transaction took, read from PostgreSQL's log."""

import re
from collections import defaultdict

PREDICTOR = "kurswerk predictor"
# What the predictor's transaction consists of: name → how its statements begin or what they contain.
INSIDE = {
    "take the row and its values from the feed": r"coin_feed",
    "read which models are active": r"FROM ml_models",
    "reserve ids": r"pg_get_serial_sequence",
    "store the predictions (COPY)": r"COPY predictions",
    "store the alert": r"INSERT INTO prediction_alerts",
    "rules and message": r"alert_rules|alert_deliveries",
    "counts and notification": r"prediction_counts|pg_notify",
    "commit": r"COMMIT",
}


def statement_times(log: str) -> dict[str, list[float]]:
    """Return how many milliseconds each statement of the predictor took, by what it is for, per transaction."""
    found: dict[str, list[float]] = {name: [] for name in INSIDE}
    current: dict[str, float] = defaultdict(float)
    pattern = rf"{PREDICTOR}\|LOG:  duration: ([\d.]+) ms  (?:parse|bind|execute|statement)[^:]*: (.*)"
    for duration, statement in re.findall(pattern, log):
        for name, words in INSIDE.items():
            if re.search(words, statement):
                current[name] += float(duration)
                break
        if statement.startswith("COMMIT"):
            if "store the predictions (COPY)" in current:
                for name in INSIDE:
                    found[name].append(current[name])
            current.clear()
    return found
