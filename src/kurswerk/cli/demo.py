"""``kurswerk demo``: the main job on a simulated market, with a report to read."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from kurswerk.bootstrap.application import Application, current_settings, open_application
from kurswerk.bootstrap.http_server import bind
from kurswerk.bootstrap.settings import Settings
from kurswerk.bootstrap.simulation import CoinMarket, store_market
from kurswerk.cli._demo_live import LiveOptions, LiveOutcome, go_live, on_terminal
from kurswerk.cli._models import comparison_document, model_document, print_evaluation, test_document
from kurswerk.cli._options import seed_option, speed_option
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import progress_bar
from kurswerk.cli.certify import print_certificate
from kurswerk.cli.compare import print_comparison
from kurswerk.core.errors import NotFoundError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import MICROSECONDS, format_timestamp
from kurswerk.jobs import Progress
from kurswerk.labels import label_name
from kurswerk.registry import Comparison, ModelRecord, TestResult
from kurswerk.reports import Command, MarketOverview, Place, Report, ReportedModel, Step, write_report
from kurswerk.training import ModelSpec, Period, compare_models, run_test, train

TRAINING_SHARE = 2 / 3
# How long the market trades where nobody looks on.
UNWATCHED_S = 20.0
MODELS = {"demo-forest": "random_forest", "demo-xgboost": "xgboost"}
_CHARTED = ["price_open", "price_high", "price_low", "price_close", "volume_sol"]


@dataclass
class Run:
    """What the demo has done so far."""

    steps: list[Step] = field(default_factory=list)
    records: list[ModelRecord] = field(default_factory=list)
    tests: list[tuple[int, TestResult]] = field(default_factory=list)
    certificates: list[dict[str, Any]] = field(default_factory=list)
    comparison: tuple[int, Comparison] | None = None
    live: LiveOutcome | None = None

    @contextmanager
    def step(self, title: str) -> Iterator[Progress]:
        """Show progress while the block runs and note how long it took."""
        started = perf_counter()
        with progress_bar(title) as progress:
            yield progress
        seconds = perf_counter() - started
        self.steps.append(Step(title, seconds=seconds))
        click.echo(f"{seconds:6.1f} s  {title}", err=True)


def training_end_us(market: CoinMarket) -> int:
    """Return the whole second that parts training from testing, microseconds UTC."""
    return market.start_us + int(market.hours * 3600 * TRAINING_SHARE) * MICROSECONDS


def specification(name: str, market: CoinMarket) -> ModelSpec:
    """Return what the demo trains: will a coin's price be up 20 % in 10 minutes?"""
    return ModelSpec.parse(
        {
            "name": name,
            "model_type": MODELS[name],
            "features": ["volume_sol", "buy_pressure_ratio", "unique_signer_ratio", "num_whale_buys"],
            "train_start": format_timestamp(market.start_us),
            "train_end": format_timestamp(training_end_us(market)),
            "target_var": "price_close",
            "use_time_based_prediction": True,
            "future_minutes": 10,
            "min_percent_change": 20,
            "direction": "up",
            "use_engineered_features": True,
            "mints": [market.mint(coin) for coin in range(market.n_coins)],
            "description": "made by kurswerk demo on a simulated market",
        }
    )


@click.command("demo")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default="exports", show_default=True)
@click.option("--coins", type=int, default=150, show_default=True, help="Coins that are born.")
@click.option("--hours", type=float, default=24.0, show_default=True, help="Length of the market.")
@seed_option
@click.option("--live/--no-live", default=True, show_default=True, help="Then let a market trade and predict it.")
@speed_option(10.0)
@click.option(
    "--seconds",
    type=click.FloatRange(1.0),
    help=f"How long it trades.  [default: until Ctrl-C on a terminal, else {UNWATCHED_S:g}]",
)
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.  [default: 8000]")
@json_option
def command(
    output: Path,
    coins: int,
    hours: float,
    seed: int,
    *,
    live: bool,
    speed: float,
    seconds: float | None,
    port: int | None,
    as_json: bool,
) -> None:
    """Simulate a market, train two models on its first two thirds, test them on the rest, compare and certify them.

    Leaves a report to open in a browser. Then a market trades live: the service runs, and the models predict each
    row as it arrives. Again, it replaces the models of the last demo.
    """
    market = CoinMarket(coins, hours, seed)
    run = Run()
    with run.step("open the database"):
        app = open_application(_settings_on(port))
    with run.step(f"simulate {coins} coins over {hours:g} hours") as progress:
        store_market(market, app, progress)
    _work(run, app, market)
    path = write_report(output / "kurswerk-demo.html", _report(run, app, market))
    if not as_json:
        _print_metrics(run)
        click.echo(f"\nreport    {path.absolute()}")
    if live:
        watched = on_terminal() and not as_json
        run.live = _go_live(run, app, LiveOptions(speed, seconds or (None if watched else UNWATCHED_S), watched))
    if as_json:
        print_json(_document(run, path))
    else:
        _print_where_to_go_on(run, app)


