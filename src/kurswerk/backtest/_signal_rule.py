"""Signals from probabilities: thresholds with hysteresis, a least holding time and a cool-down.

The same compiled step serves whole histories and single bars, so that a signal computed live has the bits of one
computed in a back-test.
"""

from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kurswerk.backtest._orders import BUY, EXIT, SELL, Signals
from kurswerk.core.errors import SpecError
from kurswerk.core.jit import kernel

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int8 = NDArray[np.int8]

_HELD, _SINCE = 0, 1
# Bars since the last exit of a symbol that never had a signal.
_NEVER: Final = 2**62


class SignalRule(BaseModel):
    """When a probability becomes a signal.

    Attributes
    ----------
    enter
        From this probability on: `BUY`, or `SELL` for ``direction`` down.
    leave
        Below this one: `EXIT`; at most ``enter``. Between the two nothing changes (hysteresis).
    direction
        What the probability is one of: a rise or a fall.
    min_bars
        An exit comes so many bars after the entry's signal at the earliest.
    cool_down_bars
        So many bars after an exit pass without a new entry.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    enter: Annotated[float, Field(gt=0, le=1)] = 0.6
    leave: Annotated[float, Field(ge=0, le=1)] = 0.5
    direction: Literal["up", "down"] = "up"
    min_bars: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    cool_down_bars: Annotated[int, Field(ge=0, le=1_000_000)] = 0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.leave > self.enter:
            raise SpecError("backtest.leave_above_enter", leave=self.leave, enter=self.enter)
        return self


@kernel
def _follow(
    probability: Any, enter: float, leave: float, entry: int, min_bars: int, cool_down: int, state: Any, out: Any
) -> None:
    """Write the signal of each bar and symbol; ``state`` goes on from where it was."""
    for t in range(probability.shape[0]):
        for s in range(probability.shape[1]):
            value = probability[t, s]
            if np.isnan(value):
                continue
            state[_SINCE, s] += 1
            if state[_HELD, s] != 0:
                if value < leave and state[_SINCE, s] >= min_bars:
                    out[t, s] = EXIT
                    state[_HELD, s] = state[_SINCE, s] = 0
            elif value >= enter and state[_SINCE, s] > cool_down:
                out[t, s] = entry
                state[_HELD, s], state[_SINCE, s] = 1, 0


def new_signal_state(num_symbols: int) -> Int:
    """Return the state of symbols that never had a signal, shape (2, n_symbols)."""
    state = np.zeros((2, num_symbols), dtype=np.int64)
    state[_SINCE] = _NEVER
    return state


def follow_rule(rule: SignalRule, probability: Float, state: Int | None = None) -> Signals:
    """Return the signals of a stretch of bars.

    Parameters
    ----------
    probability
        Shape (n_bars, n_symbols); a bar without a prediction is NaN, has no signal and does not count.
    state
        Of the bars before, from `new_signal_state`; changed, so that the next stretch can go on with it. None begins
        anew.

    Examples
    --------
    >>> rule = SignalRule(enter=0.7, leave=0.4)
    >>> follow_rule(rule, np.array([[0.6], [0.8], [0.5], [0.3], [0.9]])).values.ravel().tolist()
    [0, 1, 0, 2, 1]
    """
    out = np.zeros(probability.shape, dtype=np.int8)
    state = new_signal_state(probability.shape[1]) if state is None else state
    entry = BUY if rule.direction == "up" else SELL
    _follow(probability, rule.enter, rule.leave, entry, rule.min_bars, rule.cool_down_bars, state, out)
    return Signals(out)
