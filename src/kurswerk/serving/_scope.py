"""Which rows a model was made for: its specification's segments and instruments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.serving.ports import Bool

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Scope:
    """The rows that a model was trained on, by segment (a coin's phase) and instrument; None is all.

    Examples
    --------
    >>> scope = Scope.of({"phases": [1, 2], "mints": ["A", "B"]})
    >>> scope.covers(["A", "A", "C"], np.array([1.0, 3.0, 1.0])).tolist()
    [True, False, False]
    """

    segments: frozenset[int] | None = None
    instruments: frozenset[str] | None = None

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> "Scope":
        """Return the scope that a specification states."""
        segments, instruments = spec.get("phases"), spec.get("instruments") or spec.get("mints")
        return cls(
            None if segments is None else frozenset(segments),
            None if instruments is None else frozenset(instruments),
        )

    def covers(self, instruments: Sequence[str], segments: Float) -> Bool:
        """Return which rows are in scope, shape (n,); a row of an unknown segment (NaN) is in none."""
        inside = np.ones(len(instruments), dtype=np.bool_)
        if self.segments is not None:
            inside &= np.isin(segments, sorted(self.segments))
        if self.instruments is not None:
            inside &= np.array([instrument in self.instruments for instrument in instruments], dtype=np.bool_)
        return inside
