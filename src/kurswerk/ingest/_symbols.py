"""The use case: a list of symbols into the store."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from kurswerk.core.errors import DataError, DataFileError
from kurswerk.market.calendar import ALIASES
from kurswerk.market.instruments import InstrumentFacts

_MOST_BYTES: Final = 64 * 1024 * 1024
# Names that files use, in lower case, for each field; the first that is there counts.
_NAMES: Final[Mapping[str, Sequence[str]]] = {
    "symbol": ("symbol", "ticker"),
    "name": ("name", "security", "company", "company name", "longname", "shortname"),
    "sector": ("sector", "gics sector"),
    "industry": ("industry", "gics sub-industry", "gics sub industry", "sub-industry"),
    "exchange": ("exchange", "mic"),
    "currency": ("currency",),
}


class InstrumentStore(Protocol):
    """Takes who instruments are."""

    def describe(self, facts: Sequence[InstrumentFacts]) -> tuple[int, int]:
        """Store it; what is not stated stays as it is. Return how many are new, and how many changed."""
        ...


@dataclass(frozen=True)
class SymbolSummary:
    """What became of a list of symbols.

    Attributes
    ----------
    file
        Its name.
    rows_read
        Rows in the file.
    fields
        Field of an instrument → the column that it was read from.
    added, changed, unchanged
        Symbols that were not known, of which something was not known or another, and the rest.
    """

    file: str
    rows_read: int
    fields: Mapping[str, str]
    added: int
    changed: int
    unchanged: int


def ingest_symbols(
    path: Path, store: InstrumentStore, *, exchange: str | None = None, currency: str | None = None
) -> SymbolSummary:
    """Store the symbols of a CSV file with what it states of them; all of them or none. A second time nothing changes.

    Columns are found by their usual names in any case: symbol, name (or security), sector, industry, exchange and
    currency; all but the symbol may be missing, and an empty cell states nothing.

    Parameters
    ----------
    exchange, currency
        Of symbols for which the file states none.

    Raises
    ------
    DataFileError
        If it cannot be read, has no symbols, or states different things of one; with the row.
    """
    names, rows = _read(path)
    if "symbol" not in names:
        raise DataFileError("file.no_symbols", file=path.name, names=list(_NAMES["symbol"]))
    usual = {"exchange": exchange, "currency": currency}
    found: dict[str, InstrumentFacts] = {}
    for number, row in enumerate(rows, start=1):
        given = {field: (row.get(names.get(field, "")) or "").strip() or usual.get(field) for field in _NAMES}
        try:
            facts = InstrumentFacts(
                symbol=given["symbol"] or "",
                name=given["name"],
                sector=given["sector"],
                industry=given["industry"],
                exchange=_exchange_name(given["exchange"]),
                currency=given["currency"],
            )
        except DataError as error:
            raise DataFileError("file.bad_symbol", file=path.name, row=number, reason=error) from error
        if found.setdefault(facts.symbol, facts) != facts:
            raise DataFileError("file.symbol_twice", file=path.name, row=number, symbol=facts.symbol)
    added, changed = store.describe(list(found.values()))
    return SymbolSummary(path.name, len(rows), names, added, changed, len(found) - added - changed)


def _exchange_name(name: str | None) -> str | None:
    """Return an exchange's name as calendars know it, whatever its case; one that is not known stays as it is."""
    return name.upper() if name is not None and name.upper() in ALIASES else name


def _read(path: Path) -> tuple[dict[str, str], list[dict[str, str | None]]]:
    """Return field → column of the file, and its rows."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataFileError("file.too_large_for_symbols", file=path.name, most=_MOST_BYTES)
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            there = {name.strip().lower(): name for name in reader.fieldnames or ()}
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataFileError("file.no_readable_csv", file=path.name, reason=error) from error
    names = {
        field: next(there[name] for name in usual if name in there)
        for field, usual in _NAMES.items()
        if any(name in there for name in usual)
    }
    return names, rows
