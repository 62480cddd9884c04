"""How much memory a job will take, before it takes it."""

from collections.abc import Collection

from kurswerk.core.errors import DataError
from kurswerk.features import engineered_names
from kurswerk.training._dataset import columns_to_load
from kurswerk.training.spec import ModelSpec

# Interpreter, libraries, compiled kernels and the model itself. With it, the estimates below lay at most 0.1 GB above
# the peaks measured for 600,000 rows of 24 features (0.62 to 0.77 GB: boosting and forest, with and without
# resampling).
_BASE_BYTES = 500 << 20
_VALUE_BYTES = 8
_FEATURE_BYTES = 4
# Of a row: its time, its label with moment and horizon row, its place among those that take part.
_ROW_BYTES = 40
# A training holds the whole matrix, the rows it fits on, and what the library makes of them.
_TRAINING_COPIES = 3
# Resampling holds the rows it made beside the rows it was given.
_RESAMPLING_COPIES = 2
_GIB = 1 << 30


def training_bytes(spec: ModelSpec, stored: Collection[str], rows: int) -> int:
    """Return about how many bytes a training takes at its peak, an upper bound rather than a mean.

    Parameters
    ----------
    stored
        Columns that the market has; engineered features are those that they allow.
    rows
        Market rows up to the end of training.
    """
    windows = spec.feature_engineering_windows
    engineered = engineered_names(stored, spec.market_schema, windows) if spec.use_engineered_features else []
    features = len({*spec.raw_features, *engineered})
    copies = _TRAINING_COPIES + (_RESAMPLING_COPIES if spec.use_smote else 0)
    return _bytes(rows, len(columns_to_load(spec, stored)), features * copies)


def scoring_bytes(columns: int, features: int, rows: int) -> int:
    """Return about how many bytes predicting all rows takes: the columns and, once, the features."""
    return _bytes(rows, columns, features)


def _bytes(rows: int, columns: int, feature_values: int) -> int:
    return _BASE_BYTES + rows * (_ROW_BYTES + columns * _VALUE_BYTES + feature_values * _FEATURE_BYTES)


def refuse_above(budget_bytes: int | None, needed_bytes: int, rows: int) -> None:
    """Refuse work that would not fit.

    Raises
    ------
    DataError
        Naming the need and the allowance.
    """
    if budget_bytes is not None and needed_bytes > budget_bytes:
        raise DataError("training.too_much_memory", rows=rows, needed=needed_bytes / _GIB, allowed=budget_bytes / _GIB)
