"""Residency: from a general language model to a specialist, in rounds, with proof."""

__version__ = "0.1.0"
