"""Ranks and sector-neutral scores of every session against polars, in one run on the same values."""

from typing import Any

import numpy as np

from benchmarks._measure import compare
from kurswerk.core.errors import InvalidInputError
from kurswerk.features import FeaturePlan
from kurswerk.market import Clock, Column, MarketSchema, Panel, Role
from kurswerk.market.calendar import calendar_of

SESSIONS, STOCKS, SECTORS, EACH = 3000, 500, 11, 10
SIGNALS = tuple(f"signal_{k}" for k in range(EACH))
MARKET = MarketSchema(
    name="cross",
    table="cross",
    key="symbol",
    columns={**{name: Column(signed=True) for name in SIGNALS}, "sector": Column()},
    roles={Role.CLOSE: "signal_0"},
    clock=Clock.SESSIONS,
    interval="1d",
)


def run(*, sessions: int = SESSIONS, stocks: int = STOCKS, repeats: int = 5, threads: int = 2) -> list[dict[str, Any]]:
    """Measure ours and polars in turn, and report medians.

    Ranks within a session, and distances from the sector's mean in its deviations, of ten signals each: polars by
    window expressions, ours from the panel, the sessions worked out anew each time.

    Returns
    -------
    list of dict
        ``name, ours_s, peer, peer_s, ratio, at_least, note``.

    Raises
    ------
    InvalidInputError
        If polars is not installed.
    """
    panel = synthetic_panel(sessions, stocks)
    names = [f"{operator}_{name}" for operator in ("market_rank", "sector_zscore") for name in SIGNALS]
    plan = FeaturePlan(names, MARKET)
    plan.compute(panel.where(panel.timestamps == panel.timestamps[0]), threads=threads)
    table = np.zeros((len(panel), len(names)), order="F")
    frame, work = polars_work(panel)
    ours = plan.compute(panel)
    np.testing.assert_allclose(ours, frame.select(work).to_numpy(), rtol=1e-9, atol=1e-9)
    note = f"{EACH} ranks and {EACH} sector-neutral scores, {sessions:,} sessions of {stocks} stocks, {threads} threads"
    return [
        compare(
            "cross",
            lambda: plan.compute(panel, threads=threads, out=table),
            ("polars", lambda: frame.select(work)),
            (repeats, repeats),
            (3.0, note),
        )
    ]


def synthetic_panel(sessions: int, stocks: int, seed: int = 42) -> Panel:
    """Return seeded signals of stocks at the closes of sessions, each stock in one sector."""
    rng = np.random.default_rng(seed)
    closes = calendar_of("XNYS").sessions.closes_us[-sessions - 1 : -1]
    codes = np.repeat(np.arange(stocks), sessions)
    columns = {name: rng.normal(size=stocks * sessions) for name in SIGNALS}
    columns["sector"] = rng.integers(1, SECTORS + 1, stocks).astype(float)[codes]
    names = [f"S{k:03d}" for k in range(stocks)]
    panel = Panel.from_codes(names, codes, np.tile(closes, stocks), columns)
    return panel.with_exchanges(dict.fromkeys(names, "XNYS"))


def polars_work(panel: Panel) -> tuple[Any, list[Any]]:
    """Return a panel as a polars frame, and the expressions that compute what the plan does.

    Raises
    ------
    InvalidInputError
        If polars is not installed.
    """
    try:
        import polars as pl  # noqa: PLC0415 - a peer of the benchmark, not a dependency
    except ImportError as error:
        raise InvalidInputError("the peer polars is not installed; pip install 'kurswerk[bench]'") from error
    frame = pl.DataFrame(
        {
            "moment": panel.timestamps,
            "sector": panel.column("sector").astype(np.int64),
            **{name: panel.column(name) for name in SIGNALS},
        }
    )
    ranks = [
        ((pl.col(name).rank("average").over("moment") - 0.5) / pl.len().over("moment")).alias(f"rank_{name}")
        for name in SIGNALS
    ]
    peers = ["moment", "sector"]
    scores = [
        ((pl.col(name) - pl.col(name).mean().over(peers)) / pl.col(name).std().over(peers)).alias(f"score_{name}")
        for name in SIGNALS
    ]
    return frame, [*ranks, *scores]
