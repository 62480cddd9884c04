"""What a text file of candles looks like: separator, header, decimal sign."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from kurswerk.core.errors import DataFileError
from kurswerk.market import MarketSchema, map_columns

MOST_COLUMNS = 10_000
_SEPARATORS = (",", ";", "\t", "|")
# Exporters put a line or two of their own above the header.
_HEADER_WITHIN = 5
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+\s*", re.ASCII)
_DECIMAL_POINT = re.compile(r"\s*[+-]?\d*\.\d+\s*", re.ASCII)


@dataclass(frozen=True)
class Dialect:
    """How a text file is written.

    Attributes
    ----------
    separator
        One character.
    header_line
        Place of the header among the file's lines, from 0.
    column_names
        As they stand in the header, without surrounding blanks; empty ones are named after their place.
    decimal_comma
        Numbers are written ``1,5``.
    """

    separator: str
    header_line: int
    column_names: Sequence[str]
    decimal_comma: bool


def read_dialect(name: str, head: str, market: MarketSchema, *, has_times: bool = True) -> Dialect:
    r"""Find out from the beginning of a file how it is written.

    The header is the line, of the first five, and the separator the character, that give most columns known here.

    Parameters
    ----------
    name
        The file's, for the message.
    head
        At least the header, without byte-order mark; more lines show the decimal sign.

    market
        Whose columns are looked for.

    Raises
    ------
    DataFileError
        If no line is a header of candles.

    Examples
    --------
    >>> from kurswerk.market import COINS
    >>> read_dialect("a.csv", "Date;Open;Close\n2024-01-01;1,5;2,5\n", COINS)
    Dialect(separator=';', header_line=0, column_names=('Date', 'Open', 'Close'), decimal_comma=True)
    """
    lines = head.split("\n")
    best: tuple[int, int, str, list[str]] | None = None
    for place, line in enumerate(lines[:_HEADER_WITHIN]):
        for separator in _SEPARATORS:
            if line.count(separator) >= MOST_COLUMNS:
                raise DataFileError(
                    "file.too_many_columns_for_rows", file=name, columns=line.count(separator) + 1, most=MOST_COLUMNS
                )
            names = _cut(line, separator)
            known = map_columns(names, market)
            score = len(known) if not has_times or market.timestamp in known.values() else 0
            if score >= 2 and (best is None or score > best[0]):
                best = (score, place, separator, names)
    if best is None:
        found = lines[0].strip()[:120]
        raise DataFileError("file.no_header", file=name, found=found)
    _, place, separator, names = best
    comma = separator != "," and _has_decimal_comma(lines[place + 1 : -1], separator, names, market)
    return Dialect(separator, place, tuple(_unique(names)), comma)


def _cut(line: str, separator: str) -> list[str]:
    try:
        cells = next(csv.reader([line.rstrip("\r")], delimiter=separator), [])
    except csv.Error:
        return []
    return [cell.strip() for cell in cells]


def _unique(names: Sequence[str]) -> list[str]:
    """Name nameless columns after their place; columns of one name stay so, for a message if they matter."""
    return [name or f"column_{place}" for place, name in enumerate(names, start=1)]


def _has_decimal_comma(lines: Sequence[str], separator: str, names: Sequence[str], market: MarketSchema) -> bool:
    measures = {name for name, ours in map_columns(names, market).items() if ours in market.columns}
    commas = points = 0
    for line in lines:
        for name, cell in zip(names, _cut(line, separator), strict=False):
            if name in measures:
                commas += _DECIMAL_COMMA.fullmatch(cell) is not None
                points += _DECIMAL_POINT.fullmatch(cell) is not None
    return commas > points
