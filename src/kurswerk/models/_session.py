"""An artifact at work, computed by ONNX Runtime or by what gives the same bits faster.

A row's bits do not depend on the rows beside it, nor on the number of threads.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from kurswerk.models._artifact import INPUT
from kurswerk.models._matrix import as_model_input

# Under this many rows per thread, handing work over costs more than it saves.
_ROWS_PER_THREAD = 256
# Rows per call of the runtime, so that its scratch memory stays small beside the matrix.
_BLOCK_ROWS = 1 << 16
_ERRORS_ONLY = 3
_STATE = onnxruntime.capi.onnxruntime_pybind11_state
RUNTIME_ERRORS = (
    _STATE.Fail,
    _STATE.InvalidArgument,
    _STATE.InvalidGraph,
    _STATE.InvalidProtobuf,
    _STATE.NotImplemented,
    _STATE.RuntimeException,
)


BlockFunction = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From rows, float32 (n, f) in C order, to the output, float32 (n,), or of several to all, (n, outputs)."""


def run_graph(data: bytes, given: str = INPUT) -> BlockFunction:
    """Return what computes a graph from its one input by ONNX Runtime."""
    session = runtime(data)
    run, names = session.run, [one.name for one in session.get_outputs()]
    if len(names) == 1:
        return lambda X: run(names, {given: X})[0]
    return lambda X: np.stack(run(names, {given: X}), axis=1)


def runtime(data: bytes) -> Any:
    """Return ONNX Runtime's session over a graph, for one thread.

    A single row costs microseconds, which waking another thread would multiply, and more threads would sum the trees of
    small batches in another order. Large batches are cut by rows instead.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


class Session:
    """Runs an artifact's graph; threads may share one instance.

    Parameters
    ----------
    data
        The artifact; whoever reads it from somewhere else checks it first (`OnnxModel.load`).
    threads
        Most threads one call may use; a small batch uses one.
    compile_graph
        Returns what computes the graph with the same bits, faster than ONNX Runtime, or None where it cannot.
    """

    def __init__(
        self, data: bytes, *, threads: int, compile_graph: Callable[[ModelProto], BlockFunction | None] | None = None
    ) -> None:
        # ONNX Runtime reads every artifact, even where something else computes it: it knows which ones are wrong.
        run = run_graph(data)
        compiled = None if compile_graph is None else compile_graph(ModelProto.FromString(data))
        self._compute: BlockFunction = compiled or run
        self._threads = max(1, threads)
        self._pool: ThreadPoolExecutor | None = None
        self._pool_lock = threading.Lock()

    def run(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return what `BlockFunction` returns for every row of a matrix (n, f) of the right width; n may be 0."""
        return self._run_block(X) if len(X) <= _ROWS_PER_THREAD else self._run_blocks(X)

    def _run_blocks(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        workers = min(self._threads, -(-len(X) // _ROWS_PER_THREAD))
        size = min(_BLOCK_ROWS, -(-len(X) // workers))
        blocks = [X[start : start + size] for start in range(0, len(X), size)]
        runs = self._workers().map(self._run_block, blocks) if workers > 1 else map(self._run_block, blocks)
        return np.concatenate(list(runs))

    def _run_block(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        if X.dtype != np.float32 or not X.flags.c_contiguous:
            X = as_model_input(X)
        return self._compute(X)

    def _workers(self) -> Any:
        with self._pool_lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="kurswerk-predict")
            return self._pool
