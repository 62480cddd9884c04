"""What the charts share. They show evaluations as they are stored; nothing is computed from market data here.

Every chart takes model name → JSON and keeps the order: the model at position k has the same colour in every chart,
also where a model before it has nothing to show. A chart without traces means that nothing could be shown.
"""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from kurswerk.reports._formats import shortened

Json = Mapping[str, Any]


def plain(text: str) -> str:
    """Return text as Plotly shows it literally: it reads a small HTML otherwise."""
    return escape(shortened(text), quote=False)


def each_model(of: Mapping[str, Json], *path: str) -> Iterator[tuple[int, str, Any]]:
    """Yield position, shown name and the value at a path, for the models that have it."""
    for k, (name, value) in enumerate(of.items()):
        found: Any = value
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        if found:
            yield k, plain(name), found


def chart_height(base: int, of: Mapping[str, Json]) -> int:
    """Return a height with room for the legend of many models."""
    return base + 20 * max(len(of) - 3, 0)


def metric_value(evaluation: Json, metric: str) -> float | None:
    found: float | None = ((evaluation.get("metrics") or {}).get(metric) or {}).get("value")
    return found
