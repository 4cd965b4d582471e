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
    ALPHA_TAKEN = "alpha taken"
    """Key: run. Which share of the project's α this run may spend, and as the how manieth."""
    ENDPOINT_CALL = "endpoint call"
    """Key: model. What one answered request took."""
    BASELINE = "baseline"
    """Key: run. Prompting, retrieval and fine-tuning on the same items."""
    BENCHMARK = "bench"
    """Key: model. Its figures on public benchmarks."""
    BENCHMARKS_COMPARED = "bench compared"
    """Key: run. The last comparison of models on public benchmarks."""
    EXPORT = "export"
    """Key: model. One step of an export: it began, a file was proved and graded, it ended."""
    SWEEP = "sweep"
    """Key: run. Curves, sizes and advice of the last sweep."""
    SEARCH = "search"
    """Key: run. Trials of settings, and the best against those of the project."""
    ESTIMATE = "estimate"
    """Key: base and settings. Memory and time that a training would need."""
    VOTE = "vote"
    """Key: pair. One person's or rule's choice between two answers."""
    JUDGED = "judgement"
    """Key: model. What a judge's verdicts add up to."""
    LABEL = "label"
    """Key: criterion. One person's label of one answer."""
    KIND_LABEL = "kind label"
    """Key: kind of failure. One person says whether an answer really has it."""
    COLLECTED = "collected"
    """Key: example. A row that a person wrote."""
    READING_SAMPLE = "reading sample"
    """Key: model. Which of its answers are read, in which order, and why each was chosen."""
    NOTE = "note"
    """Key: model. What one reader wrote about one of its answers: the first failure, or that it is fine."""
    MODE = "mode"
    """Key: ``modes``. Notes were put into a failure mode, or a mode was renamed or merged."""
    NAMED_KIND = "named kind"
    """Key: mode. A mode became a kind that later rounds measure."""
    ROW_DECISION = "row decision"
    """Key: example. A person accepted, rejected or edited a proposed row."""
    ROWS_REVIEWED = "rows reviewed"
    """Key: run. A person has looked at the rows that a round is to train."""


OF_PEOPLE = frozenset(
    {
        RecordKind.VOTE,
        RecordKind.LABEL,
        RecordKind.KIND_LABEL,
        RecordKind.COLLECTED,
        RecordKind.READING_SAMPLE,
        RecordKind.NOTE,
        RecordKind.MODE,
        RecordKind.NAMED_KIND,
        RecordKind.ROW_DECISION,
        RecordKind.ROWS_REVIEWED,
    }
)
"""Records that people give one by one, also while a run holds the writer lock for hours."""
