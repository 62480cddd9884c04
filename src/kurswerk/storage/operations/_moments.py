"""Sealed moments as they are stored."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kurswerk.features import SealedMoment
from kurswerk.storage.server import Connection

_US = "(extract(epoch FROM {}) * 1000000)::bigint"
_SEALED = f"""
SELECT {_US.format("s.moment")}, s.members,
    (SELECT array_agg({_US.format("t")} ORDER BY place) FROM unnest(s.timestamps) WITH ORDINALITY AS at(t, place)),
    v.definition, v."values"
FROM unnest(%s::bigint[]) AS asked(us)
JOIN sealed_moments s ON s.market = %s AND s.moment = timestamptz 'epoch' + asked.us * interval '1 microsecond'
LEFT JOIN sealed_values v ON v.market = s.market AND v.moment = s.moment AND v.definition = ANY (%s)"""  # noqa: S608 - constants  # nosec B608


def sealed_moments(
    connection: Connection, market: str, moments: Sequence[int], definitions: Mapping[str, str]
) -> dict[int, SealedMoment]:
    """Return sealed moments of a market with the values of features (name → definition hash) that each has."""
    names: dict[bytes, list[str]] = {}
    for name, digest in definitions.items():
        names.setdefault(bytes.fromhex(digest), []).append(name)
    rows = connection.execute(_SEALED.encode(), [list(moments), market, list(names)]).fetchall()
    found: dict[int, SealedMoment] = {}
    values: dict[int, dict[str, NDArray[np.float64]]] = {}
    for us, members, times, definition, numbers in rows:
        of_moment = values.setdefault(us, {})
        if us not in found:
            found[us] = SealedMoment(us, tuple(members), np.array(times or [], dtype=np.int64), of_moment)
        for name in names.get(bytes(definition), ()) if definition is not None else ():
            of_moment[name] = np.array(numbers, dtype=np.float64)
    return found
