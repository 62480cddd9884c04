"""Labels against other instruments: by numpy's quantiles, at one deadline, from rows after the own and none else."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.core.errors import SpecError
from kurswerk.core.timestamps import MINUTE_US
from kurswerk.labels import LabelSpec, compute_labels
from kurswerk.market import Column, MarketSchema, Panel, Role, market_named
from kurswerk.market.calendar import calendar_of

BARS = MarketSchema(
    name="sector bars", table="sector_bars", key="symbol",
    columns={"close": Column(), "sector": Column()}, roles={Role.CLOSE: "close"},
)  # fmt: skip


def label(**fields):
    given_fields = {"minutes": 2, "direction": "up", "quantile": 0.2, "relative_to": "market", "market": BARS} | fields
    return LabelSpec("close", **given_fields)


def bars(seed, instruments=11, moments=9):
    rng = np.random.default_rng(seed)
    shape = instruments, moments
    close = np.round(np.exp(np.cumsum(rng.normal(0, 0.05, shape), axis=1)), 1)
    close[rng.random(shape) < 0.1] = np.nan
    sector = np.repeat(rng.integers(1, 4, instruments).astype(float), moments)
    codes, times = np.divmod(np.arange(instruments * moments), moments)
    names = [f"S{k:02d}" for k in range(instruments)]
    return Panel.from_codes(names, codes, times * MINUTE_US, {"close": close.ravel(), "sector": sector})


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    share=st.sampled_from([0.1, 0.2, 0.5, 0.9]),
    direction=st.sampled_from(["up", "down"]),
    peers=st.sampled_from(["market", "sector"]),
)
def test_labels_agree_with_quantiles_by_numpy(seed, share, direction, peers):
    panel = bars(seed)
    found = compute_labels(panel, label(quantile=share, direction=direction, relative_to=peers))
    close, sector = panel.column("close").reshape(11, 9), panel.column("sector").reshape(11, 9)[:, 0]
    change = np.full((11, 9), np.nan)
    change[:, :-2] = (close[:, 2:] - close[:, :-2]) / close[:, :-2]
    wanted = np.full((11, 9), -1)
    for j in range(7):
        for number in np.unique(sector) if peers == "sector" else [None]:
            mine = (np.ones(11, bool) if number is None else sector == number) & np.isfinite(change[:, j])
            if mine.sum() < 2:
                continue
            limit = np.quantile(change[mine, j], 1 - share if direction == "up" else share)
            # A value right at the limit is not beyond it, however the interpolation rounds.
            gap = (change[mine, j] - limit) * (1 if direction == "up" else -1)
            wanted[mine, j] = np.where(np.abs(gap) < 1e-12, -2, gap > 0)
    values = found.values.reshape(11, 9)
    sure = wanted != -2
    np.testing.assert_array_equal(values[sure], wanted[sure])
    assert (found.end_us == panel.timestamps + 2 * MINUTE_US).all()
    assert ((found.exit_row >= 0) == found.known).all()


def test_the_upper_fifth_of_ten_are_two_and_above_the_median_are_half():
    closes = np.array([[100.0, 100.0 + k] for k in range(10)]).ravel()
    panel = Panel.from_codes([f"S{k}" for k in range(10)], np.repeat(np.arange(10), 2),
                             np.tile([0, 2 * MINUTE_US], 10), {"close": closes})  # fmt: skip
    assert np.flatnonzero(compute_labels(panel, label()).values[::2]).tolist() == [8, 9]
    assert np.flatnonzero(compute_labels(panel, label(quantile=0.5)).values[::2]).tolist() == [5, 6, 7, 8, 9]
    assert np.flatnonzero(compute_labels(panel, label(direction="down")).values[::2]).tolist() == [0, 1]
    alone = panel.where(panel.codes == 0)
    assert compute_labels(alone, label()).values.tolist() == [-1, -1]


def test_a_row_that_came_too_late_is_compared_and_moves_no_limit():
    panel = bars(5)
    late = np.zeros(len(panel), bool)
    late[panel.rows_of("S03")] = True
    found = compute_labels(replace(panel, outsiders=late), label())
    without = compute_labels(panel.where(~late), label())
    np.testing.assert_array_equal(found.values[~late], without.values)
    assert found.known[late].any()


def test_sessions_share_a_deadline():
    stocks = market_named("stocks")
    closes = calendar_of("XNYS").closes(np.arange("2018-07-02", "2018-07-07", dtype="datetime64[D]")[[0, 1, 3, 4]])
    prices = {"close_price": np.arange(12.0) ** 2 + 1}
    panel = Panel.from_codes(["A", "B", "C"], np.repeat([0, 1, 2], 4), np.tile(closes, 3), prices)
    panel = panel.with_exchanges(dict.fromkeys("ABC", "XNYS"))
    spec = LabelSpec("close_price", sessions=2, direction="up", quantile=0.5, relative_to="market", market=stocks)
    found = compute_labels(panel, spec)
    assert found.end_us.reshape(3, 4)[:, :2].tolist() == [closes[2:].tolist()] * 3
    assert found.values.reshape(3, 4)[:, 2:].tolist() == [[-1, -1]] * 3


@pytest.mark.parametrize(("fields", "message"), [
    ({"quantile": None}, "quantile"), ({"quantile": 1.0}, "quantile"), ({"quantile": True}, "quantile"),
    ({"relative_to": None}, "relative_to"), ({"relative_to": "country"}, "relative_to"), ({"market": None}, "relative"),
    ({"min_percent_change": 2}, "alone"), ({"mode": "within"}, "alone"), ({"operator": ">"}, "alone"),
    ({"direction": None}, "direction"), ({"minutes": None}, "minutes is missing"),
    ({"relative_to": "sector", "market": market_named("candles")}, "sectors"),
])  # fmt: skip
def test_incomplete_and_contradictory_definitions_are_refused(fields, message):
    with pytest.raises(SpecError, match=message):
        label(**fields)


def test_a_definition_names_the_columns_that_it_looks_at():
    assert label().columns == ("close",)
    assert label(relative_to="sector").columns == ("close", "sector")
