"""Train, test, compare and certify models."""

from kurswerk.training._adoption import Translation, json_value, translate_specification
from kurswerk.training._again import specification_again
from kurswerk.training._backtest_kind import BacktestRequest, BacktestResult, backtest_kind
from kurswerk.training._backtesting import backtest_model
from kurswerk.training._certifying import TrainingPipeline, certify, reproduce
from kurswerk.training._checks import check_training
from kurswerk.training._comparing import compare_models
from kurswerk.training._costs import COST_PRESETS, Costs, CostsField, costs_of
from kurswerk.training._dataset import (
    FEATURE_THREADS,
    Dataset,
    build_dataset,
    columns_to_load,
    load_for_plan,
    training_plan,
)
from kurswerk.training._feature_cache import CacheCounts, CacheState, FeatureCache, use_feature_cache
from kurswerk.training._feature_export import FeaturesRequest, FeaturesResult, export_features, features_kind
from kurswerk.training._fit import fit_final, fit_version, load_dataset
from kurswerk.training._folds import FoldOutcome, fit_rows, predict_rows, run_folds
from kurswerk.training._job_kinds import certify_kind, compare_kind, test_kind, train_kind
from kurswerk.training._period import Period
from kurswerk.training._testing import evaluate_test, run_test
from kurswerk.training._training import train
from kurswerk.training.ports import Availability, MarketStore, MarketSurvey, TrainingStores
from kurswerk.training.spec import ModelSpec, read_document

__all__ = [
    "COST_PRESETS",
    "FEATURE_THREADS",
    "Availability",
    "BacktestRequest",
    "BacktestResult",
    "CacheCounts",
    "CacheState",
    "Costs",
    "CostsField",
    "Dataset",
    "FeatureCache",
    "FeaturesRequest",
    "FeaturesResult",
    "FoldOutcome",
    "MarketStore",
    "MarketSurvey",
    "ModelSpec",
    "Period",
    "TrainingPipeline",
    "TrainingStores",
    "Translation",
    "backtest_kind",
    "backtest_model",
    "build_dataset",
    "certify",
    "certify_kind",
    "check_training",
    "columns_to_load",
    "compare_kind",
    "compare_models",
    "costs_of",
    "evaluate_test",
    "export_features",
    "features_kind",
    "fit_final",
    "fit_rows",
    "fit_version",
    "json_value",
    "load_dataset",
    "load_for_plan",
    "predict_rows",
    "read_document",
    "reproduce",
    "run_folds",
    "run_test",
    "specification_again",
    "test_kind",
    "train",
    "train_kind",
    "training_plan",
    "translate_specification",
    "use_feature_cache",
]
