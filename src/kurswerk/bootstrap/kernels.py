"""Compiles what live predictions need: ``python -m kurswerk.bootstrap.kernels``.

numba holds the interpreter while it compiles, for half a minute in a fresh data directory. In a process of its own that
stops nobody, and the service then reads the finished code from the cache.
"""

import asyncio
import os
import sys
from pathlib import Path

from kurswerk.bootstrap.environment import use_kernel_cache
from kurswerk.bootstrap.settings import read_settings

COMMAND = (sys.executable, "-m", "kurswerk.bootstrap.kernels")
_ROWS = 64


async def compile_elsewhere(stop: asyncio.Event) -> None:
    """Have the kernels compiled in a process of its own; return when they are there, or ``stop`` is set."""
    # In a session of its own: Ctrl-C on our terminal reaches us, and we end it.
    process = await asyncio.create_subprocess_exec(*COMMAND, start_new_session=True)
    finished, stopped = asyncio.ensure_future(process.wait()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((finished, stopped), return_when=asyncio.FIRST_COMPLETED)
    finally:
        if process.returncode is None:
            process.kill()
        stopped.cancel()
        await finished


def compile_here() -> None:
    """Compute features in batch and live, labels of each kind and a tree, so that all kernels are compiled."""
    # Only now: numba reads where its cache is when it is imported.
    import numpy as np  # noqa: PLC0415 - see above

    from kurswerk.core.timestamps import MINUTE_US  # noqa: PLC0415 - as above
    from kurswerk.features import FeaturePlan, LiveEngine, engineered_names  # noqa: PLC0415 - as above
    from kurswerk.labels import LabelSpec, compute_labels  # noqa: PLC0415 - as above
    from kurswerk.market import Panel, Role, market_named  # noqa: PLC0415 - as above
    from kurswerk.models.trees import compile_kernel  # noqa: PLC0415 - as above

    times = np.arange(_ROWS, dtype=np.int64) * MINUTE_US
    market = market_named()
    columns = {name: np.linspace(1.0, 2.0, _ROWS) for name in market.columns}
    panel = Panel.from_columns(np.repeat("coin", _ROWS), times, columns)
    plan = FeaturePlan(engineered_names(panel.columns, market, (5,)), market)
    plan.compute(panel)
    engine = LiveEngine(plan)
    engine.rebuild(panel)
    engine.update(["coin"], np.array([_ROWS * MINUTE_US]), np.ones((1, len(plan.inputs))))
    close = market.column_of(Role.CLOSE)
    for mode in ("at", "within"):
        compute_labels(panel, LabelSpec(close, minutes=5, min_percent_change=1, direction="up", mode=mode))
    compute_labels(panel, LabelSpec(close, operator=">", target_value=1.5))
    compile_kernel()


def main() -> None:
    """Compile into the cache that the settings name."""
    use_kernel_cache(read_settings(os.environ, Path.cwd()))
    compile_here()


if __name__ == "__main__":
    main()
