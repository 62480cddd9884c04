"""Balance a training fold: SMOTE on the minority, then under-sampling of the majority."""

import warnings

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import SpecError
from kurswerk.models._matrix import Matrix, Rows, as_model_input, check_training

MINORITY_SHARE_LIMIT = 0.3
SMOTE_RATIO = 0.5
UNDERSAMPLING_RATIO = 0.8
NEIGHBORS = 5


def resample(
    X: NDArray[np.floating], y: NDArray[np.integer], random_state: int, rows: Rows | None = None
) -> tuple[Matrix, NDArray[np.int8]]:
    """Balance training rows as the specification's ``use_smote`` asks for; for use inside a training fold only.

    When the minority is under 30 % of all rows: SMOTE raises it to 50 % of the majority, then the majority is
    under-sampled until minority / majority = 0.8. Otherwise the rows come back as they are.

    A synthetic row lies between a minority row and one of its 5 nearest minority neighbours *with the same missing
    values*; it keeps those missing values, so none is invented. Each pattern of missing values gets synthetic rows in
    proportion to its rows; a pattern with a single row gets none, and if no pattern has two rows, minority rows are
    repeated instead. Distances are taken in units of each column's standard deviation over the minority rows given
    (else the column with the largest unit would decide alone); the interpolation itself runs in the columns' own units.

    Parameters
    ----------
    X
        Shape (n, f), any real type and memory order; never changed.
    y
        Shape (n,), 0 or 1.
    random_state
        Seed in [0, 2³² - 1]; the same seed and rows give the same result.
    rows
        int64 indexes of the rows to use, None for all; cheaper than ``X[rows]``.

    Returns
    -------
    X, y
        float32 (m, f) and int8 (m,): the rows kept, in their order, then the synthetic ones.

    Raises
    ------
    DataError
        If shapes disagree, a label is neither 0 nor 1, or only one class occurs.
    SpecError
        If ``random_state`` is out of range.

    References
    ----------
    Chawla et al., SMOTE: Synthetic Minority Over-sampling Technique, JAIR 16, 2002.

    Examples
    --------
    >>> X = np.arange(40.0).reshape(-1, 1)
    >>> balanced_X, balanced_y = resample(X, (X[:, 0] >= 36).astype(int), random_state=1)
    >>> np.bincount(balanced_y).tolist()
    [22, 18]
    """
    if not 0 <= random_state < 2**32:
        raise SpecError("model.random_state_out_of_range", random_state=random_state, most=2**32 - 1)
    labels = check_training(X, y, rows)
    chosen = np.arange(len(labels), dtype=np.int64) if rows is None else rows
    if not needs_balance(labels):
        return as_model_input(X[chosen]), labels.copy()
    minority_label = int(2 * np.count_nonzero(labels) <= len(labels))
    is_minority = labels == minority_label
    n_minority = int(is_minority.sum())
    minority = as_model_input(X[chosen[is_minority]])
    wanted = max(int(SMOTE_RATIO * (len(labels) - n_minority)), n_minority)
    synthetic = _synthetic(minority, wanted - n_minority, random_state)
    majority_at = np.flatnonzero(~is_minority)
    kept = _undersampled(len(majority_at), wanted, random_state)
    order = np.sort(np.concatenate([majority_at[kept], np.flatnonzero(is_minority)]))
    kept_X = as_model_input(X[chosen[order]])
    made = np.full(len(synthetic), minority_label, np.int8)
    return np.concatenate([kept_X, synthetic]), np.concatenate([labels[order], made])


def needs_balance(y: NDArray[np.integer]) -> bool:
    """Whether the minority among labels 0 and 1 is under 30 %."""
    positives = np.count_nonzero(y)
    return bool(min(positives, len(y) - positives) < MINORITY_SHARE_LIMIT * len(y))


def _undersampled(n_majority: int, n_minority: int, random_state: int) -> NDArray[np.int64]:
    """Choose which of the majority's rows stay."""
    from imblearn.under_sampling import RandomUnderSampler  # noqa: PLC0415 - takes a second; servers never resample

    labels = np.repeat(np.array([0, 1], np.int8), [n_majority, n_minority])
    target = {0: min(n_majority, int(n_minority / UNDERSAMPLING_RATIO))}
    sampler = RandomUnderSampler(sampling_strategy=target, random_state=random_state)
    sampler.fit_resample(np.arange(len(labels))[:, np.newaxis], labels)
    chosen = np.asarray(sampler.sample_indices_, dtype=np.int64)
    majority: NDArray[np.int64] = chosen[chosen < n_majority]
    return majority


def _synthetic(minority: Matrix, count: int, random_state: int) -> Matrix:
    """Make ``count`` rows from the minority's rows, each pattern of missing values for itself."""
    if count == 0:
        return minority[:0]
    _, pattern, sizes = np.unique(
        np.packbits(np.isnan(minority), axis=1), axis=0, return_inverse=True, return_counts=True
    )
    if sizes.max() < 2:
        return minority[np.random.default_rng(random_state).integers(len(minority), size=count)]
    by_pattern = np.argsort(pattern, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    scale = _spread(minority)
    made = []
    for index, share in enumerate(_shares(np.where(sizes >= 2, sizes, 0), count)):
        if share:
            group = minority[by_pattern[starts[index] : starts[index] + sizes[index]]]
            made.append(_interpolated(group, int(share), scale, random_state))
    return np.concatenate(made)


def _shares(weights: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Part ``count`` in proportion to weights; what rounding leaves goes to the largest remainders."""
    exact = weights * (count / weights.sum())
    shares: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    rest = count - int(shares.sum())
    shares[np.argsort(shares - exact, kind="stable")[:rest]] += 1
    return shares


def _spread(minority: Matrix) -> NDArray[np.float64]:
    """Return each column's standard deviation over its present values, 1 where it is 0 or nothing is present."""
    present = ~np.isnan(minority)
    counts = np.maximum(present.sum(axis=0), 1)
    values = np.where(present, minority.astype(np.float64), 0.0)  # squares of the largest float32 fit
    mean = values.sum(axis=0) / counts
    deviation = np.where(present, values - mean, 0.0)
    spread = np.sqrt((deviation * deviation).sum(axis=0) / counts)
    return np.where(spread > 0, spread, 1.0)


def _interpolated(group: Matrix, count: int, scale: NDArray[np.float64], random_state: int) -> Matrix:
    """Let SMOTE make ``count`` rows from rows that miss the same values."""
    # These take a second to import, and a server never resamples.
    from imblearn.over_sampling import SMOTE  # noqa: PLC0415 - slow to import

    from kurswerk.models._neighbors import ScaledNeighbors  # noqa: PLC0415 - slow to import

    present = ~np.isnan(group[0])
    made = np.full((count, group.shape[1]), np.nan, np.float32)
    if not present.any():
        return made
    known = group[:, present].astype(np.float64)
    # SMOTE wants a second class; it never looks at its rows.
    rows = np.concatenate([known, np.zeros((1, known.shape[1]))])
    labels = np.repeat(np.array([1, 0], np.int8), [len(known), 1])
    neighbors = ScaledNeighbors(min(NEIGHBORS, len(known) - 1) + 1, scale[present])
    smote = SMOTE(sampling_strategy={1: len(known) + count}, k_neighbors=neighbors, random_state=random_state)
    with warnings.catch_warnings():
        # Only because the second class is a single row.
        warnings.filterwarnings("ignore", message="After over-sampling, the number of samples", category=UserWarning)
        resampled, _ = smote.fit_resample(rows, labels)
    made[:, present] = resampled[len(rows) :]
    return made
