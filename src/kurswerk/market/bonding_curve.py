"""The bonding curve on which pump.fun's coins trade until they graduate, and the sizes by which trades are counted.

The curve holds the product of its virtual reserves constant. It starts with 30 SOL and 1.073e9 tokens and is complete
with 85 real SOL; a coin has 1e9 tokens in all.
"""

from typing import Final

START_SOL: Final = 30.0
START_TOKENS: Final = 1.073e9
COMPLETE_SOL: Final = 85.0
SUPPLY: Final = 1e9
WHALE_SOL: Final = 1.0
MICRO_SOL: Final = 0.01
# From this share of the curve on a coin is shown as "king of the hill".
KING_OF_THE_HILL_PCT: Final = 50.0


def curve_pct(virtual_sol: float) -> float:
    """Return how much of the curve is sold, in per cent of the real SOL that complete it, within [0, 100].

    Examples
    --------
    >>> curve_pct(30.0), curve_pct(72.5), curve_pct(200.0)
    (0.0, 50.0, 100.0)
    """
    return min(max(100.0 * (virtual_sol - START_SOL) / COMPLETE_SOL, 0.0), 100.0)
