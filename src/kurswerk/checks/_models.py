"""Properties of models: the same rows give the same model, and what is served is what was fitted."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.checks._evidence import Effort, Evidence, Finding, PropertyCheck, examine_all
from kurswerk.checks.ports import Fittable, Labels8, Served
from kurswerk.core.errors import KurswerkError

Float32 = NDArray[np.float32]

SERVED_WITHIN = 1e-6  # the served probability against the library's own
DECISION = 0.5


@dataclass(frozen=True, eq=False)
class ModelCase:
    """A way to make a fresh model, a way to load its artifact, and rows to learn from (n, n_features)."""

    create: Callable[[], Fittable]
    load: Callable[[bytes], Served]
    X: Float32
    y: Labels8

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of ``X``."""
        return tuple(f"feature_{k}" for k in range(self.X.shape[1]))

    def fitted(self) -> Fittable:
        """Return a fresh model that has learned from the rows."""
        model = self.create()
        model.fit(self.X.copy(), self.y.copy())
        return model


def model_checks(
    create: Callable[[], Fittable],
    load: Callable[[bytes], Served],
    random_state: int = 0,
    *,
    name: str = "model",
    rows: int = 400,
    effort: Effort | None = None,
) -> Iterator[Finding]:
    """Try all properties of models on rows drawn at random, a tenth of their values missing.

    Parameters
    ----------
    create
        Returns a fresh model, e.g. ``lambda: models.create("xgboost", {})``.
    load
        Artifact → what serves it, e.g. ``OnnxModel.load``.

    Yields
    ------
    Finding
        One for each property of ``MODEL_PROPERTIES``.
    """
    X, y = random_rows(np.random.default_rng(random_state), rows)
    yield from examine_all(MODEL_PROPERTIES, ModelCase(create, load, X, y), name, random_state, effort)


def random_rows(rng: np.random.Generator, rows: int = 400, columns: int = 6) -> tuple[Float32, Labels8]:
    """Return rows of which the first two columns are informative of the class, a tenth of the values missing."""
    X = rng.normal(size=(rows, columns)).astype(np.float32)
    y = (X[:, 0] + 0.5 * X[:, 1] + rng.normal(0.0, 0.5, rows) > 0.4).astype(np.int8)
    X[rng.random(X.shape) < 0.1] = np.nan
    return X, y


def _strange_rows(X: Float32, rng: np.random.Generator) -> Float32:
    """Return rows such as no training saw: all missing, zero, huge, tiny, and with many values missing."""
    huge = np.finfo(np.float32).max
    lines = [np.full(X.shape[1], value, dtype=np.float32) for value in (np.nan, 0.0, huge, -huge, 1e-38)]
    sparse = np.where(rng.random(X.shape) < 0.5, np.nan, X).astype(np.float32)
    return np.ascontiguousarray(np.vstack([*lines, sparse, X]))


def _deterministic(case: ModelCase, evidence: Evidence) -> None:
    first = case.fitted()
    artifact, proba = _artifact(case, first), np.asarray(first.predict_proba(case.X))
    for _ in evidence.rounds():
        again = case.fitted()
        evidence.equal(
            np.frombuffer(artifact, np.uint8), np.frombuffer(_artifact(case, again), np.uint8), _byte, "artifact"
        )
        evidence.equal(proba, np.asarray(again.predict_proba(case.X)), _row, "probability")


def _artifact(case: ModelCase, model: Fittable) -> bytes:
    return model.to_onnx(case.names, {"note": "check"})


def _row(index: tuple[int, ...]) -> str:
    return f"row {index[0]}"


def _byte(index: tuple[int, ...]) -> str:
    return f"byte {index[0]}"


def _input_kept(case: ModelCase, evidence: Evidence) -> None:
    X, y = case.X.copy(), case.y.copy()
    model = case.create()
    model.fit(X, y)
    model.predict_proba(X)
    evidence.equal(case.X, X, str, "features after fit and predict")
    evidence.equal(case.y, y, _row, "labels after fit")


def _apart(case: ModelCase, evidence: Evidence) -> None:
    """Require that what one model learns, another one made the same way does not know."""
    first = case.fitted()
    before = np.array(first.predict_proba(case.X))
    other = case.create()
    other.fit(case.X[::-1].copy(), (1 - case.y)[::-1].astype(np.int8))
    evidence.equal(before, np.asarray(first.predict_proba(case.X)), _row, "probability after another model was fitted")


def _rows_apart(case: ModelCase, evidence: Evidence) -> None:
    model = case.fitted()
    served = case.load(_artifact(case, model))
    X = _strange_rows(case.X, evidence.rng)
    predictors: tuple[tuple[str, Callable[[Float32], Any]], ...] = (
        ("fitted", model.predict_proba),
        ("served", served.predict_proba),
    )
    for what, predict in predictors:
        whole = np.asarray(predict(X))
        for _ in evidence.rounds():
            rows = evidence.rng.permutation(len(X))[: int(evidence.rng.integers(1, len(X)))]
            evidence.equal(whole[rows], np.asarray(predict(X[rows])), _row, f"{what}: some rows in another order")
        for row in evidence.rng.integers(0, len(X), size=5):
            evidence.equal(whole[[row]], np.asarray(predict(X[[row]])), _row, f"{what}: row {row} alone")


