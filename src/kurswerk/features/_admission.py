"""Which rows may enter the live engine: those newer than all their instrument has had."""

import numpy as np

from kurswerk.core.jit import kernel
from kurswerk.features._kernels import Ints


@kernel
def admit(codes: Ints, times: Ints, last: Ints, turns: Ints, rounds: Ints) -> int:
    """Count through the rows of each instrument within a batch and advance its last time.

    Returns
    -------
    int
        -1, or the place of the first row that is not newer than its instrument's last; then nothing is changed.
    """
    before = np.empty(codes.size, np.int64)
    failed = -1
    seen = 0
    for i in range(codes.size):
        code = codes[i]
        if times[i] <= last[code]:
            failed = i
            break
        before[i] = last[code]
        last[code] = times[i]
        rounds[i] = turns[code]
        turns[code] += 1
        seen += 1
    for i in range(seen - 1, -1, -1):
        turns[codes[i]] = 0
        if failed >= 0:
            last[codes[i]] = before[i]
    return failed