def _settings_on(port: int | None) -> Settings:
    """Return the settings in force, with another port if one is given.

    Raises
    ------
    ConflictError
        If it is taken: known now, and not after the models were trained.
    """
    settings = current_settings()
    if port is None:
        return settings
    bind(settings.http.host, port).close()
    return settings.replace_in("http", port=port)


def _go_live(run: Run, app: Application, options: LiveOptions) -> LiveOutcome | None:
    tested = [
        (record, result)
        for record, certificate, (_, result) in zip(run.records, run.certificates, run.tests, strict=True)
        if certificate["certified"]
    ]
    if not tested:
        click.echo(Message("cli.none_certified"), err=True)
        return None
    return go_live(app.settings, tested, options, run.step)


def _work(run: Run, app: Application, market: CoinMarket) -> None:
    for name, model_type in MODELS.items():
        _forget(app, name)
        with run.step(f"train and certify {name} ({model_type})") as progress:
            run.records.append(train(specification(name, market), app.training, progress=progress))
    later = Period(training_end_us(market) + 1, market.end_us)
    mints = run.records[0].spec["mints"]
    for record in run.records:
        with run.step(f"test {record.name} on the time after") as progress:
            run.tests.append(run_test(record.id, later, app.training, mints=mints, progress=progress))
    with run.step("compare both on identical rows") as progress:
        a, b = (record.id for record in run.records)
        run.comparison = compare_models(a, b, later, app.training, mints=mints, progress=progress)
    run.certificates = [dict(record.certificate or {}) for record in run.records]


def _forget(app: Application, name: str) -> None:
    try:
        app.models.delete(app.models.get(name).id)
    except NotFoundError:
        return


def _report(run: Run, app: Application, market: CoinMarket) -> Report:
    first = run.records[0]
    spec = ModelSpec.stored(first.spec)
    panel = app.markets[spec.market].load_panel(_CHARTED, end_us=market.end_us, mints=spec.mints)
    target = label_name(spec.label_spec())
    return Report(
        title="Kurswerk demo",
        written_at=datetime.now(UTC),
        introduction=(
            f"{market.n_coins} simulated coins over {market.hours:g} hours. Two models were trained on the first "
            f"two thirds to predict “{target}” and were tested on the time after, which they had never seen."
        ),
        models=tuple(
            ReportedModel(record, (result,)) for record, (_, result) in zip(run.records, run.tests, strict=True)
        ),
        comparisons=() if run.comparison is None else (run.comparison[1],),
        steps=tuple(run.steps),
        places=(
            Place("database", str(app.database)),
            Place("data directory", str(app.settings.data_dir)),
            *(Place(f"artifact of {record.name}", f"SHA-256 {record.artifact_sha256}") for record in run.records),
        ),
        commands=_commands(run),
        market=MarketOverview.of(
            panel, f"kurswerk simulate coins --coins {market.n_coins} --hours {market.hours:g} --seed {market.seed}"
        ),
    )


def _commands(run: Run) -> tuple[Command, ...]:
    coin = run.records[0].spec["mints"][0]
    return (
        *_way_to_the_program(),
        Command("kurswerk models", "all models"),
        Command(f"kurswerk models {run.records[0].name}", "one of them, with all its metrics"),
        Command(f"kurswerk predict {coin}", "what they predict for a coin's latest row"),
        Command("kurswerk ingest coins my-candles.csv", "bring in candles of your own"),
        Command("kurswerk train my-spec.json", "train on them"),
        Command("kurswerk serve", "the dashboard, the API and live predictions"),
        Command("kurswerk db stop", "stop the embedded database"),
    )


def _way_to_the_program() -> tuple[Command, ...]:
    activate = Path(sys.executable).parent / "activate"
    if shutil.which("kurswerk") is not None or not activate.is_file():
        return ()
    here = Path.cwd()
    shown = activate.relative_to(here) if activate.is_relative_to(here) else activate
    return (Command(f"source {shlex.quote(str(shown))}", "let the shell find kurswerk"),)


def _document(run: Run, path: Path) -> dict[str, Any]:
    return {
        "report": str(path.absolute()),
        "steps": [{"step": step.title, "seconds": step.seconds} for step in run.steps],
        "models": [model_document(record, whole=False) for record in run.records],
        "tests": [test_document(number, result) for number, result in run.tests],
        "comparison": None if run.comparison is None else comparison_document(*run.comparison),
        "certified": [certificate["certified"] for certificate in run.certificates],
        "live": None if run.live is None else run.live.document(),
    }


def _print_metrics(run: Run) -> None:
    for record, (_, result) in zip(run.records, run.tests, strict=True):
        click.echo(f"\nmodel {record.id} '{record.name}' on the time after its training")
        print_evaluation("test, 95 % interval by coin and time", result.evaluation)
    if run.comparison is not None:
        click.echo()
        print_comparison(*run.comparison, (run.records[0].name, run.records[1].name))
    for certificate in run.certificates:
        click.echo()
        print_certificate(certificate)


def _print_where_to_go_on(run: Run, app: Application) -> None:
    if run.live is not None:
        click.echo(f"live      {run.live.line()}")
    click.echo(f"database  {app.database}")
    click.echo("go on with")
    for line in _commands(run):
        click.echo(f"  {line.line:45} {line.purpose}")
