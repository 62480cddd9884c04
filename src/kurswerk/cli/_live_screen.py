"""What a person sees on the terminal while models predict a market that trades."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from kurswerk.cli._prediction_monitor import PredictionMonitor, Row

_EVERY_S = 0.25
_BAR = "▏▎▍▌▋▊▉█"
_BAR_CELLS = 8
_ALERT_ROWS = 5
# Lines that are always there: the title, two of counts and times, three rules, a heading, and one to spare.
_OTHER_LINES = 8
_NEWEST_LAGS = 1000


class LiveScreen:
    """Draws four times a second until the service stops; a part of the service.

    Parameters
    ----------
    monitor
        Receives what is drawn.
    title
        First line.
    thresholds
        Model → probability from which on it is an alert.
    addresses
        What → URL; filled by the time that the first line is drawn.
    """

    def __init__(
        self,
        monitor: PredictionMonitor,
        title: str,
        thresholds: Mapping[int, float],
        addresses: Mapping[str, str],
        console: Console | None = None,
    ) -> None:
        self._monitor, self._title, self._thresholds = monitor, title, thresholds
        self._urls = addresses
        self._console = console or Console()
        self._began = time.monotonic()
        self.addresses: Mapping[str, str] = {}
        self.ready = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Draw until ``stop`` is set; the terminal is then as it was before."""
        self.ready.set()
        with Live(self.view(), console=self._console, screen=True, auto_refresh=False) as live:
            while not stop.is_set():
                # A terminal may stop reading (Ctrl-S); the service goes on.
                await asyncio.to_thread(live.update, self.view(), refresh=True)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _EVERY_S)

    def view(self) -> RenderableType:
        """Return the whole screen."""
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        title = Text.assemble((self._title, "bold"), f"   {minutes}:{seconds:02d}   ", ("Ctrl-C ends it", "dim"))
        room = max(3, self._console.size.height - _OTHER_LINES - len(self._urls) - _ALERT_ROWS)
        monitor = self._monitor
        return Group(
            title,
            self._links(),
            Rule(style="dim"),
            self._counts_and_times(),
            Rule("newest predictions", align="left", style="dim"),
            self._predictions(list(monitor.newest)[:room])
            if monitor.newest
            else Text(f"waiting for {monitor.waits_for} …"),
            Rule("newest alerts", align="left", style="dim"),
            self._alerts() if monitor.alerts else Text("none so far", style="dim"),
        )

    def _links(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for name, address in self._urls.items():
            table.add_row(Text(name, style="dim"), Text(address, style="cyan"))
        return table

    def _counts_and_times(self) -> RenderableType:
        monitor = self._monitor
        lags = monitor.lags(_NEWEST_LAGS)
        counts = {
            "rows": monitor.n_rows,
            "predictions": monitor.n_predictions,
            "alerts": monitor.n_alerts,
            "rows waiting": monitor.n_waiting,
        }
        times = {"from INSERT to received: p50": lags.p50_ms, "p99": lags.p99_ms}
        return Group(
            _named({name: f"{count:,}" for name, count in counts.items()}),
            _named({name: milliseconds(time_ms) for name, time_ms in times.items()}),
        )

    def _predictions(self, rows: Sequence[Row]) -> RenderableType:
        models = self._monitor.models
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("time, UTC", no_wrap=True)
        table.add_column("coin", no_wrap=True)
        table.add_column("price, SOL", justify="right", no_wrap=True)
        for name in models.values():
            table.add_column(name, no_wrap=True)
        table.add_column("took", justify="right", no_wrap=True)
        for row in rows:
            cells = [self._probability(model, row.probabilities.get(model)) for model in models]
            took = milliseconds(None if row.lag_s is None else 1000 * row.lag_s)
            table.add_row(f"{row.moment:%H:%M:%S}", f"{row.coin[:12]}…", f"{row.price:.3e}", *cells, took)
        return table

    def _probability(self, model: int, probability: float | None) -> Text:
        if probability is None:
            return Text("…", style="dim")
        alert = probability >= self._thresholds.get(model, 2.0)
        return Text(f"{bar(probability)} {100 * probability:5.1f} %", style="bold red" if alert else "green")

    def _alerts(self) -> RenderableType:
        table = Table(box=None, pad_edge=False, show_header=False)
        for _ in range(5):
            table.add_column(no_wrap=True)
        for alert in list(self._monitor.alerts)[:_ALERT_ROWS]:
            table.add_row(
                f"{alert['timestamp']:%H:%M:%S}",
                f"{alert['coin_id'][:12]}…",
                alert["model_name"],
                Text(f"{100 * alert['probability']:.1f} %", style="bold red"),
                Text(f"from {100 * alert['threshold']:.0f} % on", style="dim"),
            )
        return table


def _named(values: Mapping[str, str]) -> Text:
    parts = [Text.assemble((f"{name} ", "dim"), (value, "bold")) for name, value in values.items()]
    return Text("   ").join(parts)


def milliseconds(value: float | None) -> str:
    """Return a time as a person reads it.

    Examples
    --------
    >>> milliseconds(8.4321), milliseconds(1520.0), milliseconds(None)
    ('8.4 ms', '1,520 ms', '–')
    """
    if value is None:
        return "–"
    return f"{value:.1f} ms" if value < 100 else f"{value:,.0f} ms"


def bar(share: float) -> str:
    """Return a bar of eight cells.

    Examples
    --------
    >>> bar(0.0), bar(0.5), bar(1.0)
    ('        ', '████    ', '████████')
    """
    eighths = round(min(max(share, 0.0), 1.0) * _BAR_CELLS * len(_BAR))
    full, rest = divmod(eighths, len(_BAR))
    return (_BAR[-1] * full + (_BAR[rest - 1] if rest else "")).ljust(_BAR_CELLS)
