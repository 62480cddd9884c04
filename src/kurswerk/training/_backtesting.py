"""Back-test a model: its probabilities become signals, and signals trade."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kurswerk.backtest import (
    Backtest,
    Finding,
    MarketBars,
    SignalRule,
    Signals,
    Trade,
    TradingRules,
    check_assumptions,
    compare_with_baselines,
    deflated_sharpe,
    follow_rule,
    intervals,
    metrics_of,
    run,
)
from kurswerk.core.errors import SpecError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import format_timestamp, to_us
from kurswerk.evaluation import overlap
from kurswerk.jobs import Progress
from kurswerk.market import CANDLE_ROLES, Clock, MarketSchema, Panel, Role
from kurswerk.models import OnnxModel
from kurswerk.registry import ModelRecord, load_model, plan_of
from kurswerk.training._checks import check_scoring, ready_model, require_columns
from kurswerk.training._dataset import FEATURE_THREADS, refuse_empty
from kurswerk.training._folds import predict_rows
from kurswerk.training._period import Period
from kurswerk.training.ports import TrainingStores
from kurswerk.training.spec import ModelSpec

Float = NDArray[np.float64]

# What a stored result holds at most; the counts in it are of all.
_MOST_TRADES: Final = 1_000
_MOST_POINTS: Final = 500


class ModelTrading(NamedTuple):
    """What is back-tested: a model in a period, on some instruments or all, by a signal rule and trading rules.

    ``trials`` is how many variants were tried, this one included.
    """

    model: int | str
    period: Period
    mints: tuple[str, ...] | None
    signal: SignalRule
    rules: TradingRules
    trials: int


def check_backtest(order: ModelTrading, stores: TrainingStores) -> ModelRecord:
    """Refuse a back-test that cannot succeed on the data as they are now; return the model.

    Raises
    ------
    NotFoundError, ConflictError, ArtifactForeignError
        If the model does not exist, is not READY, or its features are defined differently today.
    SpecError
        If the market has no bars of open, high, low and close, or no reserves that price impact needs.
    UnknownNameError, NoDataError, DataError
        As for a test.
    """
    record = ready_model(order.model, stores.models)
    check_scoring(record, order.period, order.mints, stores)
    spec = ModelSpec.stored(record.spec)
    market = spec.market_schema
    if any(role not in market.roles for role in CANDLE_ROLES):
        raise SpecError("backtest.market_without_bars", market=market.name)
    if order.rules.costs.price_impact and Role.RESERVES not in market.roles:
        raise SpecError("costs.no_reserves", market=market.name)
    columns = [market.roles[role] for role in CANDLE_ROLES]
    require_columns(columns, stores.markets[spec.market].columns(), Message("backtest.purpose"))
    return record


def backtest_model(order: ModelTrading, stores: TrainingStores, progress: Progress) -> dict[str, Any]:
    """Predict every row of the period, trade the signals, and return the result as a document.

    Raises
    ------
    KurswerkError
        As for `check_backtest`.
    """
    record = check_backtest(order, stores)
    spec = ModelSpec.stored(record.spec)
    progress(0.0, Message("progress.loading_rows"))
    panel, probability = _predicted(record, spec, order, stores)
    progress(0.5, Message("progress.trading", count=len(panel)))
    bars = MarketBars.from_panel(panel, spec.market_schema, price_basis=_basis(spec.market_schema))
    direction = spec.label_spec().trade_direction
    rule = order.signal.model_copy(update={"direction": direction})
    account = order.rules.account.model_copy(update={"allow_short": direction == "down"})
    rules = order.rules.model_copy(update={"account": account})
    orders = follow_rule(rule, aligned(panel, bars, probability))
    done = run(bars, orders, rules)
    progress(0.7, Message("progress.comparing_baselines"))
    return {
        "model_id": record.id,
        "start": format_timestamp(order.period.start_us),
        "end": format_timestamp(order.period.end_us),
        "data_fingerprint": panel.fingerprint(),
        **result_document(done, orders, order.trials, [*_trained_on(record, order.period), *check_assumptions(done)]),
    }


def _predicted(
    record: ModelRecord, spec: ModelSpec, order: ModelTrading, stores: TrainingStores
) -> tuple[Panel, NDArray[np.float32]]:
    """Return the rows of the period, and the probability of each; NaN outside of the model's phases."""
    model: OnnxModel = load_model(record, stores.models)
    plan, market, rows = plan_of(record), spec.market_schema, stores.markets[spec.market]
    end_us = order.period.end_us
    wanted = {market.roles[role] for role in (*CANDLE_ROLES, Role.VOLUME, Role.RESERVES) if role in market.roles}
    segment = {market.segment.column} if market.segment and spec.phases is not None else set()
    columns = market.in_order({*plan.inputs, *((wanted | segment) & set(rows.columns()))})
    panel = refuse_empty(rows.load_panel(columns, end_us=end_us, mints=order.mints), end_us, order.mints)
    features = plan.compute(panel, threads=FEATURE_THREADS, dtype=np.float32)
    inside = panel.timestamps >= order.period.start_us
    scored = inside.copy()
    if market.segment is not None and spec.phases is not None:
        scored &= np.isin(panel.column(market.segment.column), np.asarray(spec.phases, dtype=np.float64))
    found = np.full(len(panel), np.nan, dtype=np.float32)
    taken = np.flatnonzero(scored)
    found[taken] = predict_rows(model, features, taken)
    return panel.where(inside), found[inside]


