"""Market data from files and from a simulator."""

from kurswerk.sources.coin_market import CoinMarket, simulate_coins
from kurswerk.sources.files import TableCandles, open_candles
from kurswerk.sources.live_market import LiveMarket

__all__ = ["CoinMarket", "LiveMarket", "TableCandles", "open_candles", "simulate_coins"]
