"""Which lanes are alive: those that reported a moment ago, on either side of a clock that was set."""

from typing import Final

from psycopg import sql

ALIVE: Final = sql.SQL("abs(extract(epoch FROM now() - seen_at)) < 10")
SILENT: Final = sql.SQL("abs(extract(epoch FROM now() - seen_at)) > 60")
