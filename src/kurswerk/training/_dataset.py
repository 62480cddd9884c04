"""From stored market rows to a matrix of features with labels."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError, NoDataError
from kurswerk.core.timestamps import format_timestamp
from kurswerk.evaluation import ended_within_horizon
from kurswerk.features import FeaturePlan, engineered_names
from kurswerk.labels import Labels, LabelSpec, compute_labels, embargoes
from kurswerk.market import MarketSchema, Panel, Role
from kurswerk.training._costs import Costs, costs_of
from kurswerk.training._feature_cache import cached_features
from kurswerk.training.ports import MarketStore
from kurswerk.training.spec import ModelSpec

# All positions of a pipeline that computes on both cores; bits do not depend on it.
FEATURE_THREADS = 2


class Examples(NamedTuple):
    """What a model is fitted on, row by row; of some of them, its ``rows``.

    ``X`` float32 (n, n_features); ``y`` int8 labels; ``timestamps`` and the moments up to which the labels look,
    ``label_end_us``, in microseconds UTC; how far a label must stay from a test part, ``embargo_us``; of a forecast
    ``returns`` in percent; all (n,).
    """

    X: NDArray[np.float32]
    y: NDArray[np.int8]
    timestamps: NDArray[np.int64]
    label_end_us: NDArray[np.int64]
    embargo_us: NDArray[np.int64]
    returns: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features and labels over whole histories, and which rows take part.

    Features are computed from each coin's first stored row on, so that recursive ones have the value they have live;
    the rows that take part lie in the period and the phases and have a known label.

    Attributes
    ----------
    panel
        All rows up to the end of the period.
    plan
        The features, in the order of the model's input.
    features
        float32, shape (len(panel), n_features), column after column in memory.
    labels
        For every row of the panel.
    embargo_us
        How far the label of every row of the panel must stay from a test part, microseconds.
    rows
        int64 positions of the rows that take part, ascending.
    ended_rows
        int64 positions of rows in the period and the phases that have no label because their instrument stops trading
        before their horizon (`ended_within_horizon`), ascending.
    """

    panel: Panel
    plan: FeaturePlan
    features: NDArray[np.float32]
    labels: Labels
    embargo_us: NDArray[np.int64]
    rows: NDArray[np.int64]
    ended_rows: NDArray[np.int64]

    @property
    def examples(self) -> Examples:
        """What is fitted on, of all rows of the panel."""
        labels, times = self.labels, self.panel.timestamps
        return Examples(self.features, labels.values, times, labels.end_us, self.embargo_us, labels.returns)

    @property
    def returns(self) -> NDArray[np.float64]:
        """Returns of the rows that take part, in percent; of a forecast alone."""
        if self.labels.returns is None:
            raise TypeError("labels of a forecast are needed")
        return self.labels.returns[self.rows]

    @property
    def y(self) -> NDArray[np.int8]:
        """Labels of the rows that take part: 0 or 1."""
        return self.labels.values[self.rows]

    @property
    def timestamps(self) -> NDArray[np.int64]:
        """Times of the rows that take part, microseconds UTC."""
        return self.panel.timestamps[self.rows]

    @property
    def codes(self) -> NDArray[np.int64]:
        """Instrument index of the rows that take part."""
        return self.panel.codes[self.rows]


def training_plan(spec: ModelSpec, panel: Panel) -> FeaturePlan:
    """Return the features of a specification that the data allow, each once.

    A column without a single value in the data counts as absent: named in ``features`` it is an error, as an input of
    an engineered feature it drops that feature.

    Raises
    ------
    DataError
        If a named feature has no data, or no feature is left.
    """
    market = spec.market_schema
    present = [name for name in panel.columns if not np.isnan(panel.column(name)).all()]
    named = FeaturePlan(spec.raw_features, market) if spec.raw_features else None
    lacking = sorted(set(named.inputs) - set(present)) if named else []
    if lacking:
        raise DataError(
            "training.column_empty", column=lacking[0], end=format_timestamp(spec.train_end_us), found=sorted(present)
        )
    windows = spec.feature_engineering_windows
    engineered = engineered_names(present, market, windows) if spec.use_engineered_features else []
    names = tuple(dict.fromkeys((*spec.raw_features, *engineered)))
    if not names:
        raise DataError("training.no_engineered_features")
    return FeaturePlan(names, market)