def _served_equal(case: ModelCase, evidence: Evidence) -> None:
    model = case.fitted()
    served = case.load(_artifact(case, model))
    for _ in evidence.rounds():
        X = _strange_rows(case.X, evidence.rng)
        own = np.asarray(model.predict_proba(X), dtype=np.float64)
        theirs = np.asarray(served.predict_proba(X), dtype=np.float64)
        evidence.values_compared += len(X)
        gap = np.abs(own - theirs)
        worst = int(np.argmax(gap))
        close = bool(np.all(gap <= SERVED_WITHIN))
        evidence.require(
            close, f"served {theirs[worst].item()!r} where the model gives {own[worst].item()!r}, row {worst}"
        )
        # Within the tolerance a probability may still move across the threshold; that would change what is predicted.
        other = np.flatnonzero((own >= DECISION) != (theirs >= DECISION))
        evidence.require(other.size == 0, f"{other.size} decisions differ, first row {other[:1].tolist()}")


def _probabilities(case: ModelCase, evidence: Evidence) -> None:
    model = case.fitted()
    served = case.load(_artifact(case, model))
    X = _strange_rows(case.X, evidence.rng)
    for what, proba in (("fitted", model.predict_proba(X)), ("served", served.predict_proba(X))):
        evidence.values_compared += len(X)
        evidence.require(np.shape(proba) == (len(X),), f"{what}: shape {np.shape(proba)} for {len(X)} rows")
        wrong = np.flatnonzero(~((np.asarray(proba) >= 0) & (np.asarray(proba) <= 1)))
        evidence.require(wrong.size == 0, f"{what}: {wrong.size} values are no probability, first row {wrong[:1]}")
    learned = np.asarray(model.predict_proba(case.X))
    better = learned[case.y == 1].mean() > learned[case.y == 0].mean()
    evidence.require(bool(better), "rows of class 1 are not given a higher probability than rows of class 0")


def _round_trip(case: ModelCase, evidence: Evidence) -> None:
    artifact = _artifact(case, case.fitted())
    served, again = case.load(artifact), case.load(bytes(artifact))
    names = tuple(served.feature_names)
    evidence.require(names == case.names, f"feature names come back as {names}")
    note = dict(served.metadata).get("note")
    evidence.require(note == "check", f"metadata 'note' comes back as {note!r} instead of 'check'")
    first, second = (np.asarray(model.predict_proba(case.X)) for model in (served, again))
    evidence.equal(first, second, _row, "probability after loading twice")
    for broken in (b"", artifact[: len(artifact) // 2], b"no model at all"):
        try:
            case.load(broken)
        except KurswerkError:
            continue
        evidence.require(False, f"{len(broken)} bytes that are no artifact were loaded")


def _dull_columns(case: ModelCase, evidence: Evidence) -> None:
    """Require that a constant and an empty column are worth nothing and disturb nothing."""
    n = len(case.X)
    dull = np.column_stack((np.full(n, 7.0), np.full(n, np.nan), np.zeros(n))).astype(np.float32)
    wider = ModelCase(case.create, case.load, np.ascontiguousarray(np.hstack((case.X, dull))), case.y)
    _served_equal(wider, evidence)
    importance = np.asarray(wider.fitted().feature_importance_)
    shape = importance.shape == (wider.X.shape[1],)
    evidence.require(shape, f"importance has shape {importance.shape} for {wider.X.shape[1]} features")
    if shape:
        worth = importance[-3:]
        evidence.require(not worth.any(), f"constant and empty columns are given the importance {worth.tolist()}")


def _degenerate(case: ModelCase, evidence: Evidence) -> None:
    """One row, one class, no row: an error of ours, or probabilities."""
    ones = np.ones(len(case.y), dtype=np.int8)
    nothing = np.full_like(case.X, np.nan)
    tries = (("one row", case.X[:1], case.y[:1]), ("one class", case.X, ones), ("no row", case.X[:0], case.y[:0]),
             ("nothing but missing values", nothing, case.y))  # fmt: skip
    for what, X, y in tries:
        evidence.trials += 1
        model = case.create()
        try:
            model.fit(X, y)
            proba = np.asarray(model.predict_proba(case.X))
        except KurswerkError:
            continue
        valid = bool(np.all((proba >= 0) & (proba <= 1)))
        evidence.require(valid, f"{what}: fitted without an error, and yet predicts no probabilities")


MODEL_PROPERTIES: tuple[PropertyCheck[ModelCase], ...] = (
    PropertyCheck("model_deterministic", "the same rows give the same artifact, bit by bit", _deterministic),
    PropertyCheck("model_input_kept", "fitting and predicting leave their input as it was", _input_kept),
    PropertyCheck("model_apart", "models made the same way share nothing", _apart),
    PropertyCheck("model_rows_apart", "a row's probability does not depend on the rows beside it", _rows_apart),
    PropertyCheck(
        "model_served", "the served probability is the model's own within 1e-6, with the same decisions", _served_equal
    ),
    PropertyCheck("model_probabilities", "every row, however strange, is given a probability", _probabilities),
    PropertyCheck(
        "model_round_trip", "an artifact brings back names, metadata and bits; other bytes are refused", _round_trip
    ),
    PropertyCheck("model_dull_columns", "constant and empty columns are worth nothing", _dull_columns),
    PropertyCheck("model_degenerate", "one row, one class or no row is a clear error or a valid model", _degenerate),
)
