"""Gradient boosted trees, trained by XGBoost."""

import json
import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import xgboost
from numpy.typing import NDArray
from typing_extensions import override

from kurswerk.models._estimator import HeldOut
from kurswerk.models._matrix import LOWEST, NAN, Matrix, Rows, as_model_input, count_incomplete, row_blocks
from kurswerk.models.trees._classifier import TreeClassifier
from kurswerk.models.trees._ensemble import TreeEnsemble
from kurswerk.models.trees._graph import Link

# Below this many cells one thread is as fast as several, and never waits for a core that others keep busy.
_CELLS_FOR_THREADS = 4_000_000
# XGBoost asks three times for the rows. Up to 256 MiB of them are copied once and kept for it.
_CELLS_AT_ONCE = 1 << 26
# Hyper-parameters that are not XGBoost's, or that it takes elsewhere.
_OURS = frozenset({"n_estimators", "random_state", "early_stopping_rounds"})
# Where nothing is missing XGBoost bins in two thirds of the time and grows trees a tenth faster. With no more than one
# incomplete row in so many it learns next to nothing about the side that suits a missing value, so it is given the
# lowest value instead.
_COMPLETE_PER_INCOMPLETE = 100
# 256 rows for each of 256 bins place their borders well.
_SAMPLE_ROWS = 1 << 16


class GradientBoosting(TreeClassifier):
    """XGBoost's histogram trees on a quantised matrix that is fed in blocks of rows.

    ``booster_`` is XGBoost's own model. A missing value takes the side each split has learned for it, or the lower side
    where fewer than one row in a hundred misses any.

    With rows held out it ends when ``early_stopping_rounds`` trees in a row have not lowered their logarithmic loss,
    and keeps the trees up to the lowest. Either class weighs there what it weighs among the rows trained on: trained
    on balanced rows and judged on rare positives, every tree would look worse than none.

    References
    ----------
    Chen and Guestrin, XGBoost: A Scalable Tree Boosting System, KDD 2016.
    """

    model_type: ClassVar[str] = "xgboost"
    link: ClassVar[Link] = "logistic"
    booster_: Any

    @override
    @property
    def stops_early(self) -> bool:
        return bool(self.params["early_stopping_rounds"])

    @override
    def _grow(
        self, X: NDArray[np.floating], y: NDArray[np.int8], rows: Rows | None, held_out: HeldOut | None
    ) -> tuple[TreeEnsemble, NDArray[np.float64]]:
        weights = None if held_out is None else _as_in_training(held_out[1], float(y.mean()))
        loss = Loss("binary:logistic", "logloss")
        self.booster_ = boosted(self.params, self.threads, loss, Learnt(X, y, rows), held_out, weights)
        return booster_trees(self.booster_), gain_shares(self.booster_, X.shape[1])


class Loss(NamedTuple):
    """XGBoost's names of what is minimised, and of what is watched on rows held out."""

    objective: str
    metric: str


class Learnt(NamedTuple):
    """The rows that are learnt from: ``y`` holds the chosen rows' labels, ``X`` all rows."""

    X: NDArray[np.floating]
    y: NDArray[Any]
    rows: Rows | None


def boosted(
    params: Mapping[str, Any],
    threads: int,
    loss: Loss,
    learnt: Learnt,
    held_out: HeldOut | None,
    held_out_weights: NDArray[np.float64] | None = None,
) -> Any:
    """Return XGBoost's own model of some rows; with rows held out it ends where they are predicted best."""
    X, y, rows = learnt
    threads = threads if y.size * X.shape[1] >= _CELLS_FOR_THREADS else 1
    missing = _stand_in(X, rows, len(y))
    binning = {"max_bin": params["max_bin"], "nthread": threads}
    matrix = _quantised(_Blocks(X, y, rows, missing), **binning)
    settings = {name: value for name, value in params.items() if name not in _OURS}
    settings |= {
        "objective": loss.objective,
        "tree_method": "hist",
        "seed": params["random_state"],
        "nthread": threads,
        "verbosity": 0,
    }
    most, patience = params["n_estimators"], params["early_stopping_rounds"]
    if held_out is None or not patience:
        booster = xgboost.train(settings, matrix, num_boost_round=most)
    else:
        watched = _Blocks(*held_out, None, missing, held_out_weights)
        seen = [(xgboost.QuantileDMatrix(watched, ref=matrix, **binning), "watched")]
        settings["eval_metric"] = loss.metric
        ends = {"early_stopping_rounds": patience, "verbose_eval": False}
        grown = xgboost.train(settings, matrix, num_boost_round=most, evals=seen, **ends)
        # The trees after the best one were grown to see that they do not help.
        booster = grown[: grown.best_iteration + 1]
    return _missing_left(booster) if missing == LOWEST else booster


