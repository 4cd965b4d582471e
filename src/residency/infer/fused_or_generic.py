"""Whether a base may take the fused path: its kind, and a few tokens through both paths."""

from __future__ import annotations

from residency.infer.fused_model import FusedModel
from residency.infer.generic_model import GenericModel
from residency.infer.shared_prefix import run_whole_sequence

_PROBE_TOKENS = 16
PROBE_TOLERANCE = 1e-3
"""Largest difference of a logit between the fused path and the model's forward, in units
of the largest logit; a true difference of architecture is orders of magnitude larger."""


def measure_difference(fused: FusedModel, generic: GenericModel) -> float:
    """Largest relative difference of logits on a few fixed tokens."""
    ids = [(7 * at + 1) % fused.vocab for at in range(_PROBE_TOKENS)]
    expected, _, _ = generic.compute_logits([ids], _PROBE_TOKENS)
    fused_logits = fused.compute_logits(run_whole_sequence(fused, ids))
    return float((fused_logits - expected[0]).abs().max() / expected.abs().max())
