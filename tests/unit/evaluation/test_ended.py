"""Rows whose instrument stops trading before their horizon, by brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.core.timestamps import MINUTE_US
from kurswerk.evaluation import EndedRows, TradeCosts, ended_within_horizon, evaluate_panel, simulate_trades
from kurswerk.labels import LabelSpec, compute_labels
from kurswerk.market import Panel

LABEL = LabelSpec("price_close", minutes=5, min_percent_change=10, direction="up")
TIMES = st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True)


def panel_of(times: dict[str, list[int]], seed: int = 0) -> Panel:
    keys = [name for name, minutes in times.items() for _ in minutes]
    moments = np.array([minute for minutes in times.values() for minute in minutes], dtype=np.int64) * MINUTE_US
    price = np.random.default_rng(seed).uniform(1, 2, len(keys))
    return Panel.from_columns(keys, moments, {"price_close": price})


@settings(max_examples=200, deadline=None)
@given(st.lists(TIMES, min_size=1, max_size=4))
def test_a_row_ended_if_the_market_reached_its_horizon_and_its_instrument_did_not(all_times):
    panel = panel_of({f"i{k}": minutes for k, minutes in enumerate(all_times)})
    labels = compute_labels(panel, LABEL)
    newest = max(max(minutes) for minutes in all_times)
    wanted = []
    for k, name in enumerate(panel.instruments):
        own = sorted(all_times[int(name[1:])])
        assert k == int(name[1:])
        wanted += [own[-1] < minute + 5 <= newest for minute in own]
    found = ended_within_horizon(panel, labels)
    assert found.tolist() == wanted
    assert not (found & labels.known).any()


def test_a_label_of_the_next_row_never_ends_too_soon():
    panel = panel_of({"a": [0, 1], "b": [0, 20]})
    labels = compute_labels(panel, LabelSpec("price_close", ">", 1.0))
    assert not ended_within_horizon(panel, labels).any()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_their_trades_end_at_the_last_price(seed, threshold):
    rng = np.random.default_rng(seed)
    panel = panel_of({"alive": list(range(30)), "dead": list(range(12)), "once": [3]}, seed)
    labels = compute_labels(panel, LABEL)
    ended = np.flatnonzero(ended_within_horizon(panel, labels))
    assert len(ended) == 6  # five of "dead", whose last reaching row is at minute 6, and "once"
    rows = np.flatnonzero(labels.known)
    probability, ended_probability = rng.uniform(size=len(rows)), rng.uniform(size=len(ended))
    costs = TradeCosts(50, 20)
    evaluation = evaluate_panel(
        panel,
        labels,
        rows,
        probability,
        threshold=threshold,
        price_column="price_close",
        costs=costs,
        ended=EndedRows(ended, ended_probability),
    )
    found = evaluation.as_json()["ended_within_horizon"]
    assert found["rows"] == len(ended)
    assert found["share"] == pytest.approx(len(ended) / (len(ended) + len(rows)))
    assert found["predicted_positive"] == int((ended_probability >= threshold).sum())
    # The same by hand: one exit after another.
    price, net = panel.column("price_close"), []
    for row, chance in [*zip(rows, probability, strict=True), *zip(ended, ended_probability, strict=True)]:
        if chance >= threshold:
            last = panel.offsets[panel.codes[row] + 1] - 1
            exit_row = labels.exit_row[row] if labels.exit_row[row] >= 0 else last
            sold, bought = price[exit_row] * 0.998 * 0.995, price[row] * 1.002 * 1.005
            net.append(100 * (sold / bought - 1))
    assert found["trades"]["count"] == len(net)
    if net:
        assert found["trades"]["simulated_profit_pct"] == pytest.approx(np.mean(net))


def test_the_evaluation_itself_is_not_changed_by_them():
    panel = panel_of({"alive": list(range(30)), "dead": list(range(12))})
    labels = compute_labels(panel, LABEL)
    rows, ended = np.flatnonzero(labels.known), np.flatnonzero(ended_within_horizon(panel, labels))
    probability = np.linspace(0, 1, len(rows))

    def evaluated(given: EndedRows | None) -> dict:
        return evaluate_panel(panel, labels, rows, probability, price_column="price_close", ended=given).as_json()

    without, with_ended = evaluated(None), evaluated(EndedRows(ended, np.ones(len(ended))))
    assert without.pop("ended_within_horizon") is None
    assert with_ended.pop("ended_within_horizon")["trades"]["count"] > without["trades"]["count"]
    assert with_ended == without


def test_no_row_that_ended_is_no_share():
    panel = panel_of({"a": list(range(10))})
    labels = compute_labels(panel, LABEL)
    rows = np.flatnonzero(labels.known)
    none = EndedRows(np.empty(0, dtype=np.int64), np.empty(0))
    found = evaluate_panel(panel, labels, rows, np.ones(len(rows)), price_column="price_close", ended=none).ended
    assert (found["rows"], found["share"], found["predicted_positive"]) == (0, 0.0, 0)
    same = simulate_trades(panel.column("price_close"), panel.timestamps, labels.exit_row, labels.known)
    assert found["trades"]["count"] == same.count
