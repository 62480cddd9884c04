"""Stocks: who they are, which series of bars there are of each, and what their companies did with the shares."""

from datetime import date
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from kurswerk.api.schemas._base import ResponseModel, UtcTime
from kurswerk.core.timestamps import to_datetime
from kurswerk.market.adjustment import CorporateAction
from kurswerk.market.instruments import Instrument, InstrumentFilter, Series
from kurswerk.market.series import SourceConflict

Words = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]+$")]
Symbol = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00]+$")]


# A field of this name would hide its type.
Day = date


class StockQuery(BaseModel):
    """Which stocks."""

    model_config = ConfigDict(protected_namespaces=())

    search: Words | None = Field(
        None, description="Words, each of which begins the symbol or a word of the name; the best matches come first."
    )
    sector: Words | None = Field(None, description="Only of this sector.")
    exchange: Words | None = Field(None, description="Only of this exchange, such as XNYS.")
    is_active: bool | None = Field(None, description="Only those that are still traded, or only others.")
    limit: int = Field(100, ge=1, le=1000, description="How many at most.")
    offset: int = Field(0, ge=0, le=2**31 - 1, description="How many to leave out before the first.")

    def chosen(self) -> InstrumentFilter:
        """Return the filter."""
        return InstrumentFilter(self.search, None, self.sector, self.exchange, self.is_active)


class StockRead(ResponseModel):
    """A stock; what nobody has stated is null."""

    symbol: str = Field(examples=["BRK.B"])
    name: str | None = Field(examples=["Berkshire Hathaway"])
    sector: str | None = Field(description="As the list of symbols states it today.", examples=["Financials"])
    industry: str | None = Field(examples=["Multi-Sector Holdings"])
    exchange: str | None = Field(description="Market identifier code.", examples=["XNYS"])
    currency: str | None = Field(examples=["USD"])
    first_day: date | None = Field(description="Of its bars, of any source and length.", examples=["2013-02-08"])
    last_day: date | None = Field(examples=["2018-02-07"])
    is_active: bool = Field(examples=[True])

    @classmethod
    def of(cls, one: Instrument) -> Self:
        """Read a stored instrument."""
        return cls.model_validate(vars(one.facts) | vars(one))


class StockPage(ResponseModel):
    """Stocks, the best matches of a search first, else by symbol."""

    stocks: list[StockRead]
    total: int = Field(description="How many there are on all pages together.", examples=[1])
    limit: int = Field(description="As asked for.", examples=[100])
    offset: int = Field(description="As asked for.", examples=[0])


class SeriesRead(ResponseModel):
    """The bars of one length from one source."""

    interval: str = Field(description="Length of a bar.", examples=["1d"])
    source: str = Field(examples=["vendor"])
    price_basis: str = Field(
        description="raw, as paid, or split_adjusted: divided by the splits after each bar up to adjusted_as_of.",
        examples=["raw"],
    )
    adjusted_as_of: date | None = Field(examples=[None])
    is_preferred: bool = Field(description="Whether these are the bars that models and charts read.", examples=[True])
    bars: int = Field(examples=[1259])
    first: UtcTime | None
    last: UtcTime | None

    @classmethod
    def of(cls, one: Series) -> Self:
        """Read a series."""
        return cls.model_validate(vars(one))


class ActionRead(ResponseModel):
    """A corporate action, as it is known now."""

    date: Day = Field(description="The first day without what is handed out.", examples=["2020-08-31"])
    kind: str = Field(description="split, dividend or spin_off.", examples=["split"])
    factor: float = Field(description="What prices are multiplied by from then on.", examples=[4.0])
    amount: float | None = Field(description="Cash of a dividend per share.", examples=[None])
    known_at: UtcTime | None = Field(description="Since when it is known.")

    @classmethod
    def of(cls, one: CorporateAction) -> Self:
        """Read an action."""
        known = None if one.known_us is None else to_datetime(one.known_us)
        return cls.model_validate({**vars(one), "date": one.day, "known_at": known})


class ConflictRead(ResponseModel):
    """Where another source differs from the one that is read; neither is overwritten."""

    interval: str = Field(examples=["1d"])
    preferred: str = Field(description="The source that is read.", examples=["vendor"])
    other: str = Field(examples=["exchange"])
    shared: int = Field(description="Bars that both have.", examples=[1259])
    differing: dict[str, int] = Field(
        description="Column → bars in which it differs, as paid on the day.", examples=[{"volume": 1259}]
    )
    first_day: date = Field(description="The first day on which anything differs.", examples=["2013-02-08"])

    @classmethod
    def of(cls, interval: str, one: SourceConflict) -> Self:
        """Read a conflict."""
        return cls.model_validate({**vars(one), "interval": interval})


class LatestBarRead(ResponseModel):
    """The newest bar of the preferred series."""

    interval: str = Field(examples=["1d"])
    timestamp: UtcTime = Field(description="Its close.")
    close: float | None = Field(description="As paid, or as its source has it.", examples=[187.5])
    adjusted_close: float | None = Field(
        description="As models read it: multiplied by the splits since the first bar that were known then.",
        examples=[750.0],
    )
    change: float | None = Field(description="Against the close of the bar before, as a share.", examples=[0.0125])


class FundamentalRead(ResponseModel):
    """A fundamental, a sector (GICS code) or a membership, as it is known now."""

    name: str = Field(examples=["pe_ratio"])
    value: float = Field(description="As stated: of one share of its day where it is per share.", examples=[24.1])
    as_of: UtcTime = Field(description="Of which moment it is.")
    known_at: UtcTime = Field(description="From which moment on it was known.")
    source: str = Field(examples=["vendor"])
    is_stale: bool = Field(description="Whether it is too old for models.", examples=[False])


class StockDetail(StockRead):
    """A stock with its series, its corporate actions and its newest bar."""

    series: list[SeriesRead]
    conflicts: list[ConflictRead]
    actions: list[ActionRead] = Field(description="Oldest first.")
    fundamentals: list[FundamentalRead]
    latest: LatestBarRead | None = Field(description="Of the longest bars there are; null without bars.")

    @classmethod
    def with_details(cls, one: Instrument, **details: Any) -> Self:
        """Read a stored instrument with what belongs to it."""
        return cls.model_validate(vars(one.facts) | vars(one) | details)
