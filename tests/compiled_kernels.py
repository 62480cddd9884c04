"""Compiles kernels before tests need them: ``python tests/compiled_kernels.py serving``, or ``training``.

In an empty cache both workers of pytest-xdist, and the commands that their tests start, would each compile the same
kernels: half a minute every time, and twice that under coverage's tracer. The two halves run side by side, once.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from kurswerk.bootstrap.environment import VARIABLE


def serving() -> None:
    """Compile what computes features in float64 and live, makes labels, and simulates and ingests a market."""
    # Only now, as below: numba reads where its cache is when it is imported.
    import pyarrow as pa  # noqa: PLC0415 - see above

    from kurswerk.bootstrap.kernels import compile_here  # noqa: PLC0415 - as above
    from kurswerk.ingest import ingest_files  # noqa: PLC0415 - as above
    from kurswerk.market import COINS  # noqa: PLC0415 - as above
    from kurswerk.sources import CoinMarket, TableCandles  # noqa: PLC0415 - as above
    from memory_sink import MemorySink  # noqa: PLC0415 - as above

    compile_here()
    rows = TableCandles(pa.Table.from_batches(CoinMarket(2, 0.5, seed=1).batches()))
    with tempfile.TemporaryDirectory() as quarantine:
        ingest_files([rows], COINS, MemorySink(), Path(quarantine))


def training() -> None:
    """Compile what computes features in float32, trains and tests models, and reads and writes rows."""
    import numpy as np  # noqa: PLC0415 - as above

    from kurswerk.features import FeaturePlan  # noqa: PLC0415 - as above
    from kurswerk.market import COINS  # noqa: PLC0415 - as above
    from kurswerk.storage.binary_copy import compile_now  # noqa: PLC0415 - as above
    from memory_dashboard import trained_registry  # noqa: PLC0415 - as above
    from memory_market import random_market  # noqa: PLC0415 - as above

    panel = random_market()
    FeaturePlan(["price_change_5", "ema_20"], COINS).compute(panel, dtype=np.float32)
    trained_registry(panel)
    compile_now()


HALVES = {"serving": serving, "training": training}


def compile_in_two_processes() -> None:
    """Fill the cache that ``NUMBA_CACHE_DIR`` names, unless it has been filled before."""
    done = Path(os.environ[VARIABLE]) / "compiled"
    if done.exists():
        return
    commands = ([sys.executable, __file__, half] for half in HALVES)
    for process in [subprocess.Popen(command) for command in commands]:
        if process.wait() != 0:
            raise RuntimeError(f"{' '.join(map(str, process.args))} exited with {process.returncode}")
    done.parent.mkdir(parents=True, exist_ok=True)
    done.touch()


if __name__ == "__main__":
    HALVES[sys.argv[1]]()
