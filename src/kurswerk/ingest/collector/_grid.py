"""The windows of a coin's life: 5, 30 and 60 seconds long by its phase, counted from its creation."""

from dataclasses import dataclass

from kurswerk.core.timestamps import MICROSECONDS, MINUTE_US
from kurswerk.market.phases import PHASES, Phase


@dataclass(frozen=True)
class _Stretch:
    """Windows of one length: the first one's number and age, and what follows after the last."""

    phase: Phase
    first: int
    start_us: int
    length_us: int


def _stretches() -> tuple[tuple[_Stretch, ...], int]:
    found, number = [], 0
    for phase in PHASES:
        if phase.interval_seconds and phase.max_age_minutes is not None:
            length = phase.interval_seconds * MICROSECONDS
            found.append(_Stretch(phase, number, phase.min_age_minutes * MINUTE_US, length))
            number += (phase.max_age_minutes - phase.min_age_minutes) * MINUTE_US // length
    return tuple(found), number


_STRETCHES, WINDOWS = _stretches()


def window_of(age_us: int) -> int:
    """Return the number of the window that an age lies in; its start belongs to it, its end to the next.

    An age below 0 counts as 0.

    Examples
    --------
    >>> [window_of(second * 1_000_000) for second in (0, 4, 5, 599, 600, 3_600, 86_399)]
    [0, 0, 1, 119, 120, 220, 1599]
    """
    age_us = max(age_us, 0)
    stretch = next(one for one in reversed(_STRETCHES) if one.start_us <= age_us)
    return min(WINDOWS, stretch.first + (age_us - stretch.start_us) // stretch.length_us)


def window_start_us(number: int) -> int:
    """Return the age at which a window starts; of the number past the last one, the age at which a coin is finished.

    Examples
    --------
    >>> [window_start_us(number) // 1_000_000 for number in (0, 1, 120, 121, 220, 1600)]
    [0, 5, 600, 630, 3600, 86400]
    """
    stretch = _stretch_of(number)
    return stretch.start_us + (number - stretch.first) * stretch.length_us


def phase_of(number: int) -> Phase:
    """Return the phase of a window.

    Examples
    --------
    >>> phase_of(119).interval_seconds, phase_of(120).interval_seconds
    (5, 30)
    """
    return _stretch_of(number).phase


def _stretch_of(number: int) -> _Stretch:
    return next(one for one in reversed(_STRETCHES) if one.first <= number)
