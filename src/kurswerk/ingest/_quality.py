"""The use case: how good a market's rows are, those that are stored and those that were kept apart."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kurswerk.core.errors import DataFileError, KurswerkError
from kurswerk.core.timestamps import parse_timestamp
from kurswerk.ingest._quarantine import QUARANTINE_KEY, REASON_DETAIL
from kurswerk.market import CANDLE_ROLES, MarketSchema, Panel, Role
from kurswerk.quality import (
    ERROR,
    MOST_EXAMPLES,
    QUARANTINED,
    WARNING,
    Example,
    Finding,
    QualityReport,
    Subject,
    check_quality,
)

# Code of the reason → the check of stored rows that looks for the same.
_CHECKS = {
    "row.high_below_low": "broken_candles",
    "row.close_outside": "broken_candles",
    "row.open_outside": "broken_candles",
    "row.missing": "missing_prices",
    "row.conflict": "repeated_rows",
    "row.no_session": "closed_days",
}
_OTHER = "unreadable_rows"


class QualitySource(Protocol):
    """What a check needs of a market's rows."""

    def columns(self) -> Sequence[str]:
        """Return the columns that can be loaded."""
        ...

    def load_panel(self, columns: Sequence[str], *, mints: Iterable[str] | None = None) -> Panel:
        """Read rows, all or those of some instruments."""
        ...

    def spin_off_days(self) -> Mapping[str, NDArray[np.datetime64]]:
        """Return on which days instruments are known to have handed out a part of themselves."""
        ...


def check_market(
    market: MarketSchema,
    source: QualitySource,
    quarantine_dir: Path,
    *,
    instruments: Collection[str] | None = None,
    most_examples: int = MOST_EXAMPLES,
) -> QualityReport:
    """Check a market's stored rows, and report those that were quarantined.

    Parameters
    ----------
    instruments
        Only these; None is all. Quarantined rows are reported of all.
    most_examples
        Places that a finding names.

    Raises
    ------
    DataFileError
        If the quarantine cannot be read.
    """
    roles = [market.roles[role] for role in (*CANDLE_ROLES, Role.VOLUME) if role in market.roles]
    columns = market.in_order({*roles, *market.derived} & set(source.columns()))
    panel = source.load_panel(columns, mints=instruments)
    subject = Subject(panel, market, source.spin_off_days(), most_examples)
    return check_quality(subject, quarantine_findings(quarantine_dir, market, most_examples))


def quarantine_findings(directory: Path, market: MarketSchema, most_examples: int = MOST_EXAMPLES) -> list[Finding]:
    """Return one finding for each file and reason of a market's quarantined rows.

    Files of older versions do not state their market and are left out.
    """
    files = sorted(directory.glob("*.parquet")) if directory.is_dir() else []
    return [finding for path in files for finding in _findings_of(path, market, most_examples)]


def _findings_of(path: Path, market: MarketSchema, most_examples: int) -> Iterator[Finding]:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataFileError("quarantine.not_readable", path=path, reason=error) from error
    about = json.loads((table.schema.metadata or {}).get(QUARANTINE_KEY, b"{}"))
    if about.get("market") != market.name:
        return
    names = {ours: theirs for theirs, ours in about["columns"].items()}
    reasons = table.column("reason").dictionary_encode().combine_chunks()
    codes = reasons.indices.to_numpy()
    for code, reason in enumerate(reasons.dictionary.to_pylist()):
        rows = np.flatnonzero(codes == code)
        first = table.take(pa.array(rows[: max(1, most_examples)])).to_pylist()
        check = _CHECKS.get(json.loads(first[0][REASON_DETAIL])["code"], _OTHER)
        keys = names.get(market.key)
        count = len(table.column(keys).take(pa.array(rows)).unique()) if keys else 1
        examples = tuple(_example(row, path, market, names) for row in first[:most_examples])
        severity = ERROR if check == "broken_candles" else WARNING
        yield Finding(check, severity, len(rows), count, examples, QUARANTINED, reason)


def _example(row: Mapping[str, Any], path: Path, market: MarketSchema, names: Mapping[str, str]) -> Example:
    key, time = names.get(market.key), names.get(market.timestamp)
    values = {name: row[name] for name in names.values() if name not in (key, time) and row.get(name) is not None}
    place = {"file": path.stem.rpartition("-")[0], "row": row["row"]}
    return Example(str(row[key] or "") if key else "", _moment(row.get(time or "")), {**values, **place})


def _moment(text: str | None) -> int | None:
    """Return the moment in a cell, None where it is none in ISO 8601."""
    try:
        return parse_timestamp(text or "")
    except KurswerkError:
        return None
