"""Market data from files and from a simulator."""

from kurswerk.sources.files import TableCandles, open_candles

__all__ = ["TableCandles", "open_candles"]
