"""Files of market data, in the formats that there are sources for."""

from kurswerk.sources.files import open_candles
from kurswerk.sources.panel_file import read_panel, write_features

__all__ = ["open_candles", "read_panel", "write_features"]
