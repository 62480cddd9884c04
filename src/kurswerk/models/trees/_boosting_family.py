"""Gradient boosting: its hyper-parameters and its place among the model families."""

from typing import Any

from kurswerk.models._hyper_parameters import HyperParameters, Integer, Number, parameter, random_state
from kurswerk.models.trees._family import tree_family


def _patience() -> Any:
    return parameter(
        5,
        "Patience",
        "Ends when so many more trees do not predict the last tenth of the rows better; 0 never ends early.",
        basic=True,
        ge=0,
        le=20000,
    )


class _TreeParams(HyperParameters):
    """What XGBoost's classifiers and regressors share."""

    n_estimators: Integer = parameter(100, "Trees", "More trees are steadier and slower.", basic=True, ge=1, le=20000)
    max_depth: Integer = parameter(
        6, "Depth of a tree", "Deeper trees learn finer patterns and overfit sooner.", basic=True, ge=1, le=24
    )
    learning_rate: Number = parameter(
        0.1, "Learning rate", "Smaller is more careful and needs more trees.", basic=True, gt=0, le=1
    )
    subsample: Number = parameter(1.0, "Share of rows", "Share of the rows that each tree is grown on.", gt=0, le=1)
    colsample_bytree: Number = parameter(
        1.0, "Share of features", "Share of the features that each tree may use.", gt=0, le=1
    )
    min_child_weight: Number = parameter(
        1.0, "Least weight of a leaf", "Larger values make coarser trees.", ge=0, le=1e12
    )
    reg_lambda: Number = parameter(1.0, "L2 penalty", "Larger values pull leaves towards nothing.", ge=0, le=1e12)
    reg_alpha: Number = parameter(0.0, "L1 penalty", "Larger values set more leaves to nothing.", ge=0, le=1e12)
    gamma: Number = parameter(0.0, "Least gain of a split", "A split must lower the loss by so much.", ge=0, le=1e12)
    max_delta_step: Number = parameter(
        0.0, "Largest step of a leaf", "Limits what one tree may add; 0 for no limit.", ge=0, le=1e6
    )
    max_bin: Integer = parameter(256, "Bins", "Values of a feature are sorted into so many bins.", ge=2, le=65535)


class BoostingParams(_TreeParams):
    """Hyper-parameters of XGBoost.

    It grows at most ``n_estimators`` trees and ends after ``early_stopping_rounds`` trees without an improvement on the
    last tenth of the rows; 0 never ends early.
    """

    scale_pos_weight: Number = parameter(
        1.0, "Weight of positives", "How many negatives a positive counts for.", gt=0, le=1e9
    )
    early_stopping_rounds: Integer = _patience()
    random_state: Integer = random_state()


class BoostingRegressorParams(_TreeParams):
    """Hyper-parameters of XGBoost for a forecast: squared errors are minimised, ends as with `BoostingParams`."""

    early_stopping_rounds: Integer = _patience()
    random_state: Integer = random_state()


XGBOOST = tree_family(
    name="xgboost",
    title="Gradient boosting (XGBoost)",
    description="Quick and mostly stronger.",
    hyper_parameters=BoostingParams,
    estimator="_boosting:GradientBoosting",
)

XGBOOST_REGRESSOR = tree_family(
    name="xgboost_regressor",
    title="Gradient boosting (XGBoost), forecast",
    description="Forecasts a return; quick, and finds interactions.",
    hyper_parameters=BoostingRegressorParams,
    estimator="_tree_regressors:BoostingRegressor",
    task="regression",
)