def aligned(panel: Panel, bars: MarketBars, values: NDArray[np.floating[Any]]) -> Float:
    """Return values of the rows of a panel on the axes of its bars, NaN where there is no row."""
    found = np.full(bars.close.shape, np.nan)
    found[np.searchsorted(bars.times, panel.timestamps), panel.codes] = values
    return found


def _basis(market: MarketSchema) -> Any:
    """Return on what basis the store gives prices: series of stocks are read adjusted for the splits known by then."""
    return "split_adjusted" if market.series else "raw" if market.clock is Clock.CONTINUOUS else "unknown"


def _trained_on(record: ModelRecord, period: Period) -> list[Finding]:
    shared = overlap(to_us(record.train_start), to_us(record.train_end), period.start_us, period.end_us)
    if not shared.has_overlap:
        return []
    return [Finding(Message("backtest.finding.trained_on", share=100 * shared.share), violated=True)]


def result_document(done: Backtest, orders: Signals, trials: int, findings: list[Finding]) -> dict[str, Any]:
    """Return a back-test as JSON-able data; curves and trades are cut to what a page can show, counts are of all."""
    beside = compare_with_baselines(done, orders)
    deflated = deflated_sharpe(done, trials)
    points = np.unique(np.linspace(0, done.bars.num_bars - 1, min(done.bars.num_bars, _MOST_POINTS)).round())
    return {
        "rules": done.rules.model_dump(mode="json"),
        "metrics": metrics_of(done).as_json(),
        "intervals": {name: found.as_json() for name, found in intervals(done).items()},
        "costs": done.costs,
        "baselines": {
            "buy_and_hold": beside.buy_and_hold.as_json(),
            "equal_weight": beside.equal_weight.as_json(),
            "random_entries": vars(beside.random_entries),
            "alpha": beside.alpha,
            "beta": beside.beta,
        },
        "deflated_sharpe": None if deflated is None else vars(deflated),
        "findings": [
            {"violated": finding.violated, "text": finding.message.render(), "message": finding.message.as_json()}
            for finding in findings
        ],
        "signals": int(np.count_nonzero(orders.values)),
        "equity": [
            {
                "timestamp": format_timestamp(int(done.bars.times[k])),
                "equity": float(done.equity[k]),
                "drawdown": float(done.drawdown[k]),
                "exposure": float(done.gross[k] / done.equity[k]) if done.equity[k] else None,
            }
            for k in points.astype(np.int64)
        ],
        "trades": [_trade_document(trade) for trade in done.trades[-_MOST_TRADES:]],
        "open_positions": [
            {**vars(position), "opened_us": format_timestamp(position.opened_us)} for position in done.open_positions
        ],
    }


def _trade_document(trade: Trade) -> dict[str, Any]:
    document = vars(trade).copy()
    times = {"opened": document.pop("opened_us"), "closed": document.pop("closed_us")}
    return {**{name: format_timestamp(moment) for name, moment in times.items()}, **document}
