"""A digest of the features a model saw, cheap enough for every prediction."""

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.jit import kernel


def feature_digests(X: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return 64 bits per row that change with any bit of it; every NaN counts alike.

    FNV-1a over words of 32 bits (http://www.isthe.com/chongo/tech/comp/fnv/), finished by the mixer of SplitMix64
    (Steele, Lea, Flood, 2014). It distinguishes equal from different; it is no protection
    against somebody who wants a clash.

    Parameters
    ----------
    X
        Shape (n, f), C order.

    Examples
    --------
    >>> rows = np.array([[1.0, np.nan], [1.0, 2.0], [1.0, -np.nan]], dtype=np.float32)
    >>> a, b, c = feature_digests(rows)
    >>> bool(a != b), bool(a == c)
    (True, True)
    """
    out = np.empty(len(X), dtype=np.uint64)
    digest_rows(np.ascontiguousarray(X).view(np.uint32), out)
    return out.view(np.int64)


@kernel
def digest_rows(words: NDArray[np.uint32], out: NDArray[np.uint64]) -> None:
    """Write the digest of every row; a NaN is any word whose exponent is full and whose fraction is not zero."""
    for i in range(words.shape[0]):
        value = np.uint64(14695981039346656037)
        for j in range(words.shape[1]):
            word = words[i, j]
            if (word & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000):
                word = np.uint32(0x7FC00000)
            value = (value ^ np.uint64(word)) * np.uint64(1099511628211)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        out[i] = value ^ (value >> np.uint64(31))
