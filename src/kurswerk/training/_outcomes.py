"""Outcomes of live predictions, as far as they are known by now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kurswerk.labels import compute_labels
from kurswerk.registry import ModelRecord
from kurswerk.training.ports import MarketStore
from kurswerk.training.spec import ModelSpec


@dataclass(frozen=True)
class Outcomes:
    """Counts of predictions.

    Attributes
    ----------
    known
        Those whose outcome is known: the coin's rows reach the end of the label's horizon.
    positive
        Of those, where it came true.
    predicted_positives
        Of the known ones, where the model predicted 1.
    true_positives
        Of those, where it came true.
    """

    known: int
    positive: int
    predicted_positives: int
    true_positives: int

    @property
    def base_rate(self) -> float | None:
        """Share that came true among all known ones; None without any."""
        return self.positive / self.known if self.known else None

    @property
    def precision(self) -> float | None:
        """Share that came true where the model predicted 1; None where it never did."""
        return self.true_positives / self.predicted_positives if self.predicted_positives else None


def outcomes_of(
    record: ModelRecord, predictions: Sequence[tuple[str, int, int]], markets: Mapping[str, MarketStore]
) -> Outcomes:
    """Compare a model's predictions with the labels of their rows, as far as they are known by now.

    Parameters
    ----------
    predictions
        Coin, moment of the row in microseconds UTC, and 1 or 0 for each.
    """
    if not predictions:
        return Outcomes(0, 0, 0, 0)
    spec = ModelSpec.stored(record.spec)
    label = spec.label_spec()
    coins = sorted({coin for coin, _, _ in predictions})
    first_us = min(moment for _, moment, _ in predictions)
    panel = markets[spec.market].load_panel([label.target_var], start_us=first_us, mints=coins)
    labels = compute_labels(panel, label)
    names = np.repeat(np.array(panel.instruments, dtype=object), np.diff(panel.offsets))
    found = {
        (coin, moment): value
        for coin, moment, value in zip(
            names[labels.known].tolist(),
            panel.timestamps[labels.known].tolist(),
            labels.values[labels.known].tolist(),
            strict=True,
        )
    }
    known = [(found[coin, moment], predicted) for coin, moment, predicted in predictions if (coin, moment) in found]
    return Outcomes(
        known=len(known),
        positive=sum(came for came, _ in known),
        predicted_positives=sum(predicted for _, predicted in known),
        true_positives=sum(came for came, predicted in known if predicted),
    )
