"""The content of a report. Everything in it comes from stored records; a report computes no metric of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kurswerk.core.errors import DataError
from kurswerk.core.timestamps import to_datetime
from kurswerk.market import MarketSchema, Panel, market_named
from kurswerk.registry import Comparison, ModelRecord, TestResult


@dataclass(frozen=True)
class Step:
    """One thing that was done, in plain words, and how many seconds it took (None where nobody measured)."""

    title: str
    detail: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Place:
    """Where something is: a file, an address, a hash. Passwords in addresses are masked in the report."""

    name: str
    where: str
    note: str = ""


@dataclass(frozen=True)
class Command:
    """A command line to go on with, and what it is good for."""

    line: str
    purpose: str = ""


@dataclass(frozen=True, eq=False)
class MarketOverview:
    """The market the models were trained on.

    Attributes
    ----------
    rows, coins
        How many rows of how many coins.
    start, end
        First and last moment.
    source
        Where the rows come from, in plain words.
    example
        Rows of one coin for a chart of its price; with several coins in it the first is shown.
    schema
        Names the example's columns of prices.
    """

    rows: int
    coins: int
    start: datetime
    end: datetime
    source: str = ""
    example: Panel | None = None
    schema: MarketSchema = field(default_factory=market_named)

    @classmethod
    def of(cls, panel: Panel, source: str = "", coin: str | None = None) -> "MarketOverview":
        """Describe a panel; the example is ``coin``, or the coin with the most rows.

        Raises
        ------
        DataError
            If the panel has no rows.
        UnknownNameError
            If the panel has no such coin.
        """
        if len(panel) == 0:
            raise DataError("report.no_rows")
        counts = (panel.offsets[1:] - panel.offsets[:-1]).tolist()
        name = coin if coin is not None else panel.instruments[counts.index(max(counts))]
        chosen = panel.rows_of(name)
        mask = panel.timestamps != panel.timestamps
        mask[chosen] = True
        return cls(
            rows=len(panel),
            coins=len(panel.instruments),
            start=to_datetime(int(panel.timestamps.min())),
            end=to_datetime(int(panel.timestamps.max())),
            source=source,
            example=panel.where(mask),
        )


@dataclass(frozen=True)
class ReportedModel:
    """A model and its tests, the most informative test first: charts show that one, a table lists the others.

    Without a test the charts show what the model scored out of fold.
    """

    record: ModelRecord
    tests: tuple[TestResult, ...] = ()

    @property
    def test(self) -> TestResult | None:
        """The test that the charts show."""
        return self.tests[0] if self.tests else None

    @property
    def evaluation(self) -> Mapping[str, Any]:
        """The evaluation that the charts show: of the first test, else out of fold, else empty."""
        return self.tests[0].evaluation if self.tests else self.record.evaluation or {}


@dataclass(frozen=True, eq=False)
class Report:
    """The content of one page; equal reports give equal bytes.

    Attributes
    ----------
    title, introduction
        Headline of the page and a paragraph below it.
    written_at
        Moment of writing; a naive one is taken as UTC.
    models
        In the order in which they are shown; colours follow it.
    comparisons
        Of models above.
    steps, places, commands
        What was done, where things are, and how to go on.
    market
        The data; None leaves the section out.
    """

    title: str
    written_at: datetime
    models: tuple[ReportedModel, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    steps: tuple[Step, ...] = ()
    places: tuple[Place, ...] = ()
    commands: tuple[Command, ...] = ()
    market: MarketOverview | None = None
    introduction: str = ""
