"""Exchange rates as their collector reads and writes them."""

import pyarrow as pa

from kurswerk.core.timestamps import to_us
from kurswerk.ingest.exchange_rates import Rates
from kurswerk.storage.markets._context import MarketContextStore
from kurswerk.storage.server import Database

_SOLANA = 1  # blockchain_id


class PostgresRatesStore:
    """Reads and writes ``exchange_rates``, Kurswerk's own or another program's; implements `RatesStore`."""

    def __init__(self, database: Database) -> None:
        self._database, self._context = database, MarketContextStore(database)

    def latest(self) -> Rates | None:
        """Return the newest rates that are complete."""
        with self._database.connection() as connection:
            row = connection.execute(
                "SELECT created_at, sol_price_usd::float8, usd_to_eur_rate::float8, source FROM exchange_rates"
                " WHERE sol_price_usd > 0 AND usd_to_eur_rate > 0 ORDER BY created_at DESC LIMIT 1"
            ).fetchone()
        return Rates(to_us(row[0]), row[1], row[2], row[3] or "") if row else None

    def add(self, rates: Rates) -> None:
        """Store rates; the same moment of the same source again replaces them."""
        moments = pa.array([rates.moment_us], pa.int64()).view(pa.timestamp("us", "UTC"))
        self._context.write_exchange_rates(
            pa.table(
                {
                    "created_at": moments,
                    "sol_price_usd": [rates.sol_usd],
                    "usd_to_eur_rate": [rates.usd_eur],
                    "native_currency_price_usd": [rates.sol_usd],
                    "blockchain_id": [_SOLANA],
                    "source": [rates.source],
                }
            )
        )
