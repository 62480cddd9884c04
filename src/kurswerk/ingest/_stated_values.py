"""The use case: files of what sources stated of instruments, such as fundamentals and sectors, into the store."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from kurswerk.core.digest import sha256_json
from kurswerk.core.timestamps import to_datetime
from kurswerk.ingest._cells import as_text
from kurswerk.ingest._files import FileSummary, Progress, ingest_files
from kurswerk.ingest.ports import CandleSource, MarketSink, RawRows
from kurswerk.market import AsOfTable, Column, Kind, MarketSchema, map_columns
from kurswerk.market.gics import industry_code, sector_code

AS_OF = "as_of"
_TIME_NAMES = ("snapshot_at", "known_at", "published_at")
# The file's columns of text, by their names without case, blanks and hyphens.
_SECTOR_NAMES = ("gics_sector", "sector")
_INDUSTRY_NAMES = ("gics_sub_industry", "sub_industry", "gics_industry", "industry")
_NAMES_OF_COMPANIES = ("name", "security", "company")


def ingest_stated_values(
    source: CandleSource,
    table: AsOfTable,
    sink: MarketSink,
    quarantine_dir: Path,
    *,
    known_us: int,
    members_column: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[FileSummary, "StatedSource"]:
    """Store what a file states of instruments; the same file twice changes nothing.

    Parameters
    ----------
    source
        The file; of each row the instrument, the moment that it is of, and values. Names of sectors and industries
        become their codes.
    table
        Whose values are taken.
    known_us
        The moment of all rows, where the file has none: that of its first sight.
    members_column
        Column that is 1 for every instrument of the file.

    Returns
    -------
    summary, source
        What became of the rows, and the file as it was read, with what it holds beside them.

    Raises
    ------
    DataFileError
        If the file has no column of the instrument, or none of the values.
    """
    stated = StatedSource(source, table, known_us=known_us, members_column=members_column)
    options: dict[str, Any] = {} if progress is None else {"progress": progress}
    return ingest_files([stated], _schema(table), sink, quarantine_dir, **options).files[0], stated


def stated_columns(tables: Sequence[AsOfTable]) -> MarketSchema:
    """Return what the header of a file of stated values is recognised by: the columns of these tables."""
    schemas = [_schema(table) for table in tables]
    columns = {name: column for schema in schemas for name, column in schema.columns.items()}
    aliases = {name: column for schema in schemas for name, column in schema.aliases.items()}
    if "sector" in columns:
        aliases |= {name: "sector" for name in _SECTOR_NAMES if name not in columns}
    if "industry" in columns:
        aliases |= {name: "industry" for name in _INDUSTRY_NAMES if name not in columns}
    return replace(schemas[0], columns=columns, aliases=aliases)


def states_classifications(source: CandleSource) -> bool:
    """Return whether a file has a column of sectors or industries."""
    return bool(_found(source, _SECTOR_NAMES) or _found(source, _INDUSTRY_NAMES))


class StatedSource:
    """A file of stated values as a `CandleSource`: with codes in the place of names, and columns that it lacks.

    Attributes
    ----------
    unknown
        Names of sectors and industries that the classification does not have → rows; these rows have no sector.
    companies
        Instrument → name of its company, the last one in the file.
    """

    def __init__(
        self, source: CandleSource, table: AsOfTable, *, known_us: int, members_column: str | None = None
    ) -> None:
        self._source, self._known_us = source, known_us
        schema = _schema(table)
        self._texts = [found for names in (_SECTOR_NAMES, _INDUSTRY_NAMES) if (found := _found(source, names))]
        self._sector, self._industry = _found(source, _SECTOR_NAMES), _found(source, _INDUSTRY_NAMES)
        self._company = _found(source, _NAMES_OF_COMPANIES)
        mapped = map_columns(source.column_names, schema)
        self._key = next((name for name, column in mapped.items() if column == table.key), None)
        self._made: list[str] = []
        if self._texts and {"sector", "industry"} <= table.values.keys():
            self._made += ["sector", "industry"]
        if AS_OF not in mapped.values():
            self._made.append(AS_OF)
        self._members = members_column
        if members_column is not None:
            self._made.append(members_column)
        self.unknown: Counter[str] = Counter()
        self.companies: dict[str, str] = {}

    @property
    def name(self) -> str:
        """The file's name."""
        return self._source.name

    @property
    def column_names(self) -> Sequence[str]:
        """The file's columns but those of text, and those that are made."""
        return [*(name for name in self._source.column_names if name not in self._texts), *self._made]

    @property
    def decimal_comma(self) -> bool:
        """Whether numbers in text are written ``1,5``."""
        return self._source.decimal_comma

    def fingerprint(self) -> str:
        """Return a SHA-256 of the content and of what is added to it."""
        return sha256_json([self._source.fingerprint(), self._made])

    def rows(self, columns: Sequence[str]) -> Iterator[RawRows]:
        """Read these columns from the first row on."""
        self.unknown.clear()
        own = [name for name in columns if name not in self._made]
        beside = [name for name in (*self._texts, self._company) if name and name not in own]
        for raw in self._source.rows([*own, *beside]):
            made = self._make(raw.cells)
            cells = [made[name] if name in made else raw.cells.column(name) for name in columns]
            yield replace(raw, cells=pa.RecordBatch.from_arrays(cells, names=list(columns)))

    def _make(self, cells: pa.RecordBatch) -> dict[str, pa.Array]:
        rows = cells.num_rows
        made: dict[str, pa.Array] = {}
        if AS_OF in self._made:
            made[AS_OF] = pa.array([to_datetime(self._known_us)] * rows, pa.timestamp("us", "UTC"))
        if self._members is not None:
            made[self._members] = pa.array([1] * rows, pa.int64())
        if "sector" in self._made:
            made |= self._codes(cells)
        if self._company is not None and self._key is not None:
            keys, names = as_text(cells.column(self._key)), as_text(cells.column(self._company))
            found = zip(keys.to_pylist(), names.to_pylist(), strict=True)
            self.companies |= {key.strip(): name for key, name in found if key and name}
        return made

    def _codes(self, cells: pa.RecordBatch) -> dict[str, pa.Array]:
        def texts(column: str | None) -> list[str]:
            if column is None:
                return [""] * cells.num_rows
            return [text.strip() if text else "" for text in as_text(cells.column(column)).to_pylist()]

        sectors, industries = [], []
        for sector, industry in zip(texts(self._sector), texts(self._industry), strict=True):
            # Some sources name the sub-industry in a column of sectors.
            industries.append(industry_code(industry) or industry_code(sector))
            sectors.append(sector_code(sector) or sector_code(industry))
            if sectors[-1] is None and (sector or industry):
                self.unknown[sector or industry] += 1
        return {"sector": pa.array(sectors, pa.int64()), "industry": pa.array(industries, pa.int64())}


def _schema(table: AsOfTable) -> MarketSchema:
    """Return the form in which a table's rows are validated."""
    columns = {
        name: Column(Kind.FLOAT if value.stored == "double precision" else Kind.INT, signed=value.signed)
        for name, value in table.values.items()
    }
    aliases = {**dict.fromkeys(_TIME_NAMES, AS_OF), **table.aliases}
    return MarketSchema(
        name=table.name, table=table.name, key=table.key, timestamp=AS_OF, columns=columns, roles={}, aliases=aliases
    )


def _found(source: CandleSource, names: Sequence[str]) -> str | None:
    """Return the file's column of the first of these names that it has."""
    there = {name.strip().lower().replace(" ", "_").replace("-", "_"): name for name in source.column_names}
    return next((there[name] for name in names if name in there), None)
