"""Columns that are read from other tables as of each row, and the tables of stated values that they are read from.

Rows of such tables are only ever added. Those that Kurswerk makes state of which moment values are (``as_of``), whose
they are (``source``) and from which moment on they were known (``known_at``); a row without that moment was outdated
when it became known, and never counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from kurswerk.core.errors import SpecError

AGE_SUFFIX = "_age_days"


@dataclass(frozen=True)
class JoinedColumn:
    """A column of a panel that is read as of each row from another table: the newest value known by then.

    Rows of that table are only ever added: what replaces a value is a row that became known later.

    Attributes
    ----------
    table
        Where it is read from; it may be empty or absent, then the column is absent too.
    value, known_at
        Columns of that table: the value, and from which moment on it was known. Of several rows of one moment the one
        of the highest ``id`` counts; a row without the value leaves the one before in force.
    key
        Column of that table that names the instrument; None where a value holds for all instruments, such as an
        exchange rate.
    max_age
        How long a value counts after it became known; older, it is missing. None has no limit.
    is_age
        The column is the age of that value at the row, in days, instead of the value itself.
    view
        View of the table that the value is read from, where it is not read as stored; with the same columns' names.
    is_opt_in
        Read only where a feature names it: neither engineered features nor displays of all columns take it.

    Raises
    ------
    SpecError
        If the limit is not positive.
    """

    table: str
    value: str
    known_at: str
    key: str | None = None
    max_age: timedelta | None = None
    is_age: bool = False
    view: str | None = None
    is_opt_in: bool = False

    def __post_init__(self) -> None:
        if self.max_age is not None and self.max_age <= timedelta(0):
            raise SpecError("market.max_age_not_positive", table=self.table, value=self.value, age=str(self.max_age))

    @property
    def relation(self) -> str:
        """The table or view that the value is read from."""
        return self.view or self.table

    @property
    def max_age_us(self) -> int | None:
        """The limit in microseconds."""
        return None if self.max_age is None else self.max_age // timedelta(microseconds=1)


@dataclass(frozen=True)
class StatedValue:
    """One column of an `AsOfTable`.

    Attributes
    ----------
    stored
        Its type in the table.
    is_per_share
        Stated for one share: read in the share of the market's prices, which splits change.
    signed
        Values below 0 are allowed.
    """

    stored: str = "double precision"
    is_per_share: bool = False
    signed: bool = False


@dataclass(frozen=True)
class AsOfTable:
    """A table of stated values of instruments, to which rows are only added.

    Attributes
    ----------
    name
        Of the table.
    key
        Its column of the instrument.
    values
        Its columns that hold values.
    max_age
        How long a value counts after it became known.
    per_share_view
        View of those of its values that are stated for one share, in the share of the market's prices.
    aliases
        Names in files, in lower case: name → value.
    """

    name: str
    key: str
    values: Mapping[str, StatedValue]
    max_age: timedelta
    per_share_view: str | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)

    def joined(self) -> dict[str, JoinedColumn]:
        """Return two columns of a panel for every value: itself, and its age in days."""
        columns = {}
        for name, value in self.values.items():
            view = self.per_share_view if value.is_per_share else None
            column = JoinedColumn(
                self.name, name, "known_at", key=self.key, max_age=self.max_age, view=view, is_opt_in=True
            )
            columns[name] = column
            columns[f"{name}{AGE_SUFFIX}"] = replace(column, is_age=True, view=None)
        return columns
