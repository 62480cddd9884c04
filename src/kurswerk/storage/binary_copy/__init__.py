"""PostgreSQL's binary COPY, encoded and decoded many rows at a time by compiled kernels."""

from kurswerk.storage.binary_copy._encode import HEADER, KEY_KINDS, TRAILER, WIDTHS, encode_rows
from kurswerk.storage.binary_copy._rows import RowBlock, compile_now, decode_rows, encode_forecasts, encode_predictions

__all__ = [
    "HEADER",
    "KEY_KINDS",
    "TRAILER",
    "WIDTHS",
    "RowBlock",
    "compile_now",
    "decode_rows",
    "encode_forecasts",
    "encode_predictions",
    "encode_rows",
]
