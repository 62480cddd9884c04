"""The phases of contracts.md."""

from kurswerk.market.phases import PHASES


def test_phases_are_those_of_the_contract():
    assert [(phase.id, phase.interval_seconds, phase.min_age_minutes, phase.max_age_minutes) for phase in PHASES] == [
        (1, 5, 0, 10),
        (2, 30, 10, 60),
        (3, 60, 60, 1440),
        (99, 0, 1440, None),
        (100, 0, 0, None),
    ]
