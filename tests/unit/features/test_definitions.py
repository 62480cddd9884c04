"""Every feature against an independent definition or oracle."""

import csv
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from kurswerk.features import FeaturePlan, engineered_names
from kurswerk.market import COINS, Panel
from unit.features.markets import COLUMNS, market
from unit.features.reference import PLAIN, WINDOWED, expected

ORACLE = Path(__file__).parents[4] / "shared" / "data" / "indicators"

FIELDS = {
    "adx": {"pdi": "plus_di_14", "mdi": "minus_di_14", "dx": "dx_14", "adx": "adx_14", "adxr": "adxr_14"},
    "atr": {"tr": "true_range", "atr": "atr_14", "atrp": "atr_pct_14"},
    "bb": {
        "sma": "bollinger_middle_20_2",
        "upperBand": "bollinger_upper_20_2",
        "lowerBand": "bollinger_lower_20_2",
        "percentB": "bollinger_percent_b_20_2",
        "zScore": "zscore_20",
        "width": "bollinger_width_20_2",
    },
    "cci": {"cci": "cci_20"},
    "ema": {"ema": "ema_20"},
    "macd": {
        "macd": "macd_12_26_9",
        "signal": "macd_signal_12_26_9",
        "histogram": "macd_histogram_12_26_9",
        "fastEma": "ema_12",
        "slowEma": "ema_26",
    },
    "mfi": {"mfi": "mfi_14"},
    "obv": {"obv": "obv"},
    "roc": {"momentum": "momentum_14", "roc": "roc_14"},
    "rsi": {"rsi": "rsi_14"},
    "sma": {"sma": "sma_20"},
    "stdev": {"stdDev": "stddev_14", "mean": "sma_14", "zScore": "zscore_14"},
    "stoch": {
        "oscillator": "stochastic_k_14_3",
        "signal": "stochastic_d_14_3_3",
        "percentJ": "stochastic_j_14_3_3",
        "k": "stochastic_k_14_3",
        "d": "stochastic_d_14_3_3",
        "j": "stochastic_j_14_3_3",
    },
    "willr": {"williamsR": "williams_r_14"},
}
CASES = [(file, key, name) for file, fields in FIELDS.items() for key, name in fields.items()]


@cache
def quotes(file="quotes.csv"):
    if not ORACLE.is_dir():
        pytest.skip(f"no oracle data under {ORACLE}")
    with (ORACLE / file).open(encoding="utf-8-sig") as lines:
        rows = list(csv.DictReader(lines))
    names = {
        "open": "price_open", "high": "price_high", "low": "price_low", "close": "price_close", "volume": "volume_sol",
    }  # fmt: skip
    columns = {ours: np.array([float(row[theirs]) for row in rows]) for theirs, ours in names.items()}
    return Panel.from_columns(["SPY"] * len(rows), np.arange(len(rows)) * 86_400_000_000, columns)


@cache
def computed():
    names = list(dict.fromkeys(name for _, _, name in CASES))
    return dict(zip(names, FeaturePlan(names, COINS).compute(quotes()).T, strict=True))


@pytest.mark.parametrize(("file", "key", "name"), CASES)
def test_indicator_equals_the_oracle(file, key, name):
    ours = computed()[name]
    rows = json.loads((ORACLE / f"{file}.json").read_text())
    theirs = np.array([np.nan if row[key] is None else row[key] for row in rows], dtype=float)
    known = ~np.isnan(theirs)
    assert known.sum() > 400
    np.testing.assert_allclose(ours[known], theirs[known], rtol=1e-9)
    assert np.isnan(ours[: np.flatnonzero(known)[0]]).all()


def test_a_market_of_zeros_is_nan_never_infinite():
    values = FeaturePlan(
        ["rsi_14", "cci_20", "roc_14", "bollinger_percent_b_20_2", "williams_r_14", "adx_14"], COINS
    ).compute(quotes("quotes_zeros.csv"))
    assert not np.isinf(values).any()


DEVIATIONS = {"price_volatility", "volume_spike", "stddev"}
PAIRS = [(kind, 1) for kind in sorted(PLAIN)] + [
    (kind, window)
    for kind in sorted(WINDOWED)
    for window in (1, 2, 3, 5, 7, 12)
    if window > 1 or kind not in DEVIATIONS
]


@pytest.mark.parametrize(("kind", "window"), PAIRS)
def test_feature_equals_its_plain_definition(kind, window):
    panel = market(window)
    name = kind if kind in PLAIN else f"{kind}_{window}"
    ours = FeaturePlan([name], COINS).compute(panel)[:, 0]
    theirs = []
    for instrument in panel.instruments:
        rows = panel.rows_of(instrument)
        columns = {column: list(panel.column(column)[rows]) for column in panel.columns}
        theirs += expected(kind, window, columns, panel.timestamps[rows])
    assert np.isnan(ours).tolist() == np.isnan(theirs).tolist()
    np.testing.assert_allclose(ours, np.array(theirs, dtype=float), rtol=1e-9, atol=1e-9)


def test_the_plain_definitions_cover_every_engineered_feature():
    kinds = {name.removesuffix("_5") for name in engineered_names(COLUMNS, COINS, [5])}
    assert kinds <= {*WINDOWED, *PLAIN}
    assert len(kinds) == 35