class _Blocks(xgboost.DataIter):  # type: ignore[misc]  # xgboost has no type information here
    """Feeds XGBoost the chosen rows of a matrix, all at once or by blocks, as often as it asks."""

    def __init__(
        self,
        X: NDArray[np.floating],
        y: NDArray[np.integer],
        rows: Rows | None,
        missing: np.float32,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        super().__init__()
        self.X, self.y, self.rows, self.missing, self._weights = X, y, rows, missing, weights
        small = len(y) * X.shape[1] <= _CELLS_AT_ONCE
        self._whole = list(row_blocks(X, rows, len(y), missing=missing)) if small else None
        self.reset()

    def reset(self) -> None:
        """Begin again at the first row."""
        self._at = 0
        self._blocks = iter(self._whole) if self._whole else row_blocks(self.X, self.rows, missing=self.missing)

    def next(self, input_data: Any) -> bool:
        """Hand over the next block; False when there is none."""
        block = next(self._blocks, None)
        if block is None:
            return False
        part = slice(self._at, self._at + len(block))
        input_data(data=block, label=self.y[part], weight=None if self._weights is None else self._weights[part])
        self._at += len(block)
        return True


def _stand_in(X: NDArray[np.floating], rows: Rows | None, count: int) -> np.float32:
    """Return what missing values are given as: the lowest value where they are rare, else NaN."""
    most = count // _COMPLETE_PER_INCOMPLETE
    chosen = np.arange(count, dtype=np.int64) if rows is None else rows
    return LOWEST if count_incomplete(X, chosen, most) <= most else NAN


def _quantised(data: _Blocks, **settings: Any) -> Any:
    """Put every value into its bin; the bins' borders are quantiles of all rows, or of an even sample of very many."""
    if len(data.y) <= _SAMPLE_ROWS:
        return xgboost.QuantileDMatrix(data, **settings)
    borders = xgboost.QuantileDMatrix(_quantiles(data, settings["max_bin"]), **settings)
    return xgboost.QuantileDMatrix(data, ref=borders, **settings)


def _quantiles(data: _Blocks, most: int) -> Matrix:
    """Return evenly spaced quantiles of each column over an even sample of the rows, shape (most, f); NaN without any.

    XGBoost finds the borders of such a table at once; in the sample itself it would look for them for a second.
    """
    sample = np.linspace(0, len(data.y) - 1, _SAMPLE_ROWS).astype(np.int64)
    taken = as_model_input(data.X[sample if data.rows is None else data.rows[sample]], data.missing)
    columns = np.sort(taken.T, axis=1)  # NaN come last
    known = np.count_nonzero(~np.isnan(columns), axis=1)
    places = np.linspace(0, np.maximum(known - 1, 0), most).astype(np.int64)
    return np.take_along_axis(columns.T, places, axis=0)


def _as_in_training(y: NDArray[Any], positive_share: float) -> NDArray[np.float64]:
    """Weigh rows held out so that positives have the share they have in training."""
    here = float(y.mean())
    weights: NDArray[np.float64] = np.where(y == 1, positive_share / here, (1 - positive_share) / (1 - here))
    return weights


def _missing_left(booster: Any) -> Any:
    """Let every split send a missing value where the lowest value goes."""
    model = json.loads(bytes(booster.save_raw("json")))
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        tree["default_left"] = [1] * len(tree["default_left"])
    return xgboost.Booster(model_file=bytearray(json.dumps(model), "utf-8"))


def booster_trees(booster: Any) -> TreeEnsemble:
    """Read a booster's trees, of a binary logistic or a squared-error one, from its JSON.

    The base margin is added to the first tree's leaves: XGBoost adds the trees to it in order, and with float32 only
    the same order gives the same bits.
    """
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    sizes = [len(tree["left_children"]) for tree in trees]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    at_root = np.repeat(roots, sizes)

    def column(name: str, dtype: Any) -> NDArray[Any]:
        return np.concatenate([np.asarray(tree[name], dtype=dtype) for tree in trees])

    left, right = column("left_children", np.int64), column("right_children", np.int64)
    conditions = column("split_conditions", np.float32)
    leaf = left < 0
    value = np.where(leaf, conditions, np.float32(0))
    value[: sizes[0]] += np.where(leaf[: sizes[0]], _base_margin(learner), np.float32(0))
    return TreeEnsemble(
        roots=roots,
        feature=np.where(leaf, -1, column("split_indices", np.int64)),
        threshold=np.where(leaf, np.float32(0), conditions),
        left=np.where(leaf, 0, left + at_root),
        right=np.where(leaf, 0, right + at_root),
        missing_left=column("default_left", np.bool_) & ~leaf,
        value=value,
        strict=True,
    )


def _base_margin(learner: Any) -> np.float32:
    """Return ``base_score``, of a logistic booster its log-odds in the float32 steps XGBoost takes."""
    score = np.float32(json.loads(learner["learner_model_param"]["base_score"])[0])
    if learner["objective"]["name"] != "binary:logistic":
        return score
    one = np.float32(1)
    return np.float32(-math.log(float(one / score - one)))


def gain_shares(booster: Any, n_features: int) -> NDArray[np.float64]:
    """Return the mean gain of each feature's splits as a share of all, as scikit-learn's wrapper of XGBoost does."""
    shares = np.zeros(n_features)
    for name, gain in booster.get_score(importance_type="gain").items():
        shares[int(name.removeprefix("f"))] = gain
    total = shares.sum()
    return shares / total if total > 0 else shares
