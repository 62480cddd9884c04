"""A line of a few dozen values as a picture in a table."""

from base64 import b64encode
from collections.abc import Sequence
from math import isfinite
from typing import Any, Final

from dash import html

_WIDTH: Final = 120
_HEIGHT: Final = 28
_MARGIN: Final = 2


def sparkline(values: Sequence[float], color: str, label: str) -> Any:
    """Return a line of values, the oldest first; gaps are passed over.

    Parameters
    ----------
    values
        Any numbers; NaN is missing.
    color
        As CSS writes it.
    label
        What the picture shows, for those who do not see it.
    """
    svg = sparkline_svg(values, color)
    picture = b64encode(svg.encode()).decode()
    return html.Img(src=f"data:image/svg+xml;base64,{picture}", width=_WIDTH, height=_HEIGHT, alt=label)


def sparkline_svg(values: Sequence[float], color: str) -> str:
    """Return the picture; without two values it is empty.

    Examples
    --------
    >>> 'points="2.0,26.0 118.0,2.0"' in sparkline_svg([1.0, 2.0], "red")
    True
    """
    there = [(k, float(value)) for k, value in enumerate(values) if isfinite(value)]
    low, high = (min(value for _, value in there), max(value for _, value in there)) if there else (0.0, 0.0)
    across, up = (_WIDTH - 2 * _MARGIN) / max(len(values) - 1, 1), (_HEIGHT - 2 * _MARGIN) / ((high - low) or 1.0)
    points = " ".join(f"{_MARGIN + k * across:.1f},{_HEIGHT - _MARGIN - (value - low) * up:.1f}" for k, value in there)
    line = f'<polyline fill="none" stroke="{color}" stroke-width="1.5" points="{points}"/>' if len(there) > 1 else ""
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">{line}</svg>'
