"""Write the table of trading sessions that ships with the package: ``python tools/session_table.py [--check]``.

It holds what the installed exchange_calendars states for the exchanges and dates named in
`kurswerk.sources.exchange_sessions`. With ``--check`` nothing is written; the exit code is 1 where the table differs.
"""

import sys

import numpy as np

from kurswerk.market.session_table import SHIPPED_TABLE, Sessions, read_sessions, write_session_table
from kurswerk.sources.exchange_sessions import fetch_sessions, library_version


def main() -> int:
    """Write or check the table."""
    found = list(fetch_sessions())
    if "--check" not in sys.argv[1:]:
        write_session_table(SHIPPED_TABLE, found, library_version())
        print(f"{sum(map(len, found))} sessions of {len(found)} exchanges, {SHIPPED_TABLE.stat().st_size} bytes")
        return 0
    differing = [new.exchange for new in found if not _equal(new, read_sessions(SHIPPED_TABLE, new.exchange))]
    print(f"the sessions differ for {', '.join(differing)}" if differing else "the table is up to date")
    return 1 if differing else 0


def _equal(new: Sessions, old: Sessions | None) -> bool:
    columns = ("dates", "opens_us", "closes_us", "half_days")
    return old is not None and all(np.array_equal(getattr(new, name), getattr(old, name)) for name in columns)


if __name__ == "__main__":
    sys.exit(main())
