"""The kinds of record in a project's log."""

from __future__ import annotations

from enum import StrEnum


class RecordKind(StrEnum):
    """What a record of the log tells; the text is what stands in the store."""

    RUN_OPENED = "run opened"
    """Key: the run that status, report and the single steps speak of from now on."""
    SCOPE = "scope"
    """Key: run. Under which suite and detectors its answers were judged."""
    TRAINING = "training"
    """Key: model. How it was trained."""
    TEST_OPENED = "test opened"
    """Key: run. The sealed test was opened for this final model."""
    ENDPOINT_CALL = "endpoint call"
    """Key: model. What one answered request took."""
    BASELINE = "baseline"
    """Key: run. Prompting, retrieval and fine-tuning on the same items."""
    BENCHMARK = "bench"
    """Key: model. Its figures on public benchmarks."""
    BENCHMARKS_COMPARED = "bench compared"
    """Key: run. The last comparison of models on public benchmarks."""
    ESTIMATE = "estimate"
    """Key: base and settings. Memory and time that a training would need."""
    VOTE = "vote"
    """Key: pair. One person's or rule's choice between two answers."""
    JUDGED = "judgement"
    """Key: model. What a judge's verdicts add up to."""
    LABEL = "label"
    """Key: criterion. One person's label of one answer."""
    COLLECTED = "collected"
    """Key: example. A row that a person wrote."""


OF_PEOPLE = frozenset({RecordKind.VOTE, RecordKind.LABEL, RecordKind.COLLECTED})
"""Records that people give one by one, also while a run holds the writer lock for hours."""
