"""What commands show a person on a terminal: progress on stderr, tables on stdout."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from kurswerk.core.messages import Message


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float, Message], None]]:
    """Show a bar on stderr while the block runs; silent where stderr is no terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.fields[title]}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=1.0, title=title)
        yield lambda fraction, message: bar.update(task, completed=fraction, description=str(message))


def print_table(title: str, header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Print a table on stdout; numbers align right."""
    table = Table(title=title, title_justify="left")
    for position, name in enumerate(header):
        numeric = all(isinstance(row[position], int | float) or row[position] is None for row in rows)
        table.add_column(name, justify="right" if numeric and rows else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell_text(value) for value in row))
    Console().print(table)


def cell_text(value: Any) -> str:
    """Return a value as a person reads it: four significant digits, a dash for nothing.

    Examples
    --------
    >>> cell_text(0.123456), cell_text(None), cell_text(923030), cell_text(True)
    ('0.1235', '–', '923,030', 'yes')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) > 9999 else str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
