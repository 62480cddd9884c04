"""Features of the second stage: what a feature of one instrument is among all instruments of its moment."""

import inspect
from dataclasses import dataclass
from math import inf
from typing import Any

from kurswerk.core.digest import sha256_json
from kurswerk.features import _cross_kernels as kernels
from kurswerk.market import MarketSchema, Role
from kurswerk.market.moments import SECTOR, bucket_us

# What betas regress: the change of the close since the row before, in percent.
RETURN = "price_change_1"
_COMPARING = (kernels.is_counted, kernels.section_sums, kernels.group_sums)
# How values are put in order does not touch a rank: the order is one whatever leads to it.
_RANKING = (kernels.is_counted, kernels.group_ranks, kernels.rank_runs, kernels.rank_groups, kernels.rank_among,
            kernels.share_below)  # fmt: skip
_REGRESSING = (*_COMPARING, kernels.rolling_beta)


@dataclass(frozen=True)
class Operator:
    """One way to compare a row with the members of its moment.

    Attributes
    ----------
    name
        What stands before the base's name, e.g. ``market_rank``.
    code
        What `run_sections` calls it.
    within_sector
        Whether members of the row's sector alone count.
    needs_own
        Whether the row's own value takes part; without it the result is the same for all rows of a moment.
    unit, range, doc
        As in `Feature`; None: those of the base.
    steps
        The compiled functions that it consists of.
    """

    name: str
    code: int
    within_sector: bool
    needs_own: bool
    unit: str | None
    range: tuple[float, float] | None
    doc: str
    steps: tuple[Any, ...]


_ALL = "the members of the row's moment"
_SECTOR = "the members of the row's moment and sector"
_RANK = "Share of {} with a lower value, those of the same value counted half."
_ZSCORE = "Distance from the mean of {} in sample deviations (n - 1); NaN where they are fewer than two or all alike."

OPERATORS: dict[str, Operator] = {
    one.name: one
    for one in (
        Operator("market_rank", kernels.RANK, False, True, "share", (0, 1), _RANK.format(_ALL), _RANKING),
        Operator("sector_rank", kernels.RANK, True, True, "share", (0, 1), _RANK.format(_SECTOR), _RANKING),
        Operator("market_zscore", kernels.ZSCORE, False, True, "standard deviations", (-inf, inf),
                 _ZSCORE.format(_ALL), (*_COMPARING, kernels.of_group, kernels.standardised)),
        Operator("sector_zscore", kernels.ZSCORE, True, True, "standard deviations", (-inf, inf),
                 _ZSCORE.format(_SECTOR), (*_COMPARING, kernels.of_group, kernels.standardised)),
        Operator("market_mean", kernels.MEAN, False, False, None, None, f"Mean over {_ALL}.",
                 (*_COMPARING, kernels.of_group)),
        Operator("sector_mean", kernels.MEAN, True, False, None, None, f"Mean over {_SECTOR}.",
                 (*_COMPARING, kernels.of_group)),
        Operator("market_dispersion", kernels.DISPERSION, False, False, None, (0, inf),
                 f"Sample standard deviation (n - 1) over {_ALL}.", (*_COMPARING, kernels.of_group)),
        Operator("market_breadth", kernels.BREADTH, False, False, "share", (0, 1),
                 f"Share of {_ALL} with a value above 0.", (*_COMPARING, kernels.of_group)),
    )
}  # fmt: skip

REGRESSIONS: dict[str, str] = {
    "beta": "Slope of the regression of the close's one-row change on its mean over the members of each moment, over "
    "the instrument's last `window` rows.",
    "residual_return": "The close's one-row change less beta times its mean over the members of the moment.",
}


@dataclass(frozen=True)
class CrossSection:
    """How a feature compares: an operator on a base, or a regression on the market over a window of rows.

    Attributes
    ----------
    operator
        Of `OPERATORS` or `REGRESSIONS`.
    base
        Name of the feature that is compared.
    group
        Name of the feature whose values part the members into groups; None where all are one.
    window
        Rows of a regression; None of an operator.
    """

    operator: str
    base: str
    group: str | None = None
    window: int | None = None

    @property
    def first_stage(self) -> tuple[str, ...]:
        """Names of the features that it reads of each row."""
        return (self.base,) if self.group is None else (self.base, self.group)

    def definition_hash(self, market: MarketSchema, bases: dict[str, str]) -> str:
        """Return the SHA-256 over operator, bases, the market's moments and the source text of every step in it."""
        steps = _REGRESSING if self.window is not None else OPERATORS[self.operator].steps
        return sha256_json(
            {
                "operator": self.operator,
                "bases": [bases[name] for name in self.first_stage],
                "window": self.window,
                "bucket_us": bucket_us(market),
                "steps": {_name(step): _source(step) for step in steps},
            }
        )


def cross_section_of(name: str, market: MarketSchema) -> CrossSection | None:
    """Return how a feature's name compares; None if it is no name of the second stage.

    Examples
    --------
    >>> from kurswerk.market import COINS
    >>> cross_section_of("market_rank_price_change_5", COINS)
    CrossSection(operator='market_rank', base='price_change_5', group=None, window=None)
    >>> cross_section_of("beta_60", COINS).window
    60
    """
    for operator in OPERATORS.values():
        if name.startswith(f"{operator.name}_"):
            base = name.removeprefix(f"{operator.name}_")
            return CrossSection(operator.name, base, SECTOR if operator.within_sector else None)
    kind, _, text = name.rpartition("_")
    if kind in REGRESSIONS and text.isdecimal() and text == str(int(text)) and Role.CLOSE in market.roles:
        return CrossSection(kind, RETURN, None, int(text))
    return None


def _name(step: Any) -> str:
    return str(step.__name__)


def _source(step: Any) -> str:
    return inspect.getsource(step)
