"""The second half of ``kurswerk demo``: the market trades on, and the new models predict it as it happens."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click

from kurswerk.bootstrap.service import Part, Service, make_parts, open_service
from kurswerk.bootstrap.settings import Settings
from kurswerk.bootstrap.simulation import LiveMarket, MarketPart, open_market
from kurswerk.cli._live_screen import LiveScreen, milliseconds
from kurswerk.cli._prediction_monitor import Lags, PredictionMonitor
from kurswerk.cli.serve import run_service
from kurswerk.core.errors import ConflictError
from kurswerk.market import COINS
from kurswerk.observability import configure_logging
from kurswerk.registry import ModelRecord, TestResult
from kurswerk.serving import activate

BIRTHS_PER_HOUR = 30.0
# Of the rows that a model was tested on so many are alerts.
ALERT_SHARE = 0.01
_SHOWN = ("dashboard", "docs", "metrics")


@dataclass(frozen=True)
class LiveOptions:
    """How the market trades on: so many times as fast as the clock, for so many seconds, or until Ctrl-C (None)."""

    speed: float
    seconds: float | None
    on_screen: bool


@dataclass(frozen=True)
class LiveOutcome:
    """What came of it."""

    rows: int
    alerts: int
    lags: Lags
    addresses: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        lags = asdict(self.lags)
        return {"rows": self.rows, "alerts": self.alerts, **lags, "addresses": dict(self.addresses)}

    def line(self) -> str:
        """Return it in a sentence."""
        lags = self.lags
        return (
            f"{self.rows:,} rows traded live, {lags.predictions:,} predictions, {self.alerts:,} alerts; "
            f"from INSERT to received p50 {milliseconds(lags.p50_ms)}, p99 {milliseconds(lags.p99_ms)}"
        )


def alert_threshold(result: TestResult) -> float:
    """Return from which probability on a model alerts: so that it would have for one in a hundred rows of its test."""
    decisions = result.evaluation["curves"]["thresholds"]
    most = ALERT_SHARE * result.num_samples
    alerts = zip(decisions["threshold"], decisions["tp"], decisions["fp"], strict=True)
    return next((threshold for threshold, tp, fp in alerts if tp + fp <= most), 1.0)


def go_live(
    settings: Settings,
    tested: Sequence[tuple[ModelRecord, TestResult]],
    options: LiveOptions,
    steps: Callable[[str], Any],
) -> LiveOutcome:
    """Serve, let a simulated market trade, and let certified models predict it; they are inactive again afterwards.

    Parameters
    ----------
    tested
        Certified models with their tests.
    steps
        Given a title, returns a context that shows that something is done.

    Raises
    ------
    ConflictError
        If the service cannot be reached as it is set up.
    """
    quiet = settings.replace_in("log", level="warning")
    service, watch = open_service(quiet)
    try:
        parts = on_a_port(service)
        stores = service.stores
        with steps("open a market that trades on"):
            market = open_market(stores.markets[COINS.name], speed=options.speed, births_per_hour=BIRTHS_PER_HOUR)
        thresholds = {record.id: alert_threshold(result) for record, result in tested}
        try:
            with steps("activate the certified models"):
                for record, _ in tested:
                    stores.models.update(record.id, {"alert_threshold": thresholds[record.id]})
                    activate(record.id, stores.models, stores.activations)
            return _trade(service, [*watch, *parts], market, (tested, thresholds), options)
        finally:
            for record, _ in tested:
                stores.activations.deactivate(record.id, "the demo has ended")
    finally:
        service.close()


def _trade(
    service: Service,
    parts: Sequence[Part],
    market: LiveMarket,
    at_work: tuple[Sequence[tuple[ModelRecord, TestResult]], Mapping[int, float]],
    options: LiveOptions,
) -> LiveOutcome:
    tested, thresholds = at_work
    monitor = PredictionMonitor(service.stores, {record.id: record.name for record, _ in tested})
    trading = MarketPart(
        service.stores.markets[COINS.name],
        market,
        seconds=options.seconds,
        begin=monitor.loaded,
        end=monitor.all_received,
        on_sent=monitor.rows_sent,
    )
    found = {name: address for part in parts for name, address in part.addresses.items()}
    addresses = {name: found[name] for name in _SHOWN if name in found}
    if options.on_screen:
        title = f"Kurswerk: a simulated market, {options.speed:g} × as fast as the clock, predicted live"
        screen = LiveScreen(monitor, title, thresholds, addresses)
        with _logging_to(service.settings.data_dir / "demo.log", service.settings.log.level):
            run_service([*parts, monitor, trading, screen])
    else:
        click.echo(_where_to_look(addresses, options), err=True)
        run_service([*parts, monitor, trading])
    return LiveOutcome(trading.rows, monitor.n_alerts, monitor.lags(), addresses)


def on_a_port(service: Service) -> list[Part]:
    """Make all parts of the service, on the port that is set or, where that is taken, on a free one.

    Raises
    ------
    ConflictError
        If it is not the port.
    """
    try:
        return make_parts(service, ())
    except ConflictError:
        return make_parts(replace(service, settings=service.settings.replace_in("http", port=0)), ())


def _where_to_look(addresses: Mapping[str, str], options: LiveOptions) -> str:
    length = "until Ctrl-C" if options.seconds is None else f"for {options.seconds:g} s"
    head = f"the market trades {options.speed:g} × as fast as the clock {length}; open"
    return "\n".join([head, *(f"  {name:9} {address}" for name, address in addresses.items())])


@contextmanager
def _logging_to(path: Path, level: str) -> Iterator[None]:
    """Keep log lines off the screen."""
    with path.open("a", encoding="utf-8") as file:
        configure_logging(level=level, stream=file)
        try:
            yield
        finally:
            configure_logging(level=level)


def on_terminal() -> bool:
    """Return whether a person looks on."""
    return sys.stdout.isatty() and sys.stdin.isatty()
