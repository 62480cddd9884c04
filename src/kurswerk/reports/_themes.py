"""Colours of charts in a light and in a dark theme."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from plotly import graph_objects as go

FONT: Final = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_DASHES: Final = ("solid", "dash", "dot")


def _channels(color: str) -> list[float]:
    return [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def _luminance(channels: Sequence[float]) -> float:
    """Relative luminance of sRGB (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


@dataclass(frozen=True)
class Theme:
    """Colours that a colour-blind reader can distinguish on one background.

    Attributes
    ----------
    ink, muted, grid, ground
        Of text, of what stands back, of lines, and behind a chart.
    palette
        One colour per model, repeated with another dash. Hues after Okabe and Ito, Color Universal Design (2008),
        darkened or lightened until they stand out at 3:1 from the ground.
    """

    name: str
    ink: str
    muted: str
    grid: str
    ground: str
    palette: tuple[str, ...]

    def line(self, k: int) -> dict[str, Any]:
        """Return colour and dash of the model at position ``k``."""
        return {
            "color": self.color(k),
            "dash": _DASHES[k // len(self.palette) % len(_DASHES)],
            "width": 2.25,
        }

    def color(self, k: int) -> str:
        """Return the colour of the model at position ``k``."""
        return self.palette[k % len(self.palette)]

    def text_on(self, low: str, high: str, share: float) -> str:
        """Return ink or ground, whichever stands out better from a mixture of two colours; share 1 is ``high``."""
        mixed = [(1 - share) * a + share * b for a, b in zip(_channels(low), _channels(high), strict=True)]
        behind = _luminance(mixed)
        return max((self.ink, self.ground), key=lambda color: _contrast(behind, _luminance(_channels(color))))

    def layout(self, **more: Any) -> dict[str, Any]:
        """Return what all charts share, with ``more`` set on top of it."""
        axis: Mapping[str, Any] = {
            "gridcolor": self.grid,
            "zerolinecolor": self.grid,
            "linecolor": self.grid,
            "automargin": True,
            "title": {"font": {"color": self.muted, "size": 12}, "standoff": 10},
        }
        template = go.layout.Template(layout={"xaxis": axis, "yaxis": axis})
        shared: dict[str, Any] = {
            "template": template,
            "font": {"family": FONT, "size": 13, "color": self.ink},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
            "height": 400,
            "dragmode": False,
            "hoverlabel": {"bgcolor": self.ground, "bordercolor": self.grid, "font": {"color": self.ink}},
            "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        }
        return shared | more


LIGHT: Final = Theme(
    name="light",
    ink="#1c2127",
    muted="#59636e",
    grid="#dde2e7",
    ground="#ffffff",
    palette=("#0072b2", "#c44e00", "#00805d", "#8e4a9e", "#8a6a00"),
)
DARK: Final = Theme(
    name="dark",
    ink="#e7eaee",
    muted="#a3adb8",
    grid="#303842",
    ground="#181d23",
    palette=("#5ab4f0", "#ff8f4d", "#3dcfa4", "#cf9fe0", "#e0bc4a"),
)
THEMES: Final = (LIGHT, DARK)
