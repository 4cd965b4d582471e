"""How often a kind that was just named fails in answers that are stored: no run is needed to see it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from residency.evaluate.suites.grade import grade_responses
from residency.nouns.response import Response
from residency.nouns.short_view import ShortView
from residency.project.dev_split import split_dev
from residency.project.named_kinds import NamedKind
from residency.project.workspace import Workspace
from residency.results.number_formats import format_interval, format_percent, format_points
from residency.results.run_results import RunResults
from residency.stats.paired_outcomes import PairedComparison, compare_paired
from residency.stats.sample_reducer import Outcomes, kind_outcomes
from residency.text.counts import write_count


@dataclass(frozen=True, repr=False)
class KindRates(ShortView):
    """A kind in the latest run's first and final model, on the dev items that measure."""

    before: str
    after: str
    comparison: PairedComparison

    def describe(self) -> str:
        """Both rates and the change, in a sentence."""
        counts = self.comparison.counts
        if not counts.n:
            return "It could be judged in no stored answer."
        items = write_count(counts.n, "dev item")
        interval = format_interval(self.comparison.low, self.comparison.high, signed=True)
        return (
            f"In stored answers to {items} of the measuring part: {self.before} fails "
            f"{format_percent(counts.before_rate)}, {self.after} {format_percent(counts.after_rate)}; "
            f"fall {format_points(counts.delta)} points, 95 % interval {interval}."
        )


def rate_kind(ws: Workspace, kind: NamedKind) -> KindRates | None:
    """Grade stored answers by a kind's rule. Nothing is generated, asked or written.

    None where no rule measures it (people or a judge would have to be asked first), or where the
    latest run has no two models.
    """
    run = ws.store.latest_run()
    if kind.by != "rule" or not kind.usable or run is None:
        return None
    models = {m.id: m.label for m in RunResults(ws.store, run).models}
    final = RunResults(ws.store, run).final_id
    first = next(iter(models), "")
    if not final or final == first:
        return None
    _, measuring = split_dev(ws)
    examples = [example for example in ws.split("dev") if example.id in measuring]
    suite = replace(ws.suite, rules=(kind.make_rule(),))

    def judge(responses: list[Response]) -> Outcomes:
        findings = grade_responses(
            suite,
            examples,
            responses,
            embedder=ws.embedder,
            keep_reasoning=ws.config.evaluate.reasoning == "keep",
        )
        return kind_outcomes(findings, responses, ws.config.evaluate.reduce).get(kind.name, {})

    sides = [judge(ws.store.responses(model, examples, ws.sampling)) for model in (first, final)]
    groups = ws.store.corpus_groups(run, "dev")
    return KindRates(models[first], models[final], compare_paired(*sides, groups=groups))
