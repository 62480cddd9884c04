"""Computed features kept on disk: each column under the hash of all that decides its bits.

A column's name is the SHA-256 of the feature's definition, the source text of the library that computes it, the
versions of what compiles it, and every value that it reads: instruments, times, inputs. Other data, another definition
or another library is another name, so that a stale column cannot be found; a file whose bytes are not those that were
written is none.
"""

import fcntl
import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numba
import numpy as np
from numba.core.codegen import get_host_cpu_features
from numpy.typing import DTypeLike, NDArray

import kurswerk.core
import kurswerk.features
import kurswerk.market
from kurswerk.core.digest import sha256_arrays, sha256_json
from kurswerk.features import Feature, FeaturePlan
from kurswerk.market import Panel
from kurswerk.market.sections import Sections

_MAGIC = b"kwfeat1\n"
_ENDING = ".column"
_COUNTS = "counts.json"
_DIGEST_BYTES = 32
# A file that was begun and never finished belongs to a process that was killed.
_ABANDONED_S = 3600.0


@dataclass(frozen=True)
class CacheCounts:
    """What a cache was asked for, by all processes together.

    Attributes
    ----------
    hits, misses
        Columns that were there, and that were computed.
    evicted
        Columns that were removed for their age or for room.
    damaged
        Columns that were not what was written, and were computed again.
    """

    hits: int = 0
    misses: int = 0
    evicted: int = 0
    damaged: int = 0

    @property
    def hit_rate(self) -> float | None:
        """Share of the columns asked for that were there; None before the first."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else None

    def __add__(self, other: "CacheCounts") -> "CacheCounts":
        return CacheCounts(
            *(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True))
        )


@dataclass(frozen=True)
class CacheState:
    """What a cache holds now, and its counts."""

    columns: int
    bytes: int
    counts: CacheCounts


class FeatureCache:
    """Columns of features in a folder that several processes share.

    Parameters
    ----------
    directory
        Made when needed. One that cannot be written or read costs nothing but the computation.
    most_bytes
        Beyond it the columns that were not asked for longest are removed; features that are larger together are not
        kept at all.
    most_age_s
        A column that was not asked for so long is removed.
    """

    def __init__(self, directory: Path, most_bytes: int, most_age_s: float) -> None:
        self._directory, self._most_bytes, self._most_age_s = directory, most_bytes, most_age_s

    def compute(
        self, plan: FeaturePlan, panel: Panel, *, threads: int = 1, dtype: DTypeLike = np.float64
    ) -> NDArray[np.floating]:
        """Return what ``plan.compute`` does, with the same bits, reading the columns that are there."""
        kind: np.dtype[Any] = np.dtype(dtype)
        if len(panel) * len(plan.names) * kind.itemsize > self._most_bytes:
            # Its columns would drive out each other.
            return plan.compute(panel, threads=threads, dtype=kind)
        names = _names(plan, panel, kind)
        out = np.empty((len(panel), len(plan.names)), kind, order="F")
        damaged = 0
        missing = []
        for place, name in enumerate(plan.names):
            found = self._read(names[name], out[:, place])
            damaged += found is None
            if not found:
                missing.append(place)
        if len(missing) == len(plan.names):
            plan.compute(panel, threads=threads, out=out)
        elif missing:
            part = FeaturePlan([plan.names[place] for place in missing], plan.market)
            out[:, missing] = part.compute(panel, threads=threads, dtype=kind)
        for place in missing:
            self._write(names[plan.names[place]], out[:, place])
        evicted = self.evict() if missing else 0
        self._count(CacheCounts(len(plan.names) - len(missing), len(missing), evicted, damaged))
        return out

    def state(self) -> CacheState:
        """Return what it holds, and its counts."""
        files = list(self._files())
        return CacheState(len(files), sum(size for _, size, _ in files), self._read_counts())

    def evict(self) -> int:
        """Remove what is too old, and what was not asked for longest until the rest has room; return how many."""
        files = sorted(self._files(), key=lambda file: file[2])
        total, now, removed = sum(size for _, size, _ in files), time.time(), 0
        for path, size, used in files:
            if now - used <= self._most_age_s and total <= self._most_bytes:
                break
            total -= size
            with suppress(OSError):
                path.unlink()
                removed += 1
        for path in self._directory.glob("tmp*"):
            with suppress(OSError):
                if now - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()
        return removed

    def clear(self) -> int:
        """Remove all columns and counts; return how many columns."""
        removed = 0
        for path, _, _ in self._files():
            with suppress(OSError):
                path.unlink()
                removed += 1
        with suppress(OSError):
            (self._directory / _COUNTS).unlink()
        return removed

    def _files(self) -> Iterator[tuple[Path, int, float]]:
        """Yield path, size and when it was last asked for."""
        for path in self._directory.glob(f"*{_ENDING}"):
            with suppress(OSError):
                found = path.stat()
                yield path, found.st_size, found.st_mtime

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}{_ENDING}"

    def _read(self, name: str, out: NDArray[np.floating]) -> bool | None:
        """Fill in a column; False if it is not there, None if it is not what was written."""
        path = self._path(name)
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return False
        header = _header(name, out)
        digest, payload = content[len(header) : len(header) + _DIGEST_BYTES], content[len(header) + _DIGEST_BYTES :]
        is_whole = content.startswith(header) and len(payload) == out.nbytes
        if not is_whole or hashlib.sha256(payload).digest() != digest:
            with suppress(OSError):
                path.unlink()
            return None
        out[:] = np.frombuffer(payload, out.dtype)
        return True

    def _write(self, name: str, column: NDArray[np.floating]) -> None:
        """Keep a column; its file appears whole or not at all, whoever else writes it."""
        payload = np.ascontiguousarray(column).tobytes()
        with suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self._directory, prefix="tmp", delete=False) as file:
                file.write(_header(name, column))
                file.write(hashlib.sha256(payload).digest())
                file.write(payload)
            Path(file.name).replace(self._path(name))

    def _count(self, more: CacheCounts) -> None:
        with suppress(OSError), self._locked():
            path = self._directory / _COUNTS
            part = path.with_suffix(".part")
            part.write_text(json.dumps(asdict(self._read_counts() + more)), encoding="utf-8")
            part.replace(path)

    def _read_counts(self) -> CacheCounts:
        try:
            return CacheCounts(**json.loads((self._directory / _COUNTS).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return CacheCounts()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "lock").open("w", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _header(name: str, column: NDArray[np.floating]) -> bytes:
    return _MAGIC + f"{name} {column.dtype.str} {len(column)}\n".encode()


def _names(plan: FeaturePlan, panel: Panel, kind: np.dtype[Any]) -> Mapping[str, str]:
    """Return the name of each feature's column: a hash of all that decides its bits."""
    inputs = {feature.name: _inputs(feature) for feature in plan.features}
    read = {column for columns in inputs.values() for column in columns if column in panel.columns}
    values = {column: sha256_arrays([panel.column(column)]) for column in sorted(read)}
    rows = _rows_digest(panel)
    is_compared = any(feature.cross is not None for feature in plan.features)
    # Which instruments are compared with which follows from the calendar too.
    sections = sha256_arrays(vars(Sections.of(panel, plan.market)).values()) if is_compared else None
    return {
        feature.name: sha256_json(
            {
                "definition": feature.definition_hash,
                "market": plan.market.name,
                "rows": rows,
                "values": {column: values.get(column) for column in inputs[feature.name]},
                "sections": None if feature.cross is None else sections,
                "dtype": kind.str,
                "library": library_digest(),
            }
        )
        for feature in plan.features
    }


