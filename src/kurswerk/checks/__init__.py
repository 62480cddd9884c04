"""Checks of properties that every feature, label, split, resampler and model has, and the probes of a certificate."""

from kurswerk.checks._comparisons import COMPARISON_PROPERTIES, LABEL_COMPARISON_PROPERTIES
from kurswerk.checks._evidence import Effort, Evidence, Finding, PropertyCheck, certificate, differing_bits, examine_all
from kurswerk.checks._features import FEATURE_PROPERTIES, FeatureCase, feature_checks
from kurswerk.checks._labels import LABEL_PROPERTIES, LabelCase, label_checks
from kurswerk.checks._models import MODEL_PROPERTIES, ModelCase, model_checks
from kurswerk.checks._plan import PlanFeatures
from kurswerk.checks._probes import PIPELINE_PROPERTIES, PROBED_FEATURE_PROPERTIES, PipelineCase, probe_pipeline
from kurswerk.checks._resampling import RESAMPLING_PROPERTIES, ResamplingCase, resampler_checks
from kurswerk.checks._splits import SPLIT_PROPERTIES, SplitCase, split_checks
from kurswerk.checks.ports import (
    Comparisons,
    FeatureSet,
    FittedFold,
    FoldRows,
    LabelRows,
    LiveFeatures,
    Pipeline,
    TrainingRows,
)

__all__ = [
    "COMPARISON_PROPERTIES",
    "FEATURE_PROPERTIES",
    "LABEL_COMPARISON_PROPERTIES",
    "LABEL_PROPERTIES",
    "MODEL_PROPERTIES",
    "PIPELINE_PROPERTIES",
    "PROBED_FEATURE_PROPERTIES",
    "RESAMPLING_PROPERTIES",
    "SPLIT_PROPERTIES",
    "Comparisons",
    "Effort",
    "Evidence",
    "FeatureCase",
    "FeatureSet",
    "Finding",
    "FittedFold",
    "FoldRows",
    "LabelCase",
    "LabelRows",
    "LiveFeatures",
    "ModelCase",
    "Pipeline",
    "PipelineCase",
    "PlanFeatures",
    "PropertyCheck",
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
