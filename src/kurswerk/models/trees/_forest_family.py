"""The random forest: its hyper-parameters and its place among the model families."""

from typing import Annotated, Literal

from pydantic import Field

from kurswerk.models._hyper_parameters import (
    NUMBERS_ONLY,
    Flag,
    HyperParameters,
    Integer,
    Number,
    parameter,
    random_state,
)
from kurswerk.models.trees._family import tree_family

_MOST_ROWS = 2**31 - 1
# Bounds before the validator: the other way round JSON Schema would not show them.
_Share = Annotated[float, Field(gt=0, le=1), NUMBERS_ONLY]


class RandomForestParams(HyperParameters):
    """Hyper-parameters of a random forest; null as ``max_depth`` is no limit, as ``max_features`` all features."""

    n_estimators: Integer = parameter(100, "Trees", "More trees are steadier and slower.", basic=True, ge=1, le=5000)
    max_depth: Annotated[int, Field(ge=1, le=64), NUMBERS_ONLY] | None = parameter(
        10, "Depth of a tree", "Deeper trees learn finer patterns and overfit sooner.", basic=True
    )
    min_samples_split: Integer = parameter(
        2, "Least rows to split", "Larger values make coarser trees.", basic=True, ge=2, le=_MOST_ROWS
    )
    min_samples_leaf: Integer = parameter(
        1, "Least rows in a leaf", "Larger values make coarser trees.", ge=1, le=_MOST_ROWS
    )
    max_features: Literal["sqrt", "log2"] | _Share | None = parameter(
        "sqrt", "Features per split", "A rule by name, a share of all features, or null for all."
    )
    bootstrap: Flag = parameter(True, "Bootstrap", "Whether each tree is grown on a random sample of the rows.")
    max_samples: _Share | None = parameter(None, "Rows per tree", "Share of the rows in each sample; null for all.")
    min_impurity_decrease: Number = parameter(
        0.0, "Least gain of a split", "A split must lower the impurity by so much.", ge=0, le=1
    )
    max_bins: Integer = parameter(256, "Bins", "Values of a feature are sorted into so many bins.", ge=2, le=65535)
    min_bin_size: Integer = parameter(1, "Least rows in a bin", "Larger values make coarser bins.", ge=1, le=_MOST_ROWS)
    random_state: Integer = random_state()


RANDOM_FOREST = tree_family(
    name="random_forest",
    title="Random forest",
    description="Sturdy with few rows.",
    hyper_parameters=RandomForestParams,
    estimator="_forest:RandomForest",
)

RANDOM_FOREST_REGRESSOR = tree_family(
    name="random_forest_regressor",
    title="Random forest, forecast",
    description="Forecasts a return; sturdy with few rows.",
    hyper_parameters=RandomForestParams,
    estimator="_tree_regressors:ForestRegressor",
    task="regression",
)
