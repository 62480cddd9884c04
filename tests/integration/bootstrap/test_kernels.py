"""Kernels are compiled beside the service, not in it."""

import asyncio
import time

from kurswerk.bootstrap import kernels
from kurswerk.features import _kernels


def test_what_live_predictions_need_is_compiled():
    kernels.compile_here()
    assert all(kernel.signatures for kernel in (_kernels.run_moment, _kernels.run_tasks))


def test_a_process_of_its_own_compiles(capfd):
    asyncio.run(kernels.compile_elsewhere(asyncio.Event()))
    assert capfd.readouterr().err == ""


def test_a_stop_does_not_wait_for_the_compiler(monkeypatch):
    monkeypatch.setattr(kernels, "COMMAND", ("sleep", "60"))

    async def stopped_at_once():
        stop = asyncio.Event()
        stop.set()
        await kernels.compile_elsewhere(stop)

    began = time.monotonic()
    asyncio.run(stopped_at_once())
    assert time.monotonic() - began < 30
