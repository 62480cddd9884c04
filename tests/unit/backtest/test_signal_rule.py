"""Signals from probabilities: what a rule promises, and that single bars and whole histories agree."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreted import interpreted
from kurswerk.backtest import BUY, EXIT, HOLD, SELL, SignalRule, _signal_rule, follow_rule, new_signal_state
from kurswerk.core.errors import SpecError


@st.composite
def rules(draw: Any) -> SignalRule:
    enter = draw(st.floats(0.1, 1))
    return SignalRule(
        enter=enter,
        leave=draw(st.floats(0, enter)),
        direction=draw(st.sampled_from(["up", "down"])),
        min_bars=draw(st.integers(0, 6)),
        cool_down_bars=draw(st.integers(0, 6)),
    )


def histories(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = rng.random((60, 2))
    found[rng.random(found.shape) < 0.1] = np.nan
    return found


@given(rules(), st.integers(0, 10**6))
def test_entries_and_exits_keep_their_thresholds_and_distances(rule: SignalRule, seed: int) -> None:
    probability = histories(seed)
    signals = follow_rule(rule, probability).values
    entry = BUY if rule.direction == "up" else SELL

    for s in range(2):
        known = np.flatnonzero(~np.isnan(probability[:, s]))
        values, found = probability[known, s], signals[known, s]
        assert (np.delete(signals[:, s], known) == HOLD).all()
        events = np.flatnonzero(found)
        assert [int(found[k]) for k in events] == [entry, EXIT] * (len(events) // 2) + [entry] * (len(events) % 2)
        assert all(values[k] >= rule.enter for k in events[::2])
        assert all(values[k] < rule.leave for k in events[1::2])
        distances = np.diff(events)
        assert (distances[::2] >= rule.min_bars).all()
        assert (distances[1::2] > rule.cool_down_bars).all()
        # Nothing was passed over: no earlier bar could have been the entry or the exit.
        for k, (before, after) in enumerate(zip([-1, *events], [*events, len(values)], strict=True)):
            held, first = k % 2 == 1, before + 1
            wait = rule.min_bars - 1 if held else rule.cool_down_bars if k else 0
            between = values[max(first, before + 1 + max(wait, 0)) : after]
            assert (between >= rule.leave).all() if held else (between < rule.enter).all()


@given(rules(), st.integers(0, 10**6), st.integers(0, 60))
def test_a_history_in_two_parts_or_bar_by_bar_has_the_same_signals(rule: SignalRule, seed: int, cut: int) -> None:
    probability = histories(seed)
    whole = follow_rule(rule, probability).values
    state = new_signal_state(2)
    parts = [follow_rule(rule, part, state).values for part in (probability[:cut], probability[cut:])]
    live = new_signal_state(2)
    bars = [follow_rule(rule, probability[t : t + 1], live).values for t in range(60)]

    assert np.array_equal(np.vstack(parts), whole)
    assert np.array_equal(np.vstack(bars), whole)
    assert np.array_equal(state, live)


def test_the_interpreted_rule_gives_the_same_signals() -> None:
    rule, probability = SignalRule(min_bars=2, cool_down_bars=1), histories(3)
    compiled = follow_rule(rule, probability).values
    with interpreted(_signal_rule):
        assert np.array_equal(follow_rule(rule, probability).values, compiled)


def test_an_exit_above_the_entry_is_refused() -> None:
    with pytest.raises(SpecError, match=r"0\.7"):
        SignalRule(enter=0.6, leave=0.7)
