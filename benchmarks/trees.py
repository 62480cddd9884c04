"""Trees by their own kernel and by ONNX Runtime: the same artifact, rows and threads, in one run."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._measure import compare
from benchmarks.inference import DEPTH, FEATURES, TREES, training_data
from kurswerk.models import OnnxModel, create
from kurswerk.models._session import Session

# Rows of a call → how many times faster than ONNX Runtime.
DEMANDED = {1: 1.0, 40: 2.5, 1000: 2.5}
_CALLS = {1: 2000, 40: 400, 1000: 20}


def run(*, train_rows: int = 20_000, repeats: int = 15, threads: int = 2, seed: int = 42) -> list[dict[str, Any]]:
    """Measure a forest of depth 10 and XGBoost of depth 6, 100 trees each, on 1, 40 and 1,000 rows.

    Every call gets other rows: those of the call before are easier for a processor, which remembers their branches.

    Parameters
    ----------
    train_rows
        Rows the models are trained on; decides how large their trees get.
    repeats
        Measurements of each.
    threads
        Most threads of either side.
    seed
        Of data and models.

    Returns
    -------
    list of dict
        As from `benchmarks._measure.compare`.
    """
    X, y = training_data(train_rows, seed)
    models = {
        f"forest of depth {DEPTH}": create("random_forest", {"n_estimators": TREES, "max_depth": DEPTH}),
        "XGBoost of depth 6": create("xgboost", {"n_estimators": TREES, "max_depth": 6}),
    }
    found = []
    for title, model in models.items():
        data = model.fit(X, y).to_onnx([f"f{column}" for column in range(FEATURES)], {})
        ours, theirs = OnnxModel.load(data, threads=threads).predict_proba, Session(data, threads=threads).run
        found += [_compared(title, X, rows, ours, theirs, repeats, threads) for rows in DEMANDED]
    return found


def _compared(
    title: str, X: NDArray[np.float32], rows: int, ours: Any, theirs: Any, repeats: int, threads: int
) -> dict[str, Any]:
    calls = _CALLS[rows]
    starts = [call * rows % (len(X) - rows) for call in range(calls)]
    batches = [np.ascontiguousarray(X[start : start + rows]) for start in starts]
    if any(ours(batch).tobytes() != theirs(batch).tobytes() for batch in batches):
        raise AssertionError(f"{title}: other bits than ONNX Runtime's")

    def of(predict: Any) -> Any:
        def calls_of() -> None:
            for batch in batches:
                predict(batch)

        return calls_of

    note = f"{calls} calls of {rows} rows, {TREES} trees, {FEATURES} features, at most {threads} threads, the same bits"
    peer = ("ONNX Runtime", of(theirs))
    found = compare(f"trees, {title}, {rows:,} rows", of(ours), peer, (repeats, repeats), (DEMANDED[rows], note))
    return found | {"ours_s": found["ours_s"] / calls, "peer_s": found["peer_s"] / calls}
