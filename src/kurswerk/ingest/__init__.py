"""Market data into the store: validated, counted, nothing lost."""

from kurswerk.ingest._actions import ActionStore, ActionSummary, ingest_actions
from kurswerk.ingest._files import FileSummary, IngestSummary, Progress, ingest_files
from kurswerk.ingest._normalise import Normaliser, ValidatedRows
from kurswerk.ingest._quality import QualitySource, check_market, quarantine_findings
from kurswerk.ingest._quarantine import QuarantinedRow, quarantined_rows
from kurswerk.ingest._stated_values import StatedSource, ingest_stated_values, stated_columns, states_classifications
from kurswerk.ingest._symbols import InstrumentStore, SymbolSummary, ingest_symbols
from kurswerk.ingest.ports import CandleSource, MarketSink, RawRows, UpsertCount, arrow_schema

__all__ = [
    "ActionStore",
    "ActionSummary",
    "CandleSource",
    "FileSummary",
    "IngestSummary",
    "InstrumentStore",
    "MarketSink",
    "Normaliser",
    "Progress",
    "QualitySource",
    "QuarantinedRow",
    "RawRows",
    "StatedSource",
    "SymbolSummary",
    "UpsertCount",
    "ValidatedRows",
    "arrow_schema",
    "check_market",
    "ingest_actions",
    "ingest_files",
    "ingest_stated_values",
    "ingest_symbols",
    "quarantine_findings",
    "quarantined_rows",
    "stated_columns",
    "states_classifications",
]
