"""One way to do the task as a row of the table: scores, latency, tokens, cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from residency.evaluate.baselines.baseline_report import BaselineRow, Contender
from residency.evaluate.judged_answer import JudgedAnswer, judge_answer
from residency.evaluate.suites.primary_metric import PrimaryMetric
from residency.evaluate.suites.scores import summarise_scores
from residency.nouns.example import Example
from residency.nouns.response import Response
from residency.stats.sample_reducer import Reduce
from residency.text.words import split_words


def measure_way(
    contender: Contender,
    examples: Sequence[Example],
    *,
    reduce: Reduce = "majority",
    primary: PrimaryMetric | None = None,
    classes: Sequence[str] = (),
    read: Callable[[Example, Response], JudgedAnswer] = judge_answer,
) -> BaselineRow:
    """The figures of one contender on these examples; ``read`` says what of a response is judged."""
    live = [r for r in contender.responses if r.finish != "error"]
    prompt_tokens = [r.prompt_tokens for r in live if r.prompt_tokens]
    answer_tokens = [len(r.token_ids) for r in live if r.token_ids] or contender.answer_tokens
    latencies = np.asarray(contender.latencies, np.float64)
    mean_prompt = float(np.mean(prompt_tokens)) if prompt_tokens else None
    mean_answer = float(np.mean(answer_tokens)) if answer_tokens else None
    # Cost of a machine is paid by the second that a request keeps it busy: its share of a batch.
    busy = float(np.mean([r.seconds for r in live])) if live else 0.0
    cost = contender.price.price_request(mean_prompt, mean_answer, busy)
    return BaselineRow(
        name=contender.name,
        way=contender.way,
        scores=summarise_scores(
            contender.findings,
            examples,
            contender.responses,
            reduce=reduce,
            primary=primary,
            classes=classes,
            read=read,
        ),
        items=len({response.example for response in contender.responses}),
        errors=len(contender.responses) - len(live),
        words=float(np.mean([len(split_words(r.text)) for r in live])) if live else 0.0,
        p50=float(np.quantile(latencies, 0.5)) if latencies.size else None,
        p95=float(np.quantile(latencies, 0.95)) if latencies.size else None,
        prompt_tokens=mean_prompt,
        answer_tokens=mean_answer,
        cost_per_1000=None if cost is None else 1000 * cost,
        leaves_machine=contender.leaves_machine,
    )
