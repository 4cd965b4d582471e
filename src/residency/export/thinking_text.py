"""Thinking in the text that a program gives back: left out as our engine leaves it out."""

from __future__ import annotations


def has_thinking(template: str) -> bool:
    """Whether a chat template knows thinking (``<think>…</think>``)."""
    return "</think>" in template


def cut_thinking(text: str) -> str:
    """The answer behind the thinking; a text whose thinking does not end stays as it is."""
    return text.rpartition("</think>")[2].lstrip("\n") if "</think>" in text else text