def columns_to_load(spec: ModelSpec, stored: Collection[str]) -> list[str]:
    """Return the columns that a training needs, in the order of the market's schema."""
    market = spec.market_schema
    wanted = {*FeaturePlan(spec.raw_features, market).inputs} if spec.raw_features else set()
    wanted |= {*spec.label_spec().columns}
    if spec.phases and market.segment:
        wanted |= {market.segment.column}
    optional = (
        set(market.usual_columns) if spec.use_engineered_features else trade_columns(market, costs_of(spec.costs))
    )
    return market.in_order(wanted | (optional & set(stored)))


def trade_columns(market: MarketSchema, costs: Costs) -> set[str]:
    """Return the columns that simulated trades read, as far as the market has them: the close, and with price impact
    the reserves.
    """
    roles = (Role.CLOSE, Role.RESERVES) if costs.price_impact else (Role.CLOSE,)
    return {market.roles[role] for role in roles if role in market.roles}


def load_for_plan(
    market: MarketStore,
    plan: FeaturePlan,
    label: LabelSpec,
    end_us: int,
    mints: Sequence[str] | None,
    costs: Costs | None = None,
) -> Panel:
    """Load what a model's features, label, phases and simulated trades need, up to a moment.

    Of all instruments where these are compared with each other, whichever the model is of.
    """
    schema = plan.market
    optional = trade_columns(schema, costs or Costs()) | ({schema.segment.column} if schema.segment else set())
    columns = schema.in_order({*plan.inputs, *label.columns, *(optional & set(market.columns()))})
    if compares(plan, label):
        panel = market.mark_outsiders(market.load_panel(columns, end_us=end_us))
        return refuse_empty(panel, end_us, None)
    return refuse_empty(market.load_panel(columns, end_us=end_us, mints=mints), end_us, mints)


def compares(plan: FeaturePlan | None, label: LabelSpec) -> bool:
    """Return whether features or labels compare instruments, so that the rows of all of them are needed."""
    return label.compares or (plan is not None and plan.second_stage is not None)


def refuse_empty(panel: Panel, end_us: int, mints: Sequence[str] | None) -> Panel:
    """Return the panel unless it has no rows.

    Raises
    ------
    NoDataError
        Naming the coins and the moment asked for.
    """
    if len(panel) == 0:
        end = format_timestamp(end_us)
        if mints:
            raise NoDataError("training.no_rows_of_coins_before", coins=mints[:5], end=end)
        raise NoDataError("training.no_rows_before", end=end)
    return panel


def build_dataset(
    panel: Panel,
    plan: FeaturePlan,
    label: LabelSpec,
    period_us: tuple[int, int],
    phases: Sequence[int] | None,
    instruments: Sequence[str] | None = None,
    *,
    from_cache: bool = True,
) -> Dataset:
    """Compute features and labels and choose the rows that take part.

    Parameters
    ----------
    panel
        Rows up to the end of the period; nothing later, so that no label can see it.
    period_us
        Start and end, both inclusive.
    phases
        Only rows in these phases; None for all.
    instruments
        Only rows of these; None for all.
    from_cache
        Whether features may come from the cache that is in use; a certificate computes all of them.

    Raises
    ------
    NoDataError
        If no row of the period has a known label; the message names the range of the data.
    """
    start_us, end_us = period_us
    labels = compute_labels(panel, label)
    taking_part = (panel.timestamps >= start_us) & (panel.timestamps <= end_us)
    in_period = int(taking_part.sum())
    if phases is not None and plan.market.segment is not None:
        taking_part &= np.isin(panel.column(plan.market.segment.column), np.asarray(phases, dtype=np.float64))
    if instruments is not None:
        taking_part &= np.isin(panel.instruments, list(instruments))[panel.codes]
    rows = np.flatnonzero(taking_part & labels.known)
    ended_rows = np.flatnonzero(taking_part & ended_within_horizon(panel, labels))
    if len(rows) == 0:
        raise _nothing_there(panel, start_us, end_us, in_period)
    compute = partial(cached_features, plan) if from_cache else plan.compute
    features = compute(panel, threads=FEATURE_THREADS, dtype=np.float32)
    embargo_us = embargoes(panel, labels.end_us, label)
    return Dataset(panel, plan, features, labels, embargo_us, rows, ended_rows)


def _nothing_there(panel: Panel, start_us: int, end_us: int, in_period: int) -> NoDataError:
    start, end = format_timestamp(start_us), format_timestamp(end_us)
    if in_period:
        return NoDataError("training.no_known_label", count=in_period, start=start, end=end)
    first, last = format_timestamp(int(panel.timestamps.min())), format_timestamp(int(panel.timestamps.max()))
    return NoDataError("training.no_rows_between", start=start, end=end, first=first, last=last)
