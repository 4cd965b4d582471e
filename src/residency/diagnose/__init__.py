"""Responses → findings → issues → verdicts."""

from residency.diagnose.arms import ArmComparison, compare_arms
from residency.diagnose.clusters import cluster_slices
from residency.diagnose.detect import DETECTORS, detect
from residency.diagnose.fields import label_values
from residency.diagnose.halves import halves
from residency.diagnose.issues import Outcomes, find_issues, outcomes, overall_issues
from residency.diagnose.quality import Quality, detector_quality, quality
from residency.diagnose.statistics import (
    Paired,
    PairedComparison,
    compare_paired,
    delta_interval,
    e_value,
    exact_p,
    minimum_detectable,
    pair,
)
from residency.diagnose.verdicts import (
    CLAIMS,
    OPEN,
    Comparison,
    confirm,
    judge_round,
    round_alpha,
    stated_mde,
)

__all__ = [
    "CLAIMS",
    "DETECTORS",
    "OPEN",
    "ArmComparison",
    "Comparison",
    "Outcomes",
    "Paired",
    "PairedComparison",
    "Quality",
    "cluster_slices",
    "compare_arms",
    "compare_paired",
    "confirm",
    "delta_interval",
    "detect",
    "detector_quality",
    "e_value",
    "exact_p",
    "find_issues",
    "halves",
    "judge_round",
    "label_values",
    "minimum_detectable",
    "outcomes",
    "overall_issues",
    "pair",
    "quality",
    "round_alpha",
    "stated_mde",
]
