"""From a feature's name to its definition."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from math import inf

from kurswerk.core.errors import SpecError, UnknownNameError
from kurswerk.features._all_time_high import ALL_TIME_HIGH
from kurswerk.features._coins import COIN_FEATURES
from kurswerk.features._cross import OPERATORS, REGRESSIONS, RETURN, CrossSection, cross_section_of
from kurswerk.features._engineered import ENGINEERED
from kurswerk.features._feature import Feature
from kurswerk.features._fundamentals import FUNDAMENTAL_FEATURES
from kurswerk.features._graph import Graph, MissingInputError
from kurswerk.features._indicators import INDICATORS
from kurswerk.features._kind import Kind, Param
from kurswerk.market import MarketSchema, Role
from kurswerk.market.moments import SECTOR

DEFAULT_WINDOWS = (5, 10, 15)
OWN = "Kurswerk contracts"
NAN_OWN = "NaN where the row's own value is missing or infinite, or too few members have one; such members do not count"
NAN_SECTION = "NaN where too few members of the row's moment have a value; members without one do not count"
NAN_REGRESSION = "NaN until the window is full, if a value in it is missing, and where the market's do not vary"
_USUAL_BASES = (RETURN, "price_change_5", "price_change_20", "price_volatility_20", "volume_ratio_20")
_ENGINEERED_KINDS: dict[str, Kind] = {**ENGINEERED, **COIN_FEATURES, **ALL_TIME_HIGH}
# Only where they are named: they read columns that a training loads for no other feature.
_NAMED_KINDS: dict[str, Kind] = {**INDICATORS, **FUNDAMENTAL_FEATURES}
KINDS: dict[str, Kind] = {**_ENGINEERED_KINDS, **_NAMED_KINDS}
# Features of users; named in specifications, never part of ``use_engineered_features``.
OWN_KINDS: dict[str, Kind] = {}


def resolve(name: str, market: MarketSchema) -> Feature:
    """Return the feature that a name means in a market.

    Parameters
    ----------
    name
        A column of the market's panels, an engineered feature, with its window where it has one, an indicator with all
        its parameters, or one of these compared with the other instruments of its moment.
    market
        Whose columns the feature reads.

    Raises
    ------
    UnknownNameError
        If no feature has that name; the nearest name is offered.
    SpecError
        If a parameter is no number in range, or the market lacks an input of the feature.

    Examples
    --------
    >>> from kurswerk.market import COINS
    >>> resolve("price_change_5", COINS).lookback
    6
    >>> resolve("macd_signal_12_26_9", COINS).inputs
    ('price_close',)
    >>> resolve("price_change_0", COINS)
    Traceback (most recent call last):
    kurswerk.core.errors.SpecError: feature 'price_change_0': window is '0'; give an integer from 1 to 100000 ...
    """
    return _resolve(name, market)


def forget_resolved() -> None:
    """Let names be looked up again, after features of users have changed."""
    _resolve.cache_clear()


@lru_cache(maxsize=4096)
def _resolve(name: str, market: MarketSchema) -> Feature:
    if name in market.panel_columns:
        return _raw(name, market)
    for count in range(5):
        kind_name, *texts = name.rsplit("_", count) if count else [name]
        kind = KINDS.get(kind_name) or OWN_KINDS.get(kind_name)
        if kind is not None and len(texts) == len(kind.params):
            values = [param.read(text, name) for param, text in zip(kind.params, texts, strict=True)]
            return _feature(kind, market, values, name)
    cross = cross_section_of(name, market)
    if cross is not None:
        return _compared(name, cross, market)
    raise UnknownNameError("feature.unknown", name=name, known=[*feature_names(market), *cross_feature_names(market)])


def _compared(name: str, cross: CrossSection, market: MarketSchema) -> Feature:
    """Return a feature of the second stage."""
    compared = tuple(_resolve(one, market) for one in cross.first_stage)
    base = compared[0]
    if base.cross is not None:
        raise SpecError("feature.compared_twice", feature=name, base=base.name)
    if cross.window is not None:
        window = Param("window", 60, least=2).read(str(cross.window), name)
        return replace(
            base,
            name=name,
            kind=cross.operator,
            params={"window": window},
            lookback=None if base.lookback is None else base.lookback + int(window) - 1,
            unit="ratio" if cross.operator == "beta" else base.unit,
            range=(-inf, inf),
            nan_rule=NAN_REGRESSION,
            source=OWN,
            doc=REGRESSIONS[cross.operator],
            compared=compared,
            cross=cross,
        )
    operator = OPERATORS[cross.operator]
    return replace(
        base,
        name=name,
        kind=operator.name,
        params=dict(base.params),
        inputs=tuple(dict.fromkeys(column for one in compared for column in one.inputs)),
        lookback=base.lookback if operator.needs_own else 1,
        unit=operator.unit or base.unit,
        range=operator.range or base.range,
        nan_rule=NAN_OWN if operator.needs_own else NAN_SECTION,
        source=OWN,
        doc=operator.doc,
        compared=compared,
        cross=cross,
    )


def cross_feature_names(market: MarketSchema) -> list[str]:
    """Return features of the second stage with usual bases, as far as the market has their inputs.

    Every operator takes any feature of one instrument: ``market_rank_`` before its name.
    """
    bases = [name for name in _USUAL_BASES if KINDS[name.rsplit("_", 1)[0]].is_available(market)]
    within = [one.name for one in OPERATORS.values() if not one.within_sector or SECTOR in market.panel_columns]
    names = [f"{operator}_{base}" for operator in within for base in bases]
    regressions = [f"{kind}_60" for kind in REGRESSIONS if RETURN in bases]
    return [*names, *regressions]


def _feature(kind: Kind, market: MarketSchema, values: Sequence[float], name: str) -> Feature:
    try:
        return kind.feature(market, values, name)
    except MissingInputError as error:
        raise SpecError("feature.not_computable", feature=name, reason=error.message) from error


def feature_names(market: MarketSchema) -> list[str]:
    """Return a market's columns, engineered features with the default windows, and indicators and features of users
    with their usual parameters.
    """
    others = (*_NAMED_KINDS.values(), *OWN_KINDS.values())
    indicators = [kind.feature(market).name for kind in others if kind.is_available(market)]
    return [*market.panel_columns, *engineered_names(market.panel_columns, market), *indicators]


def registered_features(market: MarketSchema) -> list[Feature]:
    """Return one feature of every kind that the market allows, with its usual parameters, and one raw column."""
    kinds = [kind.feature(market) for kind in KINDS.values() if kind.is_available(market)]
    return [_raw(market.roles.get(Role.CLOSE, market.panel_columns[0]), market), *kinds]


def engineered_names(
    columns: Iterable[str], market: MarketSchema, windows: Sequence[int] = DEFAULT_WINDOWS
) -> list[str]:
    """Return the names of all engineered features whose inputs are among ``columns``.

    Parameters
    ----------
    columns
        Columns at hand.
    market
        Whose columns they are.
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
    >>> from kurswerk.market import COINS
    >>> engineered_names(["volume_sol"], COINS, [5])
    ['volume_ratio_5', 'volume_spike_5']
    """
    present = set(columns)
    sizes = list(dict.fromkeys(_window(window) for window in windows))
    names = []
    for kind in _ENGINEERED_KINDS.values():
        if not kind.is_available(market) or not present.issuperset(kind.feature(market).inputs):
            continue
        if not kind.params:
            names.append(kind.name)
        names.extend(f"{kind.name}_{size}" for size in sizes if kind.params and size >= kind.params[0].least)
    return names


def _window(window: int) -> int:
    if isinstance(window, bool) or not isinstance(window, int) or not 1 <= window <= 100_000:
        raise SpecError("feature.window_out_of_range", window=window)
    return window


def _raw(column: str, market: MarketSchema) -> Feature:
    limits = (float("-inf"), float("inf"))
    kind = Kind(column, (), _reader(column), "as stored", limits, market.table, f"Column {column}.")
    return kind.feature(market)


def _reader(column: str) -> Callable[[Graph], int]:
    return lambda g: g.input(column)
