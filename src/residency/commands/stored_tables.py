"""What a project has stored, as lists that a notebook shows as tables."""

from __future__ import annotations

from residency.commands.rows import ProposedRow, decide_row, list_rows
from residency.nouns.finding import Finding
from residency.nouns.issue import Issue
from residency.nouns.model import Model
from residency.nouns.proposal import Proposal
from residency.nouns.response import Response
from residency.project.named_models import find_model
from residency.project.project_plugins import scope_plugins
from residency.project.row_decisions import Decision, RowDecision
from residency.project.workspace import Workspace
from residency.results.judged_answers import JudgedAnswers
from residency.results.run_results import RunResults
from residency.results.table_rows import TableRows


@scope_plugins
class StoredTables(Workspace):
    """Methods of ``Project`` that read the store and load nothing else.

    Each gives a list with ``to_polars()``, ``to_pandas()`` and a short view in a notebook.
    """

    def runs(self) -> TableRows[dict[str, object]]:
        """Every run, oldest first: its id, its base, and whether it is complete."""
        latest = self.store.latest_run()
        rows: list[dict[str, object]] = []
        for run in self.store.runs():
            results = RunResults(self.store, run)
            rows.append(
                {
                    "id": run,
                    "base": results.data.base.name,
                    "models": len(results.models),
                    "issues": len(results.issues),
                    "complete": results.complete,
                    "latest": run == latest,
                }
            )
        return TableRows(rows, name="runs")

    def models(self) -> TableRows[Model]:
        """Every stored model."""
        return TableRows(self.store.models(), name="models")

    def issues(self) -> TableRows[Issue]:
        """Issues of the latest run."""
        run = self.store.latest_run()
        return TableRows(self.store.issues(run) if run else [], name="issues")

    def proposals(self) -> TableRows[Proposal]:
        """Rows that the latest run's issues drew, both arms."""
        run = self.store.latest_run()
        return TableRows(self.store.proposals(run) if run else [], name="proposals")

    def rows(self, *, issue: str = "") -> TableRows[ProposedRow]:
        """Made and targeted rows with what people decided of each, undecided ones first."""
        return TableRows(list_rows(self.store, issue=issue), name="rows")

    def decide_row(
        self,
        row: str,
        decision: Decision,
        *,
        who: str,
        reason: str = "",
        prompt: str | None = None,
        answer: str | None = None,
    ) -> RowDecision:
        """Accept, reject or edit a proposed row; a rejected one is trained nowhere."""
        return decide_row(self, row, decision, who=who, reason=reason, prompt=prompt, answer=answer)

    def responses(self, model: str = "final") -> TableRows[Response]:
        """Every stored answer of a model (id, prefix or name)."""
        return TableRows(self.store.responses(find_model(self, model).id), name="responses")

    def findings(self, model: str = "final") -> TableRows[Finding]:
        """What the checks said of a model's answers in the latest run."""
        responses = self.store.responses(find_model(self, model).id)
        results = RunResults(self.store, self.latest_run())
        answers: JudgedAnswers = results.answers
        findings = answers.findings(responses)
        return TableRows(
            [finding for several in findings.values() for finding in several], name="findings"
        )
