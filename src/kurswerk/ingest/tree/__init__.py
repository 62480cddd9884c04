"""What is stored of stocks as a tree of files, and back: a round trip changes nothing."""

from kurswerk.ingest.tree._export import ExportOptions, export_tree
from kurswerk.ingest.tree._files import FORMATS, WrittenFile
from kurswerk.ingest.tree._import import ImportSummary, import_tree
from kurswerk.ingest.tree.ports import StoredSeries, TreeStore

__all__ = [
    "FORMATS",
    "ExportOptions",
    "ImportSummary",
    "StoredSeries",
    "TreeStore",
    "WrittenFile",
    "export_tree",
    "import_tree",
]
