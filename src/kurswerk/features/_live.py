"""The live path: the state of many instruments, advanced by one compiled call per update."""

import struct
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError, SpecError, UnknownNameError
from kurswerk.core.timestamps import format_timestamp
from kurswerk.features._admission import admit
from kurswerk.features._kernels import Ints, Matrix, keep_past, run_moment, run_rows
from kurswerk.features._plan import FeaturePlan, as_readonly
from kurswerk.market import Panel

T = TypeVar("T", bound=np.generic)
MAGIC = b"KWF1"
_HEADER = struct.Struct("<4s32sqq")
FIRST_CAPACITY = 64
NEVER = np.iinfo(np.int64).min


class LateRowError(DataError):
    """A row is not newer than its instrument's last; ``keys`` names the instruments concerned."""

    def __init__(self, code: str, /, *, keys: Sequence[str], **params: Any) -> None:
        super().__init__(code, **params)
        self.keys = tuple(keys)


class LiveEngine:
    """Computes a plan's features row by row as they arrive, bit for bit as `FeaturePlan.compute` does.

    Per instrument it keeps the past rows that windows reach back to, in rings, and the state of recursive features.
    It is not safe to use from several threads at once.

    Parameters
    ----------
    plan
        What to compute, of single instruments: `FeaturePlan.first_stage`.

    Raises
    ------
    SpecError
        If the plan compares instruments.

    Examples
    --------
    >>> from kurswerk.market import COINS
    >>> engine = LiveEngine(FeaturePlan(["price_change_1"], COINS))
    >>> engine.update(["A", "B"], np.array([1, 1]), np.array([[100.0], [50.0]]))
    array([[nan],
           [nan]])
    >>> engine.update(["A"], np.array([2]), np.array([[101.0]]))
    array([[1.]])
    """

    def __init__(self, plan: FeaturePlan) -> None:
        if plan.second_stage is not None:
            raise SpecError("feature.second_stage_of_rows", features=[one.name for one in plan.features if one.cross])
        self.plan = plan
        self._program = plan.live_program
        self._sources = self._program.sources(plan.inputs)
        self._work = self._program.work()
        self._batch_work: Matrix | None = None
        self._index: dict[str, int] = {}
        self._free: list[int] = []
        self._memory = np.full((0, self._program.memory_size), np.nan)
        self._states = np.zeros((0, self._program.state_size))
        self._counts = np.zeros(0, dtype=np.int64)
        self._last = np.zeros(0, dtype=np.int64)
        self._turns = np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, key: object) -> bool:
        return key in self._index

    @property
    def keys(self) -> tuple[str, ...]:
        """Instruments that the engine knows, in the order of their arrival."""
        return tuple(self._index)

    def last_timestamp(self, key: str) -> int | None:
        """Return the time of the instrument's last row in microseconds; None if it has no row."""
        place = self._index.get(key)
        return None if place is None else int(self._last[place])

    def update(self, keys: Sequence[str], timestamps: Ints, values: Matrix) -> Matrix:
        """Take new rows and return their features.

        Parameters
        ----------
        keys
            Instrument of each row; several rows of one stand in the order of their time.
        timestamps
            Microseconds UTC, shape (n,).
        values
            The plan's inputs, shape (n, n_inputs); missing is NaN.

        Returns
        -------
        ndarray
            Shape (n, n_features).

        Raises
        ------
        LateRowError
            If a row is not newer than its instrument's last; then nothing has changed.
        DataError
            If the shapes do not fit.
        """
        times = as_readonly(np.asarray(timestamps, dtype=np.int64))
        inputs = as_readonly(np.asarray(values, dtype=np.float64))
        if times.shape != (len(keys),) or inputs.shape != (len(keys), len(self.plan.inputs)):
            raise DataError(
                "feature.rows_of_other_shape",
                count=len(keys),
                timestamps=str(times.shape),
                values=str(inputs.shape),
                width=len(self.plan.inputs),
            )
        codes, added = self._codes(keys)
        rounds = np.empty(len(keys), dtype=np.int64)
        failed = admit(codes, times, self._last, self._turns, rounds)
        if failed >= 0:
            self._drop(added)
            self._refuse(keys, times)
        out = np.empty((len(keys), len(self.plan.names)))
        for places in _turns(rounds, self._program.block):
            self._run(inputs, times, codes[places], places, out)
        return out

    def rebuild(self, history: Panel) -> None:
        """Forget the instruments of a panel and take its rows as all they have had so far.

        For a plan that is not recursive the last ``plan.lookback`` rows of each are enough.

        Raises
        ------
        UnknownNameError
            If the panel lacks a column of ``plan.inputs``.
        """
        missing = [column for column in self.plan.inputs if column not in history.columns]
        if missing:
            raise UnknownNameError("column.unknown", name=missing[0], known=history.columns)
        program = self.plan.batch_program
        if self._batch_work is None:
            self._batch_work = program.work()
        sources, results, out = program.sources(history.columns), np.empty(0, np.int64), np.empty((0, 0))
        values, times = as_readonly(history.values), as_readonly(history.timestamps)
        codes, _ = self._codes(history.instruments)
        for k, code in enumerate(codes):
            first, last = int(history.offsets[k]), int(history.offsets[k + 1])
            run_rows(
                values, times, first, last, last, program.block, sources, self._batch_work, program.slots,
                program.ops, program.numbers, self._states[code : code + 1], results, out, first,
            )  # fmt: skip
            keep_past(self._batch_work, program.slots, self._program.rings, last - first, self._memory[code])
            self._counts[code], self._last[code] = last - first, times[last - 1]

    def snapshot(self, key: str) -> bytes:
        """Return an instrument's whole state; `restore` continues from it with the same bits.

        Raises
        ------
        UnknownNameError
            If the engine has no such instrument.
        """
        place = self._place(key)
        head = _HEADER.pack(MAGIC, self._plan_digest(), int(self._counts[place]), int(self._last[place]))
        return b"".join((head, self._memory[place].tobytes(), self._states[place].tobytes()))

    def restore(self, key: str, blob: bytes) -> None:
        """Set an instrument to a state taken by `snapshot`, of this or another process.

        Raises
        ------
        DataError
            If the bytes are no snapshot, or of a plan with other features or definitions.
        """
        sizes = self._memory.shape[1], self._states.shape[1]
        if len(blob) != _HEADER.size + 8 * sum(sizes) or blob[:4] != MAGIC:
            raise DataError("feature.state_unreadable", size=len(blob), key=key)
        _, digest, count, last = _HEADER.unpack_from(blob)
        if digest != self._plan_digest():
            raise DataError("feature.state_of_other_features", key=key)
        place = int(self._codes([key])[0][0])
        numbers = np.frombuffer(blob, dtype=np.float64, offset=_HEADER.size)
        self._memory[place], self._states[place] = numbers[: sizes[0]], numbers[sizes[0] :]
        self._counts[place], self._last[place] = count, last

    def forget(self, key: str) -> None:
        """Drop an instrument and free its place; one that is not there is no error."""
        place = self._index.pop(key, None)
        if place is not None:
            self._free.append(place)

    def memory_bytes(self) -> int:
        """Return the bytes that the states take, spare places included."""
        arrays = (self._memory, self._states, self._counts, self._last, self._turns, self._work)
        return sum(array.nbytes for array in arrays)

    def _run(self, inputs: Matrix, times: Ints, codes: Ints, places: Ints, out: Matrix) -> None:
        program = self._program
        run_moment(
            inputs, times, codes, self._work, self._sources, program.slots, program.lags, program.rings, program.ops,
            program.numbers, self._memory, self._states, self._counts, program.results, out, places,
        )  # fmt: skip

    def _codes(self, keys: Sequence[str]) -> tuple[Ints, list[str]]:
        """Return the places of instruments, making room for new ones, and the new ones' names."""
        index = self._index
        codes = np.fromiter((index.get(key, -1) for key in keys), dtype=np.int64, count=len(keys))
        if len(codes) == 0 or codes.min() >= 0:
            return codes, []
        added = [key for key in dict.fromkeys(keys) if key not in index]
        for key in added:
            if not self._free:
                self._grow()
            place = self._free.pop()
            index[key] = place
            self._memory[place], self._states[place] = np.nan, 0.0
            self._counts[place], self._last[place], self._turns[place] = 0, NEVER, 0
        return np.array([index[key] for key in keys], dtype=np.int64), added

    def _grow(self) -> None:
        old = len(self._counts)
        new = max(FIRST_CAPACITY, 2 * old)
        self._memory, self._states = _grown(self._memory, new), _grown(self._states, new)
        self._counts, self._last = _grown(self._counts, new), _grown(self._last, new)
        self._turns = _grown(self._turns, new)
        self._free.extend(range(new - 1, old - 1, -1))

    def _drop(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.forget(key)

    def _place(self, key: str) -> int:
        if key not in self._index:
            raise UnknownNameError("instrument.unknown", name=key, known=self._index)
        return self._index[key]

    def _plan_digest(self) -> bytes:
        return bytes.fromhex(self.plan.definition_hash)

    def _refuse(self, keys: Sequence[str], times: Ints) -> None:
        late: dict[str, int] = {}
        newest = {key: self.last_timestamp(key) for key in set(keys)}
        for key, moment in zip(keys, times, strict=True):
            last = newest[key]
            if last is not None and moment <= last:
                late.setdefault(key, int(moment))
            else:
                newest[key] = int(moment)
        key, moment = next(iter(late.items()))
        raise LateRowError(
            "feature.row_not_newer",
            key=key,
            time=format_timestamp(moment),
            count=len(late),
            keys=list(late),
        )


def _grown(array: NDArray[T], rows: int) -> NDArray[T]:
    grown = np.zeros((rows, *array.shape[1:]), dtype=array.dtype)
    grown[: len(array)] = array
    return grown


def _turns(rounds: Ints, most: int) -> list[Ints]:
    """Split places into groups of different instruments, in order of their rows, each of at most ``most``."""
    if not rounds.any():
        groups = [np.arange(len(rounds))]
    else:
        order = np.argsort(rounds, kind="stable")
        groups = np.split(order, np.cumsum(np.bincount(rounds))[:-1])
    return [group[start : start + most] for group in groups for start in range(0, len(group), most)]
