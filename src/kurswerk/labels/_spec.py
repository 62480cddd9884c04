"""The definition of a label, checked when it is made."""

import math
from dataclasses import dataclass
from typing import Literal

from kurswerk.core.errors import SpecError
from kurswerk.core.timestamps import MINUTE_US
from kurswerk.market import MarketSchema
from kurswerk.market.calendar import MAX_HORIZON_SESSIONS, canonical_exchange
from kurswerk.market.moments import SECTOR

Operator = Literal[">", "<", ">=", "<=", "="]
Direction = Literal["up", "down"]
Mode = Literal["at", "within"]
Peers = Literal["market", "sector"]

OPERATORS: tuple[Operator, ...] = (">", "<", ">=", "<=", "=")
MAX_HORIZON_MINUTES = 10 * 366 * 24 * 60


@dataclass(frozen=True)
class LabelSpec:
    """A horizon change ("price_close up 2 % at 60 minutes"), also against other instruments, a threshold, or a return.

    Attributes
    ----------
    target_var
        Column of the panel that is watched.
    operator, target_value
        Of a threshold: the label is 1 where ``value operator target_value`` holds later.
    minutes
        The horizon. A horizon change needs one; a threshold without looks at the instrument's next row.
    sessions
        The horizon in trading sessions, instead of minutes; what it means for each row is stated by `deadlines`.
    calendar
        Exchange whose sessions count for instruments that state none, such as ``XNYS``; with ``sessions`` alone.
    min_percent_change, direction
        Of a horizon change: by how many percent (> 0) the value must have gone ``"up"`` or ``"down"``.
    mode
        ``"at"``: as known at the horizon; ``"within"``: reached by any row inside it.
    quantile, relative_to
        Of a change against others: the label is 1 where the change lies in the upper part of this share (``"up"``; with
        ``"down"`` the lower) of the changes of its moment's members, of the whole ``"market"`` or the row's
        ``"sector"``; 0.2 is the top quintile, 0.5 above the median.
    market
        Whose moments these are.
    is_return
        The change itself in percent is forecast, from the row to its horizon; the label is then whether it is positive.

    Raises
    ------
    SpecError
        If a part is missing, out of range or contradicts another.

    Examples
    --------
    >>> LabelSpec("price_close", minutes=60, min_percent_change=2, direction="up").horizon_us
    3600000000
    >>> LabelSpec("price_close", minutes=60)
    Traceback (most recent call last):
    kurswerk.core.errors.SpecError: a label needs either operator and target_value, or min_percent_change and direction
    """

    target_var: str
    operator: Operator | None = None
    target_value: float | None = None
    minutes: float | None = None
    min_percent_change: float | None = None
    direction: Direction | None = None
    mode: Mode = "at"
    sessions: int | None = None
    calendar: str | None = None
    quantile: float | None = None
    relative_to: Peers | None = None
    market: MarketSchema | None = None
    is_return: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.target_var, str) or not self.target_var:
            raise SpecError("label.target_var_missing", target_var=self.target_var)
        if self.mode not in {"at", "within"}:
            raise SpecError("label.unknown_horizon_mode", mode=self.mode)
        if self.compares and not self.is_return:
            self._check_comparison()
            return
        change = self.min_percent_change is not None or self.direction is not None
        threshold = self.operator is not None or self.target_value is not None
        if self.is_return:
            self._check_return(alone=not (change or threshold or self.compares))
            return
        if change == threshold:
            raise SpecError("label.two_targets" if change else "label.no_target")
        self._check_horizon(required=change)
        if change:
            self._check_change()
        else:
            self._check_threshold()

    def _check_return(self, *, alone: bool) -> None:
        if not alone:
            raise SpecError("label.return_with_other_target")
        if self.mode != "at":
            raise SpecError("label.return_within")
        self._check_horizon(required=True)

    def _check_horizon(self, *, required: bool) -> None:
        if self.sessions is not None:
            self._check_sessions(self.sessions)
            return
        if self.calendar is not None:
            raise SpecError("label.calendar_without_sessions", calendar=self.calendar)
        if self.minutes is None:
            if required or self.mode == "within":
                raise SpecError("label.minutes_missing")
            return
        if not _is_number(self.minutes) or not 0 < self.minutes <= MAX_HORIZON_MINUTES:
            raise SpecError("label.minutes_out_of_range", minutes=self.minutes, most=MAX_HORIZON_MINUTES)

    def _check_sessions(self, sessions: int) -> None:
        if self.minutes is not None:
            raise SpecError("label.two_horizons", minutes=self.minutes, sessions=sessions)
        if not isinstance(sessions, int) or isinstance(sessions, bool) or not 0 < sessions <= MAX_HORIZON_SESSIONS:
            raise SpecError("label.sessions_out_of_range", sessions=sessions, most=MAX_HORIZON_SESSIONS)
        if self.calendar is not None:
            canonical_exchange(self.calendar)

    def _check_change(self) -> None:
        percent = self.min_percent_change
        if percent is None or not _is_number(percent) or percent <= 0:
            raise SpecError("label.percent_not_positive", percent=percent)
        if self.direction not in {"up", "down"}:
            raise SpecError("label.unknown_direction", direction=self.direction)

    def _check_comparison(self) -> None:
        share = self.quantile
        if share is None or not _is_number(share) or not 0 < share < 1:
            raise SpecError("label.quantile_out_of_range", quantile=share)
        if self.relative_to not in {"market", "sector"} or self.market is None:
            raise SpecError("label.unknown_peers", relative_to=self.relative_to)
        others = (self.min_percent_change, self.operator, self.target_value)
        if self.mode != "at" or any(value is not None for value in others):
            raise SpecError("label.two_kinds_of_comparison")
        if self.direction not in {"up", "down"}:
            raise SpecError("label.unknown_direction", direction=self.direction)
        if self.relative_to == "sector" and SECTOR not in self.market.panel_columns:
            raise SpecError("label.no_sectors", market=self.market.name)
        self._check_horizon(required=True)

    def _check_threshold(self) -> None:
        if self.operator not in OPERATORS:
            raise SpecError("label.unknown_operator", operator=self.operator, operators=list(OPERATORS))
        if self.target_value is None or not _is_number(self.target_value):
            raise SpecError("label.target_value_not_finite", target_value=self.target_value)

    @property
    def compares(self) -> bool:
        """Whether the label depends on other instruments: all rows of the market are needed to know it."""
        return self.quantile is not None or self.relative_to is not None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a panel that it looks at."""
        return (self.target_var, SECTOR) if self.relative_to == "sector" else (self.target_var,)

    @property
    def is_time_based(self) -> bool:
        """Whether this is a horizon change, not a threshold."""
        return self.min_percent_change is not None

    @property
    def horizon_us(self) -> int | None:
        """The horizon in microseconds; None where it is counted in sessions, or the next row is looked at."""
        return None if self.minutes is None else max(1, round(self.minutes * MINUTE_US))

    @property
    def trade_direction(self) -> Direction:
        """The side of a trade that follows a positive prediction: ``"down"`` (short) for a fall, else ``"up"``."""
        return "down" if self.direction == "down" or self.operator in {"<", "<="} else "up"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def label_name(spec: LabelSpec) -> str:
    """Describe in words what a label means.

    Examples
    --------
    >>> label_name(LabelSpec("price_close", minutes=60, min_percent_change=2, direction="up"))
    'price_close up 2 % at 60 minutes'
    >>> label_name(LabelSpec("market_cap_close", ">", 50_000))
    'market_cap_close > 50000 at the next row'
    >>> label_name(LabelSpec("price_close", "<=", 0.5, minutes=10, mode="within"))
    'price_close <= 0.5 within 10 minutes'
    >>> label_name(LabelSpec("close", sessions=5, calendar="XNYS", min_percent_change=3, direction="up"))
    'close up 3 % at 5 sessions of XNYS'
    >>> from kurswerk.market import COINS
    >>> label_name(
    ...     LabelSpec("price_close", minutes=60, direction="up", quantile=0.2, relative_to="market", market=COINS)
    ... )
    'change of price_close in the upper 20 % of the market at 60 minutes'
    >>> label_name(LabelSpec("close", sessions=5, calendar="XNYS", is_return=True))
    'return of close in percent at 5 sessions of XNYS'
    """
    if spec.sessions is not None:
        when = f"{spec.mode} {spec.sessions} session{'' if spec.sessions == 1 else 's'}"
        when += f" of {spec.calendar}" if spec.calendar else ""
    elif spec.minutes is None:
        when = "at the next row"
    else:
        when = f"{spec.mode} {spec.minutes:.15g} minute{'' if spec.minutes == 1 else 's'}"
    if spec.quantile is not None:
        part = "lower" if spec.direction == "down" else "upper"
        return (
            f"change of {spec.target_var} in the {part} {100 * spec.quantile:.15g} % of the {spec.relative_to} {when}"
        )
    if spec.is_return:
        return f"return of {spec.target_var} in percent {when}"
    if spec.min_percent_change is not None:
        return f"{spec.target_var} {spec.direction} {spec.min_percent_change:.15g} % {when}"
    return f"{spec.target_var} {spec.operator} {spec.target_value:.15g} {when}"
