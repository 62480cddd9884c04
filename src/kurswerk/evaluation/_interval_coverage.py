"""How often intervals hold what they promise: over time, by instrument, by volatility, and if they adapted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.timestamps import format_timestamp

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

_TIME_PARTS = 12
_VOLATILITY_PARTS = 5
_MOST_NAMED = 10
# Step of the adaptive intervals; the value that Gibbs and Candès use.
ADAPTIVE_STEP = 0.005


def coverage_by(
    covered: Bool, width: Float, timestamps: Int, codes: Int, instruments: Sequence[str], volatility: Float | None
) -> dict[str, Any]:
    """Return the share of rows inside their interval, by part of the period, by instrument and by volatility.

    Parameters
    ----------
    covered, width
        Whether each row's value lies inside its interval, and how wide that is; shape (n_rows,).
    timestamps, codes
        Of the rows, as everywhere.
    instruments
        Names by code.
    volatility
        Recent volatility of each row, NaN where unknown; None leaves it out.

    Returns
    -------
    dict
        ``time``: parts of equally many moments; ``instrument``: quartiles and the lowest; ``volatility``: fifths.
    """
    moments = np.unique(timestamps)
    edges = moments[np.linspace(0, len(moments), min(_TIME_PARTS, len(moments)), endpoint=False).astype(np.int64)]
    part = np.searchsorted(edges, timestamps, side="right") - 1
    found: dict[str, Any] = {
        "time": [
            {"start": format_timestamp(int(edges[k])), **_share(covered, width, part == k)} for k in range(len(edges))
        ],
        "instrument": _by_instrument(covered, codes, instruments),
    }
    if volatility is not None and np.isfinite(volatility).any():
        known = np.isfinite(volatility)
        limits = np.quantile(volatility[known], np.arange(1, _VOLATILITY_PARTS) / _VOLATILITY_PARTS)
        part = np.where(known, np.searchsorted(limits, volatility, side="right"), -1)
        found["volatility"] = [
            {"fifth": k + 1, **_share(covered, width, part == k)} for k in range(_VOLATILITY_PARTS) if (part == k).any()
        ]
    return found


def _share(covered: Bool, width: Float, chosen: Bool) -> dict[str, Any]:
    count = int(chosen.sum())
    return {"rows": count, "coverage": float(covered[chosen].mean()), "mean_width": float(width[chosen].mean())}


def _by_instrument(covered: Bool, codes: Int, instruments: Sequence[str]) -> dict[str, Any]:
    rows = np.bincount(codes, minlength=len(instruments))
    inside = np.bincount(codes, weights=covered, minlength=len(instruments))
    present = np.flatnonzero(rows)
    share = inside[present] / rows[present]
    lowest = np.argsort(share, kind="stable")[:_MOST_NAMED]
    return {
        "count": len(present),
        "quartiles": [float(value) for value in np.quantile(share, (0, 0.25, 0.5, 0.75, 1))],
        "lowest": [
            {"instrument": instruments[present[k]], "rows": int(rows[present[k]]), "coverage": float(share[k])}
            for k in lowest.tolist()
        ],
    }


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Consecutive rows of one fitted model, and the quantiles of its errors on the rows it was calibrated on.

    ``actual``, ``forecast`` (n,) float64; ``timestamps``, ``end_us`` (n,) microseconds; ``error_sizes`` (k,) ascending.
    """

    actual: Float
    forecast: Float
    timestamps: Int
    end_us: Int
    error_sizes: Float


def adaptive_coverage(parts: Sequence[Calibrated], coverage: float, step: float = ADAPTIVE_STEP) -> dict[str, float]:
    """Return coverage and mean width of intervals that widen after misses and narrow after hits.

    Adaptive conformal inference: the level of a moment's intervals follows from the outcomes known by then, those whose
    horizon has ended (Gibbs and Candès, Adaptive Conformal Inference Under Distribution Shift, NeurIPS 2021). They are
    no part of an artifact, whose interval is fixed; beside it they show what a change of the market costs.
    """
    inside = width = rows = 0.0
    for part in parts:
        hits, widths = _adapted(part, coverage, step)
        inside, width, rows = inside + hits, width + widths, rows + len(part.actual)
    return {"step": step, "coverage": inside / rows, "mean_width": width / rows}


def _adapted(part: Calibrated, coverage: float, step: float) -> tuple[float, float]:
    """Return how many rows the adaptive intervals of one part cover, and the sum of their widths."""
    order = np.argsort(part.timestamps, kind="stable")
    moments, starts = np.unique(part.timestamps[order], return_index=True)
    bounds = np.append(starts, len(order))
    misses = np.abs(part.actual - part.forecast)[order]
    known_at = np.maximum.reduceat(part.end_us[order], starts)
    pending = np.argsort(known_at, kind="stable")
    error = 1 - coverage
    level, known, hits, widths = error, 0, 0.0, 0.0
    missed = np.zeros(len(moments))
    for k, moment in enumerate(moments.tolist()):
        while known < len(pending) and known_at[pending[known]] <= moment:
            level += step * (error - missed[pending[known]])
            known += 1
        place = int(np.ceil((1 - min(max(level, 0.0), 1.0)) * (len(part.error_sizes) + 1))) - 1
        half = part.error_sizes[min(max(place, 0), len(part.error_sizes) - 1)]
        outside = misses[bounds[k] : bounds[k + 1]] > half
        missed[k] = outside.mean()
        hits += len(outside) - int(outside.sum())
        widths += 2 * half * len(outside)
    return hits, float(widths)
