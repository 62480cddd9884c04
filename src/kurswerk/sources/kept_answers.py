"""Answers of a provider, kept for some minutes: who asks again, or was interrupted, does not ask the provider twice."""

import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import date
from pathlib import Path
from tempfile import NamedTemporaryFile
from zipfile import BadZipFile

import numpy as np

from kurswerk.core.digest import sha256_json
from kurswerk.core.timestamps import MICROSECONDS
from kurswerk.ingest.fetching import BarProvider, BarRequest, FetchedBars

_ARRAYS = ("starts", "prices", "volumes")
_ENDING = ".npz"


class KeptAnswers:
    """A `BarProvider` that answers from files where the same was asked a short time ago.

    Parameters
    ----------
    provider
        Who is asked otherwise.
    directory
        Holds the answers; made when needed, and one that cannot be written costs nothing but the second call.
    keep_s
        How long an answer counts. A bar that had not ended when it was given is not finished in it.
    now_us
        The present moment in microseconds UTC.
    """

    def __init__(
        self,
        provider: BarProvider,
        directory: Path,
        keep_s: float,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._provider, self._directory, self._keep_us, self._now_us = (
            provider,
            directory,
            int(keep_s * MICROSECONDS),
            now_us,
        )

    @property
    def name(self) -> str:
        """Name of the provider."""
        return self._provider.name

    def exchange_of(self, symbol: str) -> str | None:
        """Return what the provider does."""
        return self._provider.exchange_of(symbol)

    def reach_days(self, interval: str) -> int | None:
        """Return what the provider does."""
        return self._provider.reach_days(interval)

    def fetch(self, request: BarRequest, *, describe: bool) -> FetchedBars:
        """Return a kept answer, or the provider's."""
        named = [self.name, request.symbol, request.interval, str(request.first), str(request.last), describe]
        path = self._directory / f"{sha256_json(named)[:32]}{_ENDING}"
        kept = _read(path)
        if kept is not None and 0 <= self._now_us() - kept.moment_us < self._keep_us:
            return kept
        answer = self._provider.fetch(request, describe=describe)
        with suppress(OSError):
            self._forget()
            _write(path, answer)
        return answer

    def _forget(self) -> None:
        for path in self._directory.glob(f"*{_ENDING}"):
            if time.time() - path.stat().st_mtime > self._keep_us / MICROSECONDS:
                path.unlink(missing_ok=True)


def _write(path: Path, answer: FetchedBars) -> None:
    """Write an answer; the file appears whole or not at all."""
    text = {
        "moment_us": answer.moment_us,
        "splits": _as_json(answer.splits),
        "dividends": _as_json(answer.dividends),
        "is_adjusted": answer.is_adjusted,
        "currency": answer.currency,
        "name": answer.name,
        "time_zone": answer.time_zone,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        np.savez(file, text=np.array(json.dumps(text)), **{name: getattr(answer, name) for name in _ARRAYS})
    Path(file.name).replace(path)


def _as_json(events: Iterable[tuple[date, float]]) -> list[tuple[str, float]]:
    return [(day.isoformat(), value) for day, value in events]


def _read(path: Path) -> FetchedBars | None:
    """Return the answer of a file; None if there is none that can be read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            arrays = {name: found[name] for name in _ARRAYS}
            text = json.loads(str(found["text"]))
        for name in ("splits", "dividends"):
            text[name] = [(date.fromisoformat(day), float(value)) for day, value in text[name]]
        return FetchedBars(**arrays, **text)
    except (OSError, ValueError, KeyError, TypeError, BadZipFile, EOFError):
        return None
