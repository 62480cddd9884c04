"""Fragments of CHECK constraints, named ``<table>_<column>_check``."""

from collections.abc import Sequence


def ratio(table: str, column: str) -> str:
    """Return a constraint that holds a column in [0, 1]; NULL passes, NaN does not.

    Examples
    --------
    >>> ratio("t", "recall")
    'CONSTRAINT t_recall_check CHECK (recall BETWEEN 0 AND 1)'
    """
    return f"CONSTRAINT {table}_{column}_check CHECK ({column} BETWEEN 0 AND 1)"


def ratios(table: str, columns: Sequence[str]) -> str:
    """Return `ratio` for several columns, with commas between."""
    return ",\n    ".join(ratio(table, column) for column in columns)


def one_of(table: str, column: str, values: Sequence[str]) -> str:
    """Return a constraint that holds a column to some words.

    Examples
    --------
    >>> one_of("t", "direction", ["up", "down"])
    "CONSTRAINT t_direction_check CHECK (direction IN ('up', 'down'))"
    """
    words = ", ".join(f"'{value}'" for value in values)
    return f"CONSTRAINT {table}_{column}_check CHECK ({column} IN ({words}))"
