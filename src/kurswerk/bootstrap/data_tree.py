"""Joins trees of files to the database."""

from collections.abc import Callable
from pathlib import Path

from kurswerk.bootstrap.settings import Settings
from kurswerk.ingest.tree import ImportSummary, TreeStore, import_tree
from kurswerk.market import MARKETS
from kurswerk.sources.files import open_candles
from kurswerk.storage.markets import PostgresTreeStore
from kurswerk.storage.server import Database


def tree_store(database: Database) -> TreeStore:
    """Return all that is stored of stocks."""
    return PostgresTreeStore(database, [market for market in MARKETS.values() if market.series is not None])


def read_tree(
    settings: Settings, database: Database, folder: Path, report: Callable[[float, str], None]
) -> ImportSummary:
    """Store the tree in a folder."""
    return import_tree(tree_store(database), folder, open_candles, settings.quarantine_dir, report)
