"""Small markets for the tests, with zeros, repeats and holes."""

import numpy as np

from kurswerk.market import COINS, SOL_PRICE, Panel

COLUMNS = (*COINS.columns, SOL_PRICE)


def market(seed, rows=(60, 1, 37), holes=0.03):
    """A panel of coins A, B, … with all columns."""
    rng = np.random.default_rng(seed)
    n = sum(rows)
    close = np.exp(np.cumsum(rng.choice([-0.03, 0.0, 0.0, 0.04], n)))
    data = {name: np.round(rng.random(n) * 5, 1) for name in COLUMNS}
    data["price_close"] = close
    data["price_high"] = close * rng.choice([1.0, 1.02], n)
    data["price_low"] = close * rng.choice([1.0, 0.97], n)
    data["net_volume_sol"] = rng.choice([-1.5, 0.0, 2.0], n)
    data["unique_signer_ratio"] = rng.random(n) * 0.3
    data["dev_sold_amount"] = rng.choice([0.0, 0.0, 3.0], n)
    data["sol_price_usd"] = 150 + np.cumsum(rng.choice([-1.0, 0.0, 1.0], n))
    for column in data.values():
        column[rng.random(n) < holes] = np.nan
    keys = np.repeat([chr(65 + k) for k in range(len(rows))], rows)
    times = np.concatenate([np.zeros(0, int), *(np.cumsum(rng.choice([5, 30, 60], k)) for k in rows)]) * 1_000_000
    return Panel.from_columns(list(keys), times, data)


def inputs_of(plan, panel):
    """Values (n_rows, n_inputs) as the live path takes them."""
    return np.ascontiguousarray(np.stack([panel.column(name) for name in plan.inputs], axis=1))


def keys_of(panel):
    """Instrument of every row."""
    return [panel.instruments[code] for code in panel.codes]


def same_bits(a, b):
    """Whether two arrays agree in every bit, NaN included."""
    return a.shape == b.shape and np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()
