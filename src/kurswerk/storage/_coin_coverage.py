"""What there is of each coin."""

from psycopg import sql

from kurswerk.market.coverage import CoinCoverage
from kurswerk.storage._coin_table import CoinTable
from kurswerk.storage._database import Database

# A row may come late by as much as one interval, so that a gap is where three intervals passed without any.
_GAP_INTERVALS = 3
_DEFAULT_INTERVAL_S = 60

_QUERY = sql.SQL("""
SELECT mint, count(*), min(moment), max(moment), count(*) FILTER (WHERE moment - before > allowed),
       (array_agg(phase ORDER BY moment DESC))[1]
FROM (
    SELECT mint::text AS mint, {moment} AS moment, {phase} AS phase,
           lag({moment}) OVER (PARTITION BY mint ORDER BY {moment}) AS before,
           make_interval(secs => {gap} * greatest(coalesce(nullif(p.interval_seconds, 0), {default}), 1)) AS allowed
    FROM coin_metrics c LEFT JOIN ref_coin_phases p ON p.id = {phase}
    WHERE {present}
) rows GROUP BY mint ORDER BY max(moment) DESC, mint LIMIT {limit}
""")


def coin_coverage(database: Database, limit: int = 10_000) -> list[CoinCoverage]:
    """Count each coin's rows and gaps; reads the whole table.

    Returns
    -------
    list
        The coins with the newest rows first, at most ``limit``.
    """
    with database.connection() as connection:
        table = CoinTable.find(connection)
        phase = "phase_id_at_time" if "phase_id_at_time" in table.columns else None
        query = _QUERY.format(
            moment=table.moment(),
            phase=sql.SQL("c.phase_id_at_time") if phase else sql.SQL("NULL::int"),
            gap=sql.Literal(_GAP_INTERVALS),
            default=sql.Literal(_DEFAULT_INTERVAL_S),
            present=table.present(),
            limit=sql.Literal(limit),
        )
        return [CoinCoverage(*row) for row in connection.execute(query).fetchall()]
