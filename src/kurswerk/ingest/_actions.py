"""The use case: files of corporate actions into the store."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import isfinite
from pathlib import Path
from typing import Protocol, TypeVar

from kurswerk.core.errors import DataFileError, KurswerkError
from kurswerk.core.timestamps import parse_timestamp
from kurswerk.market.adjustment import CorporateAction, FactorRow, actions_from_factors, rational
from kurswerk.market.calendar import calendar_of
from kurswerk.market.columns import map_columns
from kurswerk.market.schema import KEY_LENGTH, MarketSchema

Found = TypeVar("Found")

_FACTORS = ("key", "date", "price_factor", "split_factor", "reference_price")
_ACTIONS = ("key", "date", "kind", "factor")
_MOST_BYTES = 64 * 1024 * 1024


class ActionStore(Protocol):
    """Takes corporate actions; what is stored is never changed."""

    def add_actions(self, actions: Sequence[CorporateAction]) -> int:
        """Store those that are not there yet, or are there with other values; return how many."""
        ...


@dataclass(frozen=True)
class ActionSummary:
    """What became of a file of actions.

    Attributes
    ----------
    file
        Its name.
    rows_read
        Rows in the file.
    actions
        Kind → actions in it.
    added, unchanged
        Actions that were not stored yet, and that were.
    """

    file: str
    rows_read: int
    actions: Mapping[str, int]
    added: int
    unchanged: int


def ingest_actions(path: Path, market: MarketSchema, store: ActionStore, *, exchange: str) -> ActionSummary:
    """Store the actions of a CSV file; all of them or, if anything raises, none. The same file twice changes nothing.

    Two kinds of file are read. A *factor file* has the columns ``price_factor`` and ``split_factor`` up to each
    ``date``, and ``reference_price``, the raw close of that day: its steps are the actions, each effective and known
    from the next session on. An *action file* has ``date`` (the ex-date), ``kind`` and ``factor``, and may have
    ``amount`` and ``known_at`` (ISO 8601); an action without it is known from the beginning of its day.

    Parameters
    ----------
    exchange
        Whose sessions they are.

    Raises
    ------
    DataFileError, DataError
        If it is neither, or a cell cannot be read; with the row.
    """
    names, rows = _read(path, market)
    numbered = [(number, row) for number, row in enumerate(rows, start=1)]
    if set(_FACTORS) <= names:
        next_session = calendar_of(exchange).next_session
        found = list(actions_from_factors(_each(path, numbered, _factor_row), next_session))
    elif set(_ACTIONS) <= names:
        found = list(_each(path, numbered, _action))
    else:
        shown = [[market.key if name == "key" else name for name in one] for one in (sorted(names), _FACTORS, _ACTIONS)]
        raise DataFileError("file.no_actions", file=path.name, found=shown[0], factors=shown[1], actions=shown[2])
    added = store.add_actions(found)
    kinds = [action.kind for action in found]
    counts = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    return ActionSummary(path.name, len(rows), counts, added, len(found) - added)


def _read(path: Path, market: MarketSchema) -> tuple[set[str], list[dict[str, str]]]:
    """Return the columns and rows; the market's key stands under ``key``."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataFileError("file.too_large_for_actions", file=path.name, most=_MOST_BYTES)
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            mapping = map_columns(reader.fieldnames or (), market)
            names = {
                name: "key" if mapping.get(name) == market.key else name.strip().lower()
                for name in reader.fieldnames or ()
            }
            rows = [{names[name]: value for name, value in row.items() if name in names} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataFileError("file.no_readable_csv", file=path.name, reason=error) from error
    return set(names.values()), rows


def _each(
    path: Path, rows: Sequence[tuple[int, Mapping[str, str]]], read: Callable[[Mapping[str, str]], Found]
) -> Iterator[Found]:
    for number, row in rows:
        try:
            if not 0 < len(row["key"].strip()) <= KEY_LENGTH:
                raise ValueError(row["key"])  # noqa: TRY301 - reported with the row, as all others
            yield read(row)
        except (ValueError, KeyError, KurswerkError) as error:
            raise DataFileError("file.bad_action", file=path.name, row=number, reason=error) from error


def _factor_row(row: Mapping[str, str]) -> FactorRow:
    numbers = float(row["price_factor"]), float(row["reference_price"])
    if not all(isfinite(number) for number in numbers) or numbers[0] <= 0:
        raise ValueError(row["price_factor"])
    rational(row["split_factor"])  # refused with its row
    day = date.fromisoformat(row["date"].strip())
    return FactorRow(row["key"].strip(), day, numbers[0], row["split_factor"], numbers[1])


def _action(row: Mapping[str, str]) -> CorporateAction:
    amount, known_at = row.get("amount", "").strip(), row.get("known_at", "").strip()
    return CorporateAction(
        row["key"].strip(),
        date.fromisoformat(row["date"].strip()),
        row["kind"].strip().lower(),
        float(row["factor"]),
        float(amount) if amount else None,
        parse_timestamp(known_at) if known_at else None,
    )
