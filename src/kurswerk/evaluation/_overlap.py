"""How much of a test period the model has already seen in training."""

from dataclasses import dataclass

from kurswerk.core.errors import SpecError
from kurswerk.core.timestamps import format_timestamp


@dataclass(frozen=True)
class Overlap:
    """Share of the test period inside the training period, in [0, 1], and what it means in words."""

    share: float
    note: str

    @property
    def has_overlap(self) -> bool:
        """Whether any of the test period was trained on."""
        return self.share > 0


def overlap(train_start_us: int, train_end_us: int, test_start_us: int, test_end_us: int) -> Overlap:
    """Measure by how much a test period overlaps the training period; all in microseconds UTC.

    Raises
    ------
    SpecError
        If a period does not start before it ends.

    Examples
    --------
    >>> overlap(0, 100, 75, 175).share
    0.25
    >>> overlap(0, 100, 100, 200).note
    'the test period does not overlap the training period'
    """
    periods = (
        ("evaluation.training_period_reversed", train_start_us, train_end_us),
        ("evaluation.test_period_reversed", test_start_us, test_end_us),
    )
    for code, start, end in periods:
        if start >= end:
            raise SpecError(code, start=format_timestamp(start), end=format_timestamp(end))
    shared = max(0, min(train_end_us, test_end_us) - max(train_start_us, test_start_us))
    share = shared / (test_end_us - test_start_us)
    if shared == 0:
        return Overlap(0.0, "the test period does not overlap the training period")
    period = f"{format_timestamp(train_start_us)} to {format_timestamp(train_end_us)}"
    return Overlap(
        share, f"{share:.1%} of the test period lies in the training period ({period}); the metrics flatter the model"
    )
