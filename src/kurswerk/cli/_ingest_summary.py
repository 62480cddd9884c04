"""What became of a file's rows, as text and as JSON."""

from typing import Any

import click

from kurswerk.cli._terminal import print_table
from kurswerk.core.messages import Message
from kurswerk.ingest import IngestSummary


def summary_document(summary: IngestSummary) -> dict[str, Any]:
    """Return a summary as JSON."""
    return {
        "rows_read": summary.rows_read,
        "accepted": summary.accepted,
        "duplicates": summary.duplicates,
        "quarantined": summary.quarantined,
        **vars(summary.stored),
        "files": [
            {
                "file": file.file,
                "rows_read": file.rows_read,
                "accepted": file.accepted,
                "duplicates": file.duplicates,
                "quarantined": dict(file.quarantined),
                "quarantine": None if file.quarantine is None else str(file.quarantine),
                **vars(file.stored),
                "mapped": dict(file.mapped),
                "ignored": list(file.ignored),
            }
            for file in summary.files
        ],
    }


def print_summary(summary: IngestSummary) -> None:
    """Show what became of every row."""
    for file in summary.files:
        stored = file.stored
        click.echo(
            Message(
                "cli.ingested_file",
                file=file.file,
                read=Message("count.rows", count=file.rows_read),
                accepted=file.accepted,
                inserted=stored.inserted,
                updated=stored.updated,
                unchanged=stored.unchanged,
                repeated=file.duplicates,
                quarantined=sum(file.quarantined.values()),
            )
        )
        renamed = [f"{theirs} → {ours}" for theirs, ours in file.mapped.items() if theirs != ours]
        if renamed:
            click.echo(f"  read as   {', '.join(renamed)}")
        if file.ignored:
            click.echo(f"  ignored   {', '.join(file.ignored)}")
        if file.quarantine is not None:
            print_table(f"quarantined to {file.quarantine}", ("reason", "rows"), list(file.quarantined.items()))
