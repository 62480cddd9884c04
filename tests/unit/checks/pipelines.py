"""Small pipelines in plain numpy, slow and readable, into which faults are planted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from kurswerk.checks import Comparisons, TrainingRows
from kurswerk.core.errors import DataError
from kurswerk.market import Panel

MINUTE = 60_000_000
HORIZON = 8 * MINUTE
EMBARGO = 5 * MINUTE


def market(coins=6, rows=80, seed=1, missing=0.01):
    """Random walks, reporting every 20 to 100 s, all alive at the same time."""
    rng = np.random.default_rng(seed)
    keys, times, columns = [], [], {"price_close": [], "volume_sol": [], "num_buys": []}
    for coin in range(coins):
        keys += [f"coin{coin}"] * rows
        times.append(1_700_000_000_000_000 + np.cumsum(rng.integers(20, 101, rows)) * 1_000_000)
        columns["price_close"].append(10.0 ** rng.uniform(-6, 2) * np.exp(np.cumsum(rng.normal(0, 0.03, rows))))
        columns["volume_sol"].append(rng.lognormal(0, 1, rows))
        columns["num_buys"].append(rng.poisson(5, rows).astype(float))
    values = {name: np.concatenate(parts) for name, parts in columns.items()}
    for column in values.values():
        column[rng.random(len(column)) < missing] = np.nan
    return Panel.from_columns(keys, np.concatenate(times), values)


# --- features: a name, a look-back and a function of the panel


@dataclass(frozen=True)
class Toy:
    """A feature; ``live`` computes it from a coin's history where that is not the last row of ``batch``."""

    name: str
    lookback: int | None
    batch: Callable[[Panel], np.ndarray]


def one_coin(times, columns, values):
    return Panel(("coin",), np.array([0, len(times)]), times, tuple(columns), values)


def per_coin(function):
    """Lift a function of one coin's panel to a panel of many."""

    def batch(panel):
        parts = []
        for k in range(len(panel.instruments)):
            a, b = int(panel.offsets[k]), int(panel.offsets[k + 1])
            parts.append(function(one_coin(panel.timestamps[a:b], panel.columns, panel.values[:, a:b])))
        return np.concatenate(parts)

    return batch


def window(column, size, function):
    """A feature of the last ``size`` values of a column, summed in fixed order."""

    def one(panel):
        values = panel.column(column)
        result = np.full(len(values), np.nan)
        for i in range(size - 1, len(values)):
            result[i] = function(values[i - size + 1 : i + 1])
        return result

    return per_coin(one)


def recursive_mean(column, weight=0.2):
    def one(panel):
        state, result = np.nan, np.full(len(panel), np.nan)
        for i, value in enumerate(panel.column(column)):
            if not np.isnan(value):
                state = value if np.isnan(state) else state + weight * (value - state)
                result[i] = state
        return result

    return per_coin(one)


def change(values):
    with np.errstate(all="ignore"):
        return (values[-1] - values[0]) / values[0]


RAW = Toy("volume", 1, lambda panel: panel.column("volume_sol").copy())
CHANGE = Toy("change_4", 4, window("price_close", 4, lambda v: change(v) if not np.isnan(v).any() else np.nan))
MEAN = Toy("mean_3", 3, window("volume_sol", 3, lambda v: (v[0] + v[1] + v[2]) / 3))
EMA = Toy("ema", None, recursive_mean("price_close"))


class HistoryLive:
    """Keeps each coin's rows and computes the features of the last one from them."""

    def __init__(self, features):
        self.features, self.rows = features, {}

    def update(self, keys, timestamps, values):
        last = {key: rows[-1][0] for key, rows in self.rows.items() if rows}
        for key, moment in zip(keys, timestamps, strict=True):
            if moment <= last.get(key, -1):
                raise DataError(f"'{key}' has a late row")
            last[key] = moment
        return np.array([self.take(k, t, v) for k, t, v in zip(keys, timestamps, values, strict=True)])

    def take(self, key, moment, values):
        rows = self.rows.setdefault(key, [])
        rows.append((int(moment), *map(float, values)))
        table = np.array(rows[-self.features.kept_rows :])
        seen = table.tobytes()
        if seen not in self.features.computed:
            coin = one_coin(table[:, 0].astype(np.int64), self.features.inputs, table[:, 1:].T)
            self.features.computed[seen] = self.features.batch(coin)[-1]
        return self.features.computed[seen].copy()

    def rebuild(self, history):
        values = np.stack([history.column(name) for name in self.features.inputs], axis=1)
        for key in history.instruments:
            part = history.rows_of(key)
            times = history.timestamps[part]
            self.rows[key] = [(int(t), *map(float, v)) for t, v in zip(times, values[part], strict=True)]

    def snapshot(self, key):
        return np.array(self.rows[key]).tobytes()

    def restore(self, key, blob):
        table = np.frombuffer(blob).reshape(-1, len(self.features.inputs) + 1)
        self.rows[key] = [tuple(row) for row in table.tolist()]


@dataclass(frozen=True)
class ToyFeatures:
    toys: Sequence[Toy] = (RAW, CHANGE, MEAN)
    live_type: Callable = HistoryLive
    inputs: Sequence[str] = ("price_close", "volume_sol", "num_buys")
    computed: dict = field(default_factory=dict)  # what the slow live path has worked out already

    @property
    def names(self):
        return [toy.name for toy in self.toys]

    @property
    def lookbacks(self):
        return [toy.lookback for toy in self.toys]

    @property
    def kept_rows(self):
        return 10**6 if None in self.lookbacks else max(self.lookbacks)

    def batch(self, panel):
        return np.stack([toy.batch(panel) for toy in self.toys], axis=1)

    def live(self):
        return self.live_type(self)


