"""Laws that every feature, label, split, resampler and model obeys, and the leak probes behind a certificate."""

from kurswerk.checks._evidence import Effort, Evidence, Finding, Law, certificate, differing_bits, examine_all
from kurswerk.checks._features import FEATURE_LAWS, FeatureCase, feature_checks
from kurswerk.checks._labels import LABEL_LAWS, LabelCase, label_checks
from kurswerk.checks._models import MODEL_LAWS, ModelCase, model_checks
from kurswerk.checks._plan import PlanFeatures
from kurswerk.checks._probes import PIPELINE_LAWS, PROBED_FEATURE_LAWS, PipelineCase, probe_pipeline
from kurswerk.checks._resampling import RESAMPLING_LAWS, ResamplingCase, resampler_checks
from kurswerk.checks._splits import SPLIT_LAWS, SplitCase, split_checks
from kurswerk.checks.ports import FeatureSet, FittedFold, FoldRows, LabelRows, LiveFeatures, Pipeline, TrainingRows

__all__ = [
    "FEATURE_LAWS",
    "LABEL_LAWS",
    "MODEL_LAWS",
    "PIPELINE_LAWS",
    "PROBED_FEATURE_LAWS",
    "RESAMPLING_LAWS",
    "SPLIT_LAWS",
    "Effort",
    "Evidence",
    "FeatureCase",
    "FeatureSet",
    "Finding",
    "FittedFold",
    "FoldRows",
    "LabelCase",
    "LabelRows",
    "Law",
    "LiveFeatures",
    "ModelCase",
    "Pipeline",
    "PipelineCase",
    "PlanFeatures",
    "ResamplingCase",
    "SplitCase",
    "TrainingRows",
    "certificate",
    "differing_bits",
    "examine_all",
    "feature_checks",
    "label_checks",
    "model_checks",
    "probe_pipeline",
    "resampler_checks",
    "split_checks",
]