def _inputs(feature: Feature) -> tuple[str, ...]:
    """Return the columns that a feature reads, and those that it compares."""
    found = [*feature.inputs, *(column for one in feature.compared for column in one.inputs)]
    return tuple(sorted(set(found)))


def _rows_digest(panel: Panel) -> str:
    """Return the SHA-256 of all that a panel is beside its columns."""
    outsiders = np.empty(0, dtype=bool) if panel.outsiders is None else panel.outsiders
    text = json.dumps([list(panel.instruments), list(panel.exchanges)], ensure_ascii=False)
    return sha256_arrays([panel.offsets, panel.timestamps, outsiders], text)


@cache
def library_digest() -> str:
    """Return the SHA-256 of the source text that computes features, and of what compiles and runs it."""
    folders = [Path(package.__file__ or "").parent for package in (kurswerk.core, kurswerk.features, kurswerk.market)]
    texts = {str(path): path.read_text(encoding="utf-8") for one in folders for path in sorted(one.glob("*.py"))}
    return sha256_json(
        {
            "source": list(texts.values()),
            "numba": numba.__version__,
            "numpy": np.__version__,
            "machine": [platform.machine(), get_host_cpu_features()],
        }
    )


_in_use: FeatureCache | None = None


def use_feature_cache(found: FeatureCache | None) -> None:
    """Let trainings and tests of this process read features from a cache; None lets them compute all."""
    global _in_use  # noqa: PLW0603 - one per process, set where it starts
    _in_use = found


def cached_features(plan: FeaturePlan, panel: Panel, *, threads: int, dtype: DTypeLike) -> NDArray[np.floating]:
    """Return what ``plan.compute`` does, from the cache that is in use if there is one."""
    if _in_use is None:
        return plan.compute(panel, threads=threads, dtype=dtype)
    return _in_use.compute(plan, panel, threads=threads, dtype=dtype)