# --- labels


@dataclass(frozen=True)
class ToyLabels:
    values: np.ndarray
    end_us: np.ndarray


def label_rise(panel, horizon=HORIZON, percent=8.0):
    """1 where the last price inside the horizon stands higher, by time; unknown where the rows end before it."""
    values = np.full(len(panel), -1, dtype=np.int8)
    price, times = panel.column("price_close"), panel.timestamps
    for k in range(len(panel.instruments)):
        start, end = panel.offsets[k], panel.offsets[k + 1]
        for i in range(start, end):
            exit_row = int(np.searchsorted(times[start:end], times[i] + horizon, side="right")) + start - 1
            if times[i] + horizon <= times[end - 1] and exit_row > i:
                base, later = price[i], price[exit_row]
                if not np.isnan(base) and not np.isnan(later):
                    values[i] = later > base * (1 + percent / 100)
    return ToyLabels(values, times + horizon)


# --- folds


@dataclass(frozen=True)
class ToyFold:
    train: np.ndarray
    test: np.ndarray
    test_start_us: int


def walk_forward(times, ends, splits=3, embargo=EMBARGO, purge=True):
    edges = np.quantile(times, np.linspace(0, 1, splits + 2)).astype(np.int64)
    edges[-1] += 1
    folds = []
    for start, stop in pairwise(edges[1:]):
        kept = (times < start) & ((ends < start - embargo) if purge else True)
        test = np.flatnonzero((times >= start) & (times < stop))
        folds.append(ToyFold(np.flatnonzero(kept), test, int(start)))
    return folds


# --- fitted steps: resampling, scaler, selection, threshold, linear model


@dataclass(frozen=True)
class ToyFit:
    steps: Mapping[str, np.ndarray | float | str]

    def state(self):
        return self.steps

    def predict_proba(self, X):
        scaled = (np.nan_to_num(X) - self.steps["mean"]) / self.steps["scale"]
        return 1 / (1 + np.exp(-np.clip(scaled @ self.steps["weights"], -50, 50)))


def resample(X, y, random_state=0):
    """Interpolate between random rare rows until they are 0.8 of the others; rows balanced already stay."""
    rare = int((y == 1).sum() * 2 < len(y))
    if (y == rare).sum() >= 0.3 * len(y) or (y == rare).sum() < 2:
        return X, y
    rng = np.random.default_rng(random_state)
    wanted = round(0.8 * (y != rare).sum()) - (y == rare).sum()
    rows = np.flatnonzero(y == rare)
    a, b = rng.choice(rows, wanted), rng.choice(rows, wanted)
    new = (X[a] + rng.random((wanted, 1)) * (X[b] - X[a])).astype(X.dtype)
    new = np.clip(new, np.minimum(X[a], X[b]), np.maximum(X[a], X[b]))
    return np.vstack((X, new)), np.concatenate((y, np.full(wanted, rare, dtype=y.dtype)))


def fit_steps(X, y, *, scale_X=None, select=None, tune=None):
    """Fit all steps on the rows given; ``scale_X``, ``select`` and ``tune`` are other rows, and faults."""
    scale_X = X if scale_X is None else scale_X
    filled = np.nan_to_num(scale_X)
    mean, scale = filled.mean(axis=0), filled.std(axis=0) + 1e-9
    scaled = (np.nan_to_num(X) - mean) / scale
    weights = scaled[y == 1].mean(axis=0) - scaled[y == 0].mean(axis=0)
    sel_X, sel_y = (X, y) if select is None else select
    filled = (np.nan_to_num(sel_X) - mean) / scale
    strength = np.abs(filled[sel_y == 1].mean(axis=0) - filled[sel_y == 0].mean(axis=0))
    weights[np.argmin(strength)] = 0.0
    tune_X, tune_y = (X, y) if tune is None else tune
    fit = ToyFit({"mean": mean, "scale": scale, "weights": weights})
    score = fit.predict_proba(tune_X)
    grid = np.quantile(score, np.linspace(0.05, 0.95, 19))
    threshold = float(max(grid, key=lambda cut: np.mean((score >= cut) == tune_y)))
    return ToyFit({**fit.steps, "strength": strength, "threshold": threshold, "kind": "linear"})


def fit_inside(rows, fold):
    return fit_steps(*resample(rows.X[fold.train], rows.y[fold.train]))


def begin(pipeline, panel):
    """The rows of the panel whose label is known, with their features as float32."""
    labels = pipeline.labels(panel)
    rows = np.flatnonzero(labels.values >= 0)
    return TrainingRows(
        X=pipeline.features.batch(panel)[rows].astype(np.float32),
        y=labels.values[rows],
        timestamps=panel.timestamps[rows],
        label_end_us=labels.end_us[rows],
        embargo_us=np.full(len(rows), pipeline.embargo_us),
        codes=panel.codes[rows],
        panel_rows=rows,
    )


@dataclass(frozen=True)
class ToyPipeline:
    features: ToyFeatures = field(default_factory=ToyFeatures)
    label: Callable = label_rise
    split: Callable = walk_forward
    fit: Callable = fit_inside
    start: Callable = begin
    horizon_us: int | None = HORIZON
    embargo_us: int = EMBARGO
    comparisons: Comparisons = field(default_factory=Comparisons)

    def labels(self, panel):
        return self.label(panel)

    def deadlines(self, panel):
        return panel.timestamps + self.horizon_us if self.horizon_us else None

    def training_rows(self, panel):
        return self.start(self, panel)

    def folds(self, rows):
        return self.split(rows.timestamps, rows.label_end_us)

    def fit_fold(self, rows, fold):
        return self.fit(rows, fold)


def with_feature(*toys):
    return ToyPipeline(features=ToyFeatures((RAW, *toys)))
