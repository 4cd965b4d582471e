"""Whether a base may take the fused path, by a few tokens through both; and the precision of its products."""

from __future__ import annotations

from residency.errors import ConfigError
from residency.infer.fused_model import FusedModel
from residency.infer.generic_model import GenericModel
from residency.infer.shared_prefix import run_whole_sequence

PRECISIONS = ("fp32", "bf16", "int8")
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


def check_precision(precision: str, device: str) -> None:
    """A precision that is known, and that there is on this kind of device.

    Raises:
        ConfigError: it is not.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"unknown precision {precision!r}; known: {', '.join(PRECISIONS)}")
    if precision == "int8" and device != "cpu":
        raise ConfigError(
            f"int8 products are for CPUs, and the model is on {device}",
            where="generate.precision",
            next_step="choose bf16 or fp32",
        )


def check_generic_precision(precision: str, why: str) -> None:
    """The generic path has the model's own precision.

    Raises:
        ConfigError: another one was asked for; ``why`` says what keeps the base from the fused path.
    """
    if precision != "fp32":
        raise ConfigError(
            f"this base answers in fp32 only: it takes the generic path ({why})",
            where="generate.precision",
            next_step='set precision = "fp32" there',
        )
