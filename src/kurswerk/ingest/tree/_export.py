"""The use case: what is stored of a market as a tree of files.

::

    raw/2026-10/yahoo-1d.csv          bars as they are stored, a file per month, source and length
    raw/latest/yahoo-1d.csv           the latest bar of each of its symbols
    historical/daily/AAPL.csv         bars as models read them: of the preferred source, adjusted for splits
    historical/intraday/AAPL-1h.csv   likewise, shorter ones
    processed/features/AAPL.csv       engineered features of daily bars, where they are asked for
    processed/indicators/AAPL.csv     indicators, likewise
    metadata/symbols.csv              what is known of each symbol
    metadata/actions.csv              splits and dividends
    metadata/status.csv               each series: its price basis, whether it is preferred, rows, first and last bar
    metadata/features.csv             the definitions of the features
    metadata/index.csv                every file with its rows, bytes and SHA-256; written last
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kurswerk.core.errors import ConflictError, NoDataError
from kurswerk.features import FeaturePlan, engineered_names, resolve
from kurswerk.ingest.tree._files import WrittenFile, write_table
from kurswerk.ingest.tree.ports import StoredSeries, TreeStore
from kurswerk.market import MarketSchema, Panel

INDEX = "metadata/index.csv"
DAILY = "1d"
Report = Callable[[float, str], None]


@dataclass(frozen=True)
class ExportOptions:
    """What is exported, and how.

    Attributes
    ----------
    instruments
        Only these; None is all.
    ending
        ``csv`` or ``parquet``, of all files but those of metadata, which are CSV.
    features
        Features of daily bars that are computed too, by their names.
    keep
        How many earlier trees are kept beside the new one, as ``FOLDER.1`` (the latest) and so on.
    """

    instruments: Sequence[str] | None = None
    ending: str = "csv"
    features: Sequence[str] = ()
    keep: int = 0


def export_tree(
    store: TreeStore, folder: Path, options: ExportOptions, report: Report = lambda _fraction, _file: None
) -> list[WrittenFile]:
    """Write a tree; it replaces the one before as a whole, or not at all.

    Raises
    ------
    ConflictError
        If the folder holds something else.
    NoDataError
        If nothing is stored of the instruments.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / INDEX).is_file():
        raise ConflictError("tree.folder_taken", path=folder, index=INDEX)
    series = store.series(options.instruments)
    if not series:
        raise NoDataError("tree.nothing_stored")
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    written: list[WrittenFile] = []
    steps = [*_raw(store, series), *_historical(store, series), *_processed(store, series, options)]
    for number, (name, read) in enumerate(steps):
        report(number / len(steps), name)
        written.append(write_table(part, name, read(), options.ending))
    for name, table in _metadata(store, series, options):
        written.append(write_table(part, f"metadata/{name}", table, "csv"))
    index = pa.Table.from_pylist([asdict(one) for one in written])
    write_table(part, INDEX.removesuffix(".csv"), index, "csv")
    _rotate(folder, options.keep)
    part.rename(folder)
    return written


def _rotate(folder: Path, keep: int) -> None:
    """Move earlier trees one number on; the one that has too high a number goes."""
    numbered = [folder, *(folder.with_name(f"{folder.name}.{number}") for number in range(1, keep + 1))]
    shutil.rmtree(numbered[-1], ignore_errors=True)
    for older, newer in zip(numbered[:0:-1], numbered[-2::-1], strict=True):
        if newer.exists():
            newer.rename(older)


Step = tuple[str, Callable[[], pa.Table]]


def raw_name(source: str, interval: str, adjusted_as_of: object) -> str:
    """Return the file of a source's bars of one price basis: a name that every file system takes."""
    basis = f"-adjusted-{adjusted_as_of}" if adjusted_as_of else ""
    return f"{quote(source, safe=' ')}-{interval}{basis}"


