"""Random numbers whose sequence is part of the simulator's definition: the same bits everywhere, for good."""

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.jit import kernel

State = NDArray[np.uint64]


def stream(seed: int, number: int) -> State:
    """Return the state of generator ``number`` under a seed, shape (1,); streams do not overlap in practice."""
    return np.asarray(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64), dtype=np.uint64)


@kernel
def uniform(state: State) -> float:
    """Draw from [0, 1) with 53 bits (SplitMix64: G. Steele, D. Lea, C. Flood, 2014)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    value = state[0]
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    value ^= value >> np.uint64(31)
    return np.float64(value >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@kernel
def exponential(state: State) -> float:
    """Draw with mean 1."""
    return float(-np.log(1.0 - uniform(state)))


@kernel
def normal(state: State) -> float:
    """Draw from the standard normal distribution (Box and Muller, 1958)."""
    return float(np.sqrt(2.0 * exponential(state)) * np.cos(6.283185307179586 * uniform(state)))


@kernel
def log_uniform(state: State, low: float, high: float) -> float:
    """Draw from [low, high) so that the logarithm is uniform."""
    return float(low * np.exp(np.log(high / low) * uniform(state)))
