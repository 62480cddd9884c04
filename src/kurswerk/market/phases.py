"""The phases a coin passes, as ``ref_coin_phases`` is seeded with them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """One phase: how often a coin in it reports, and at which age it is in it.

    Attributes
    ----------
    interval_seconds
        Time between two rows; 0 where a coin reports no more.
    min_age_minutes, max_age_minutes
        Age at which the phase begins and ends; the end belongs to the next phase, None has no end.
    """

    id: int
    name: str
    interval_seconds: int
    min_age_minutes: int
    max_age_minutes: int | None


BABY = Phase(1, "Baby Zone", 5, 0, 10)
SURVIVAL = Phase(2, "Survival Zone", 30, 10, 60)
MATURE = Phase(3, "Mature Zone", 60, 60, 1440)
FINISHED = Phase(99, "Finished", 0, 1440, None)
GRADUATED = Phase(100, "Graduated", 0, 0, None)

PHASES = (BABY, SURVIVAL, MATURE, FINISHED, GRADUATED)
