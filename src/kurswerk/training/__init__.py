"""Train, test, compare and certify models."""

from kurswerk.training._certifying import TrainingPipeline, certify, reproduce
from kurswerk.training._comparing import compare_models
from kurswerk.training._dataset import Dataset, build_dataset, columns_to_load, load_for_plan, training_plan
from kurswerk.training._execution import run_job
from kurswerk.training._fit import Costs, fit_final, fit_version, load_dataset, train
from kurswerk.training._folds import FoldOutcome, fit_rows, predict_rows, run_folds
from kurswerk.training._jobs import (
    DEFAULT_PRIORITY,
    JOB_SORTS,
    JOB_STATUSES,
    JOB_TYPES,
    LARGEST_PRIORITY,
    Job,
    JobLine,
)
from kurswerk.training._orders import (
    OrderDesk,
    check_training,
    order_certificate,
    order_comparison,
    order_test,
    order_training,
)
from kurswerk.training._outcomes import Outcomes, outcomes_of
from kurswerk.training._testing import Period, run_test
from kurswerk.training.ports import Availability, JobStore, MarketStore, MarketSurvey, Progress, no_progress
from kurswerk.training.spec import ModelSpec

__all__ = [
    "DEFAULT_PRIORITY",
    "JOB_SORTS",
    "JOB_STATUSES",
    "JOB_TYPES",
    "LARGEST_PRIORITY",
    "Availability",
    "Costs",
    "Dataset",
    "FoldOutcome",
    "Job",
    "JobLine",
    "JobStore",
    "MarketStore",
    "MarketSurvey",
    "ModelSpec",
    "OrderDesk",
    "Outcomes",
    "Period",
    "Progress",
    "TrainingPipeline",
    "build_dataset",
    "certify",
    "check_training",
    "columns_to_load",
    "compare_models",
    "fit_final",
    "fit_rows",
    "fit_version",
    "load_dataset",
    "load_for_plan",
    "no_progress",
    "order_certificate",
    "order_comparison",
    "order_test",
    "order_training",
    "outcomes_of",
    "predict_rows",
    "reproduce",
    "run_folds",
    "run_job",
    "run_test",
    "train",
    "training_plan",
]
