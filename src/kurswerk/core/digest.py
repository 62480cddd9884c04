"""SHA-256 over canonical JSON and over arrays."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import numpy as np


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_json(value: Any) -> str:
    """Return the SHA-256 of a JSON value, independent of the order of its keys.

    Examples
    --------
    >>> sha256_json({"a": 1, "b": 2}) == sha256_json({"b": 2, "a": 1})
    True
    """
    return sha256_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


def sha256_arrays(arrays: Iterable[np.ndarray], text: str = "") -> str:
    """Return the SHA-256 of arrays (shape, type and bytes, in order) and a text."""
    digest = hashlib.sha256(text.encode())
    for array in arrays:
        digest.update(f"|{array.dtype.str}{array.shape}|".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
