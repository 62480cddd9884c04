"""What a market is: its table, its columns and what they mean, the rules its rows keep."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import inf, isinf

from kurswerk.core.errors import UnknownNameError
from kurswerk.market.joined import AsOfTable, JoinedColumn

# contracts.md stores counts as int, which is 32 bits in the databases that exist already.
LARGEST_INT = 2_147_483_647
# Of an instrument's name; varchar(64) in the databases that exist already.
KEY_LENGTH = 64
# Lengths of bars, and their seconds.
INTERVALS = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "1d": 86_400}
DAILY = "1d"


class Kind(Enum):
    """How a column is stored; in a `Panel` every kind is float64."""

    FLOAT = "double precision"
    INT = "bigint"
    BOOL = "boolean"


class Role(Enum):
    """What a column means, whatever a market calls it. Features, labels and trades ask for roles."""

    OPEN = "open"
    HIGH = "high"
    LOW = "low"
    CLOSE = "close"
    VOLUME = "volume"
    MARKET_CAP = "market_cap"
    # Of a constant-product curve, in the currency of the price.
    RESERVES = "reserves"


CANDLE_ROLES = (Role.OPEN, Role.HIGH, Role.LOW, Role.CLOSE)


class Clock(Enum):
    """When a market trades."""

    CONTINUOUS = "continuous"
    # In the sessions of each instrument's exchange.
    SESSIONS = "sessions"


@dataclass(frozen=True)
class Column:
    """One column of a market's table; every column may be empty, unless it is required.

    Attributes
    ----------
    kind
        How it is stored. Counts and flags hold whole numbers.
    signed
        Values below 0 are allowed.
    maximum
        The largest value allowed: 1 for a share. A whole number without one must fit 32 bits.
    required
        A row without a value is refused.
    """

    kind: Kind = Kind.FLOAT
    signed: bool = False
    maximum: float = inf
    required: bool = False

    @property
    def largest(self) -> float:
        """The largest value that a row may hold: the maximum, for whole numbers without one what 32 bits hold."""
        return float(LARGEST_INT) if self.kind is not Kind.FLOAT and isinf(self.maximum) else self.maximum


@dataclass(frozen=True)
class InstrumentAttribute:
    """Where an attribute of instruments is read from, such as their exchange.

    Attributes
    ----------
    table, key
        A table with at most one row per instrument, and its column of the instrument's name.
    column
        Holds the attribute; NULL where it is unknown.
    """

    table: str
    key: str
    column: str


@dataclass(frozen=True)
class Segment:
    """A column that divides a market's rows into classes, such as the phases of a coin's life.

    Attributes
    ----------
    column
        Column of the market's table that holds the number of the class.
    table
        Reference table of the classes (id, name, interval_seconds, …).
    """

    column: str
    table: str


@dataclass(frozen=True)
class FeedTables:
    """Names of the tables that bring a market's new rows to the predictor.

    Attributes
    ----------
    feed
        Rows that wait for their prediction, written by trigger or by polling.
    seen
        What polling has seen already.
    revisions
        Rows that came late or were corrected after they had been predicted, and joined values that changed since.
    states
        Stored states of the instruments' recursive features.
    """

    feed: str
    seen: str
    revisions: str
    states: str

    @classmethod
    def named_after(cls, name: str) -> "FeedTables":
        """Return the usual names, for candles ``candles_feed``, ``candles_feed_seen`` and so on."""
        return cls(f"{name}_feed", f"{name}_feed_seen", f"{name}_revisions", f"{name}_states")


@dataclass(frozen=True)
class SeriesTables:
    """Tables beside a market's own, where that one holds several series of an instrument.

    A *series* is what one source states of one instrument in bars of one interval; the market's table has the columns
    ``interval`` and ``source`` for it. Of the series of an instrument and interval one is preferred: its rows are the
    market's rows. They are read through a view, which adjusts them for splits.

    Attributes
    ----------
    view
        The rows of preferred series, adjusted forward: what features, labels and charts read.
    instruments
        One row per instrument: name, exchange, first and last day.
    series
        One row per series: its price basis, and whether it is preferred.
    actions
        Splits and dividends, each with the moment from which on it was known.
    factors
        What follows from the actions: by which factor a series' prices are multiplied, from when to when.
    """

    view: str
    instruments: str
    series: str
    actions: str
    factors: str


# Compared by identity: there is one schema of each market, and it is a key of caches.
@dataclass(frozen=True, eq=False, kw_only=True)
class MarketSchema:
    """A market as the platform sees it.

    The table has the key, the timestamp and the columns, and at most one row of each (key, timestamp). A table that
    exists already may have more columns, fewer, or wider types.

    Attributes
    ----------
    name
        The value of ``market`` in a specification, and of ``kurswerk ingest``.
    table
        Name of the table.
    key
        Column that names the instrument: text of at most `KEY_LENGTH` characters, never empty.
    timestamp
        Column of the row's time, ``timestamptz``, never empty.
    columns
        The other columns in their order.
    roles
        What columns mean. With high and low a row must keep low ≤ open, close ≤ high.
    derived
        Columns of the view that the table does not have: the close with splits and dividends, for labels.
    joined
        Columns that come from other tables, after the table's own.
    as_of_tables
        Those of these tables that Kurswerk makes with the market's own.
    segment
        Column of classes of rows, if there is one.
    clock
        When the market trades.
    exchanges
        Where the exchange of each instrument is read from, by whose calendar sessions are counted.
    feed_tables
        The tables through which new rows are predicted, where they do not have the usual names; see `feed`.
    aliases
        Names in files beside the usual ones (see `file_aliases`), in lower case: name → column.
    interval
        Length of a bar, of `INTERVALS`, where the market has bars of one length alone.
    series
        The tables of series, where the market's table holds several of an instrument.
    on_demand
        Its feed and its view are made when the first rows are written, not by ``kurswerk db upgrade``; it shares its
        table with another market.

    Raises
    ------
    UnknownNameError
        If a role, the segment or an alias names a column that is not there.

    Examples
    --------
    >>> bars = MarketSchema(
    ...     name="bars", table="bars", key="symbol", columns={"last": Column()}, roles={Role.CLOSE: "last"})
    >>> bars.column_of(Role.CLOSE), bars.feed.states
    ('last', 'bars_states')
    """

    name: str
    table: str
    key: str
    columns: Mapping[str, Column]
    roles: Mapping[Role, str]
    timestamp: str = "timestamp"
    derived: Mapping[str, Column] = field(default_factory=dict)
    joined: Mapping[str, JoinedColumn] = field(default_factory=dict)
    as_of_tables: tuple[AsOfTable, ...] = ()
    segment: Segment | None = None
    clock: Clock = Clock.CONTINUOUS
    exchanges: InstrumentAttribute | None = None
    feed_tables: FeedTables | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    interval: str | None = None
    series: SeriesTables | None = None
    on_demand: bool = False

    def __post_init__(self) -> None:
        segments = [self.segment.column] if self.segment else []
        own = {self.key, self.timestamp, *self.columns}
        for name in (*self.roles.values(), *segments, *self.aliases.values()):
            if name not in own:
                raise UnknownNameError("market.unknown_column", name=name, known=own, market=self.name)

    @property
    def feed(self) -> FeedTables:
        """The tables through which new rows are predicted."""
        return self.feed_tables or FeedTables.named_after(self.table)

    @property
    def relation(self) -> str:
        """The table or view that rows are read from."""
        return self.series.view if self.series else self.table

    @property
    def panel_columns(self) -> tuple[str, ...]:
        """All columns that a panel of this market can have: the table's, then derived, then joined ones."""
        return (*self.columns, *self.derived, *self.joined)

    @property
    def usual_columns(self) -> tuple[str, ...]:
        """The columns of a panel but those that are read only where they are named."""
        opt_in = {name for name, column in self.joined.items() if column.is_opt_in}
        return tuple(name for name in self.panel_columns if name not in opt_in)

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The columns that a target may watch: all but joined ones."""
        return (*self.columns, *self.derived)

    def column_of(self, role: Role) -> str:
        """Return the column of a role.

        Raises
        ------
        UnknownNameError
            If the market has no such column.
        """
        try:
            return self.roles[role]
        except KeyError:
            known = [known.value for known in self.roles]
            raise UnknownNameError("market.unknown_role", name=role.value, known=known, market=self.name) from None

    def table_of(self, column: str) -> str:
        """Return the table that a column of a panel is read from."""
        return self.joined[column].table if column in self.joined else self.table

    def in_order(self, names: Iterable[str]) -> list[str]:
        """Return those of the names that are columns of a panel, each once, in the schema's order."""
        wanted = set(names)
        return [name for name in self.panel_columns if name in wanted]

    def file_aliases(self) -> dict[str, str]:
        """Return the names that files use for this market's columns, in lower case: name → column."""
        usual: dict[str, str] = {
            **dict.fromkeys(_KEY_NAMES, self.key),
            **dict.fromkeys(_TIME_NAMES, self.timestamp),
            **{alias: self.roles[role] for alias, role in _ROLE_NAMES.items() if role in self.roles},
        }
        own = {self.key, self.timestamp, *self.columns}
        return {alias: column for alias, column in (usual | dict(self.aliases)).items() if alias not in own}


_KEY_NAMES = ("symbol", "pair", "ticker")
_TIME_NAMES = ("timestamp", "date", "datetime", "time", "ts", "open_time")
_ROLE_NAMES = {
    "open": Role.OPEN,
    "high": Role.HIGH,
    "low": Role.LOW,
    "close": Role.CLOSE,
    "volume": Role.VOLUME,
    "vol": Role.VOLUME,
    "market_cap": Role.MARKET_CAP,
}
