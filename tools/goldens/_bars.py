"""Artifacts trained on a slice of real 5-minute bars."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldens._command_line import CommandLine, digest
from goldens._market import BOOSTED, FOREST
from goldens._normalise import Normaliser

BARS = Path(__file__).resolve().parents[3] / "shared" / "data" / "crypto_5m_16_pairs_2024.parquet"
_LAST = "2024-02-01T00:00:00+00:00"
_PERIOD = {"train_start": "2024-01-01T00:00:00Z", "train_end": "2024-01-20T00:00:00Z"}
_RISE = {"features": ["volume_sol", "rsi_14", "atr_14"], "future_minutes": 60, "min_percent_change": 1}


def record_bars(folder: Path, database_url: str) -> dict[str, dict[str, Any]]:
    """Return ``bars``: the SHA-256 of a forest and a boosted model; the environment as in `record_command_line`."""
    table = pq.read_table(BARS)
    time = next(name for name in table.column_names if name in {"ts", "timestamp", "date", "time", "open_time"})
    last = pa.scalar(datetime.fromisoformat(_LAST)).cast(table.schema.field(time).type)
    pq.write_table(table.filter(pc.less(table.column(time), last)), folder / "bars.parquet")
    kurswerk = CommandLine(folder, Normaliser({str(folder): "<folder>", database_url: "<url>"}))
    found: dict[str, Any] = {"rows": kurswerk("ingest", "coins", folder / "bars.parquet")["inserted"]}
    for spec in (FOREST, BOOSTED):
        name = f"{spec['name']}-bars"
        kurswerk("train", kurswerk.file(f"{name}.json", spec | _PERIOD | _RISE | {"name": name}))
        kurswerk("models", name, "--export", folder / f"{name}.onnx")
        found[name] = digest((folder / f"{name}.onnx").read_bytes())
    return {"bars": found}
