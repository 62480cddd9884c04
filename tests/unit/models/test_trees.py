import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.models.trees._ensemble import round_down

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, min_size=1), st.lists(st.floats(width=32, allow_nan=False), min_size=1))
def test_rounded_thresholds_decide_as_before(thresholds, values):
    exact = np.array(thresholds)
    rounded = round_down(exact)
    with np.errstate(over="ignore"):
        near = [np.nextafter(rounded, np.float32(side)) for side in (-np.inf, np.inf)]
    x = np.concatenate([np.array(values, np.float32), rounded, *near])[:, np.newaxis]
    assert np.array_equal(x <= rounded, x.astype(np.float64) <= exact)
