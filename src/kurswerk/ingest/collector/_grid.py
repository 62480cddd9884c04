"""The windows of a coin's life: 5, 30 and 60 seconds long by its phase, counted from its creation."""

from bisect import bisect_right
from itertools import accumulate

from kurswerk.core.timestamps import MICROSECONDS, MINUTE_US
from kurswerk.market.phases import PHASES, Phase


def _windows() -> list[Phase]:
    """Return the phase of each window."""
    found: list[Phase] = []
    for phase in PHASES:
        if phase.interval_seconds and phase.max_age_minutes is not None:
            minutes = phase.max_age_minutes - phase.min_age_minutes
            found += [phase] * (minutes * MINUTE_US // (phase.interval_seconds * MICROSECONDS))
    return found


_PHASES = _windows()
# The last two: the age at which a coin is finished, and one more, as if it were not.
_STARTS_US = list(accumulate((one.interval_seconds * MICROSECONDS for one in [*_PHASES, _PHASES[-1]]), initial=0))
WINDOWS = len(_PHASES)


def window_of(age_us: int) -> int:
    """Return the number of the window that an age lies in; its start belongs to it, its end to the next.

    An age below 0 counts as 0, one past the last window as `WINDOWS`.

    Examples
    --------
    >>> [window_of(second * 1_000_000) for second in (0, 4, 5, 599, 600, 3_600, 86_399, 10**9)]
    [0, 0, 1, 119, 120, 220, 1599, 1600]
    """
    return min(WINDOWS, bisect_right(_STARTS_US, max(age_us, 0)) - 1)


def window_start_us(number: int) -> int:
    """Return the age at which a window starts; of `WINDOWS`, the age at which a coin is finished.

    Examples
    --------
    >>> [window_start_us(number) // 1_000_000 for number in (0, 1, 120, 121, 220, 1600)]
    [0, 5, 600, 630, 3600, 86400]
    """
    return _STARTS_US[min(number, WINDOWS + 1)]


def phase_of(number: int) -> Phase:
    """Return the phase of a window.

    Examples
    --------
    >>> phase_of(119).interval_seconds, phase_of(120).interval_seconds
    (5, 30)
    """
    return _PHASES[min(number, WINDOWS - 1)]
