"""Train, test, compare and certify models."""

from kurswerk.training._certifying import TrainingPipeline, certify, reproduce
from kurswerk.training._comparing import compare_models
from kurswerk.training._dataset import Dataset, build_dataset, columns_to_load, load_for_plan, training_plan
from kurswerk.training._fit import Costs, fit_final, fit_version, load_dataset, train
from kurswerk.training._folds import FoldOutcome, fit_rows, predict_rows, run_folds
from kurswerk.training._testing import Period, run_test
from kurswerk.training.ports import MarketStore, Progress, no_progress
from kurswerk.training.spec import ModelSpec

__all__ = [
    "Costs",
    "Dataset",
    "FoldOutcome",
    "MarketStore",
    "ModelSpec",
    "Period",
    "Progress",
    "TrainingPipeline",
    "build_dataset",
    "certify",
    "columns_to_load",
    "compare_models",
    "fit_final",
    "fit_rows",
    "fit_version",
    "load_dataset",
    "load_for_plan",
    "no_progress",
    "predict_rows",
    "reproduce",
    "run_folds",
    "run_test",
    "train",
    "training_plan",
]
