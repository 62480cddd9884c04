"""Which rows of a panel are no members of the moment that they join, and whose calendars moments go by."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from psycopg import sql

from kurswerk.market import MarketSchema, Panel
from kurswerk.market.moments import panel_moments
from kurswerk.storage.server import Connection

_US = "(extract(epoch FROM {}) * 1000000)::bigint"
_AT = "timestamptz 'epoch' + {} * interval '1 microsecond'"
_EXCHANGES = "SELECT {key}::text, {column}::text FROM {table} WHERE {key} = ANY (%s) AND {column} IS NOT NULL"
_OF_PERIOD = f"""
SELECT {_US.format("s.moment")}, s.members,
    (SELECT array_agg({_US.format("t")} ORDER BY place) FROM unnest(s.timestamps) WITH ORDINALITY AS at(t, place))
FROM sealed_moments s WHERE s.market = %s AND s.moment BETWEEN {_AT.format("%s")} AND {_AT.format("%s")}"""  # noqa: S608 - constants  # nosec B608


def exchanges_of(connection: Connection, market: MarketSchema, instruments: Sequence[str]) -> Mapping[str, str]:
    """Return the exchange of each instrument that states one."""
    attribute = market.exchanges
    if attribute is None or not instruments:
        return {}
    query = sql.SQL(_EXCHANGES).format(
        key=sql.Identifier(attribute.key),
        column=sql.Identifier(attribute.column),
        table=sql.Identifier(attribute.table),
    )
    return dict(connection.execute(query, [list(dict.fromkeys(instruments))]).fetchall())


def mark_outsiders(connection: Connection, market: MarketSchema, panel: Panel) -> Panel:
    """Return a panel with its `Panel.outsiders`: rows that join a sealed moment behind its member, or without one."""
    if not len(panel):
        return panel
    joined, _ = panel_moments(panel, market)
    bounds = [int(joined.min()), int(joined.max())]
    rows = connection.execute(_OF_PERIOD.encode(), [market.name, *bounds]).fetchall()
    if not rows:
        return panel
    code = {name: k for k, name in enumerate(panel.instruments)}
    outsiders = np.isin(joined, [row[0] for row in rows])
    for moment, members, times in rows:
        for name, us in zip(members, times or [], strict=True):
            if name in code:
                first, last = panel.offsets[code[name]], panel.offsets[code[name] + 1]
                start = first + np.searchsorted(joined[first:last], moment)
                outsiders[start : first + np.searchsorted(panel.timestamps[first:last], us, side="right")] = False
    return replace(panel, outsiders=outsiders) if outsiders.any() else panel
