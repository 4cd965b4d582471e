"""ARC, HellaSwag, MMLU and TruthfulQA with lm-evaluation-harness's definitions.

Nothing here runs a model: a scorer is received as an argument.
"""

from residency.evaluate.bench.compare import Difference, compare_results
from residency.evaluate.bench.load import HubSplits, LocalSplits, Splits
from residency.evaluate.bench.run import BenchResult, ask, run_tasks
from residency.evaluate.bench.score import ItemResult, Metric
from residency.evaluate.bench.tasks import TASKS, Question, Task, find_tasks

__all__ = [
    "TASKS",
    "BenchResult",
    "Difference",
    "HubSplits",
    "ItemResult",
    "LocalSplits",
    "Metric",
    "Question",
    "Splits",
    "Task",
    "ask",
    "compare_results",
    "find_tasks",
    "run_tasks",
]
