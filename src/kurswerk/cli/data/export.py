"""``kurswerk data export`` and ``import``: stocks as a tree of files, and back."""

from dataclasses import asdict
from pathlib import Path

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.bootstrap.data_tree import read_tree, tree_store
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table, progress_bar
from kurswerk.core.messages import Message
from kurswerk.ingest import IngestSummary
from kurswerk.ingest.tree import FORMATS, ExportOptions, export_tree

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("export")
@click.argument("folder", type=_FOLDER)
@click.option("--symbol", "symbols", multiple=True, help="Only this symbol; several times for several.")
@click.option("--format", "ending", type=click.Choice(FORMATS), default="csv", show_default=True, help="Of the files.")
@click.option("--feature", "features", multiple=True, help="Compute this feature of daily bars too, e.g. rsi_14.")
@click.option("--keep", type=click.IntRange(0, 100), default=0, show_default=True, help="Earlier trees kept beside it.")
@json_option
def export(
    folder: Path, symbols: tuple[str, ...], ending: str, features: tuple[str, ...], keep: int, *, as_json: bool
) -> None:
    """Export all that is stored of stocks to a tree of files in FOLDER, which replaces the one before.

    raw holds bars as they are stored, by month; historical holds them as models read them, by symbol; processed holds
    features; metadata holds symbols, actions, series and an index of all files with their checksums.
    """
    app = open_application()
    options = ExportOptions(symbols or None, ending, features, keep)
    with progress_bar("export") as bar:
        files = export_tree(
            tree_store(app.database),
            folder.absolute(),
            options,
            lambda fraction, file: bar(fraction, Message("progress.writing_file", file=file)),
        )
    if as_json:
        print_json({"folder": str(folder), "files": [asdict(one) for one in files]})
        return
    kinds: dict[str, list[int]] = {}
    for one in files:
        found = kinds.setdefault("/".join(one.path.split("/")[:2]), [0, 0, 0])
        for place, value in enumerate((1, one.rows, one.bytes)):
            found[place] += value
    print_table(str(folder), ("part", "files", "rows", "bytes"), [(kind, *found) for kind, found in kinds.items()])


@click.command("import")
@click.argument("folder", type=_FOLDER)
@json_option
def import_(folder: Path, *, as_json: bool) -> None:
    """Import the raw bars, actions and symbols of a tree that kurswerk data export wrote; twice changes nothing."""
    app = open_application()
    with progress_bar("import") as bar:
        summary = read_tree(
            app.settings,
            app.database,
            folder,
            lambda fraction, file: bar(fraction, Message("progress.reading_file", file=file)),
        )
    bars = IngestSummary(summary.files)
    document = {
        "files": len(summary.files),
        "rows_read": bars.rows_read,
        "quarantined": bars.quarantined,
        **vars(bars.stored),
        "instruments": summary.instruments,
        "actions": summary.actions,
    }
    if as_json:
        print_json(document)
    else:
        print_table(str(folder), tuple(document), [tuple(document.values())])