def _raw(store: TreeStore, series: Sequence[StoredSeries]) -> Iterator[Step]:
    for market in store.markets:
        interval = market.interval or ""
        origins = dict.fromkeys(one.origin for one in series if one.interval == interval)
        for origin in origins:
            chosen = [one.instrument for one in series if one.interval == interval and one.origin == origin]
            name = raw_name(origin.source, interval, origin.adjusted_as_of)
            read = partial(store.bars, market, origin.source, instruments=chosen)
            months = store.months(market, origin.source)
            for month in months:
                yield f"raw/{month}/{name}", partial(read, month=month)
            yield f"raw/latest/{name}", partial(_latest, partial(read, month=months[-1]), market)


def _latest(read: Callable[[], pa.Table], market: MarketSchema) -> pa.Table:
    """Return the last bar of each instrument in a month; they are in order."""
    bars = read()
    keys = bars.column(market.key).combine_chunks()
    last = np.ones(len(keys), dtype=bool)
    if len(keys) > 1:
        last[:-1] = pc.not_equal(keys[1:], keys[:-1]).to_numpy(zero_copy_only=False)
    return bars.filter(pa.array(last))


def _historical(store: TreeStore, series: Sequence[StoredSeries]) -> Iterator[Step]:
    for market in store.markets:
        for name in sorted({one.instrument for one in series if one.interval == market.interval}):
            safe = quote(name, safe=" ^=")
            place = f"daily/{safe}" if market.interval == DAILY else f"intraday/{safe}-{market.interval}"
            yield f"historical/{place}", partial(_bars_read, store, market, name)


def _bars_read(store: TreeStore, market: MarketSchema, name: str) -> pa.Table:
    columns = [*market.columns, *market.derived]
    panel = store.panel(market, columns, [name])
    return _table(panel, market, {column: panel.column(column) for column in columns})


def _processed(store: TreeStore, series: Sequence[StoredSeries], options: ExportOptions) -> Iterator[Step]:
    market = next((one for one in store.markets if one.interval == DAILY), None)
    if market is None or not options.features:
        return
    engineered = set(engineered_names(market.panel_columns, market))
    kinds = {
        "features": [name for name in options.features if name in engineered],
        "indicators": [name for name in options.features if name not in engineered],
    }
    for kind, names in kinds.items():
        if not names:
            continue
        plan = FeaturePlan(names, market)
        for instrument in sorted({one.instrument for one in series if one.interval == DAILY}):
            place = f"processed/{kind}/{quote(instrument, safe=' ^=')}"
            yield place, partial(_features, store, plan, instrument)


def _features(store: TreeStore, plan: FeaturePlan, instrument: str) -> pa.Table:
    panel = store.panel(plan.market, list(plan.inputs), [instrument])
    values = plan.compute(panel)
    return _table(panel, plan.market, {name: values[:, place] for place, name in enumerate(plan.names)})


def _table(panel: Panel, market: MarketSchema, columns: dict[str, np.ndarray]) -> pa.Table:
    names = np.asarray(panel.instruments, dtype=object)[panel.codes] if len(panel) else np.empty(0, dtype=object)
    arrays = {
        market.key: pa.array(names.tolist(), pa.string()),
        market.timestamp: pa.array(panel.timestamps).view(pa.timestamp("us", "UTC")),
        **{name: pa.array(values, from_pandas=True) for name, values in columns.items()},
    }
    return pa.table(arrays)


def _metadata(
    store: TreeStore, series: Sequence[StoredSeries], options: ExportOptions
) -> Iterator[tuple[str, pa.Table]]:
    yield "symbols", store.instruments(options.instruments)
    yield "actions", store.actions(options.instruments)
    yield "status", pa.Table.from_pylist([asdict(one) for one in series])
    market = store.markets[0]
    features = [resolve(name, market) for name in options.features]
    rows = [{"name": one.name, "unit": one.unit, "inputs": " ".join(one.inputs), "lookback": one.lookback,
             "nan_rule": one.nan_rule, "source": one.source, "definition": one.doc} for one in features]  # fmt: skip
    names = ("name", "unit", "inputs", "lookback", "nan_rule", "source", "definition")
    empty = pa.schema([(name, pa.string()) for name in names]).empty_table()
    yield "features", pa.Table.from_pylist(rows) if rows else empty
