"""How a benchmark is measured: ours and a named peer in turn, in one run."""

import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")


def compare(
    name: str,
    ours: Callable[[], object],
    peer: tuple[str, Callable[[], object]],
    repeats: tuple[int, int],
    demand: tuple[float, str],
) -> dict[str, Any]:
    """Time ours and a peer in turn and return the medians beside each other."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(max(repeats)):
        for which, work in enumerate((ours, peer[1])):
            if turn < repeats[which]:
                start = time.perf_counter()
                work()
                times[which].append(time.perf_counter() - start)
    mine, theirs = statistics.median(times[0]), statistics.median(times[1])
    return {
        "name": name,
        "ours_s": mine,
        "peer": peer[0],
        "peer_s": theirs,
        "ratio": theirs / mine,
        "at_least": demand[0],
        "note": demand[1],
    }


def in_child(work: Callable[..., Result], *arguments: Any) -> tuple[Result, int]:
    """Run work in a fresh process and return its result and the process's peak memory in bytes."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_with_peak, work, arguments).result()


def _with_peak(work: Callable[..., Result], arguments: tuple[Any, ...]) -> tuple[Result, int]:
    result = work(*arguments)
    return result, _peak_bytes()


def _peak_bytes() -> int:
    """Return the most memory this process has held resident.

    Linux hands ``ru_maxrss`` down to a started program, so that a child of a large process would seem as large; the
    high-water mark of ``/proc`` begins anew with each program. Elsewhere ``ru_maxrss`` is what there is: kibibytes,
    on macOS bytes.
    """
    status = Path("/proc/self/status")
    if status.exists():
        marks = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(marks["VmHWM"].removesuffix("kB")) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
