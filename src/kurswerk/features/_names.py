"""From a feature's name to its definition."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from kurswerk.core.errors import SpecError, UnknownNameError
from kurswerk.features._all_time_high import ALL_TIME_HIGH
from kurswerk.features._engineered import ENGINEERED
from kurswerk.features._feature import Feature
from kurswerk.features._graph import Graph
from kurswerk.features._indicators import INDICATORS
from kurswerk.features._kind import Kind
from kurswerk.market import COIN_COLUMNS, SOL_PRICE

DEFAULT_WINDOWS = (5, 10, 15)
KINDS: dict[str, Kind] = {**ENGINEERED, **ALL_TIME_HIGH, **INDICATORS}
_RAW = (*COIN_COLUMNS, SOL_PRICE)


def resolve(name: str) -> Feature:
    """Return the feature a name stands for.

    Parameters
    ----------
    name
        A column of ``coin_metrics`` (or ``sol_price_usd``), an engineered feature, with its window where it has one,
        or an indicator with all its parameters.

    Raises
    ------
    UnknownNameError
        If no feature is called so; the nearest name is offered.
    SpecError
        If a parameter is no number in range.

    Examples
    --------
    >>> resolve("price_change_5").lookback
    6
    >>> resolve("macd_signal_12_26_9").inputs
    ('price_close',)
    >>> resolve("price_change_0")
    Traceback (most recent call last):
    kurswerk.core.errors.SpecError: feature 'price_change_0': window is '0'; give an integer from 1 to 100000 ...
    """
    return _resolve(name)


@lru_cache(maxsize=4096)
def _resolve(name: str) -> Feature:
    if name in _RAW:
        return _raw(name)
    for count in range(5):
        kind_name, *texts = name.rsplit("_", count) if count else [name]
        kind = KINDS.get(kind_name)
        if kind is not None and len(texts) == len(kind.params):
            values = [param.read(text, name) for param, text in zip(kind.params, texts, strict=True)]
            return kind.feature(values, name)
    raise UnknownNameError("feature", name, feature_names())


def feature_names() -> list[str]:
    """Return raw columns, engineered features with the default windows and indicators with their usual parameters."""
    return [*_RAW, *engineered_names(_RAW), *(kind.feature().name for kind in INDICATORS.values())]


def registered_features() -> list[Feature]:
    """Return one feature of every kind, with its usual parameters, and one raw column."""
    return [_raw("price_close"), *(kind.feature() for kind in KINDS.values())]


def engineered_names(columns: Iterable[str], windows: Sequence[int] = DEFAULT_WINDOWS) -> list[str]:
    """Return the names of all engineered features whose inputs are among ``columns``.

    Parameters
    ----------
    columns
        Columns at hand.
    windows
        Windows in rows, each from 1 to 100,000; one stated twice counts once. Features of a standard deviation are
        left out for window 1, which has none.

    Returns
    -------
    list of str
        In a fixed order: by kind, then by window as given.

    Raises
    ------
    SpecError
        If a window is no integer in range.

    Examples
    --------
    >>> engineered_names(["volume_sol"], [5])
    ['volume_ratio_5', 'volume_spike_5']
    """
    present = set(columns)
    sizes = list(dict.fromkeys(_window(window) for window in windows))
    names = []
    for kind in (*ENGINEERED.values(), *ALL_TIME_HIGH.values()):
        if not present.issuperset(kind.feature().inputs):
            continue
        if not kind.params:
            names.append(kind.name)
        names.extend(f"{kind.name}_{size}" for size in sizes if kind.params and size >= kind.params[0].least)
    return names


def _window(window: int) -> int:
    if isinstance(window, bool) or not isinstance(window, int) or not 1 <= window <= 100_000:
        raise SpecError(f"feature_engineering_windows holds {window!r}; give integers from 1 to 100000")
    return window


def _raw(column: str) -> Feature:
    return Kind(
        column, (), _reader(column), "as stored", (float("-inf"), float("inf")), "coin_metrics", f"Column {column}."
    ).feature()


def _reader(column: str) -> Callable[[Graph], int]:
    return lambda g: g.input(column)
