"""What people do with a project: read, note, label, answer better, compare."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from residency.commands.stored_tables import StoredTables
from residency.nouns.example import Example
from residency.project.project_plugins import scope_plugins
from residency.results.table_rows import TableRows

if TYPE_CHECKING:
    from residency.commands.arena import Board
    from residency.commands.judge import Judged
    from residency.commands.label import Labelling
    from residency.commands.propose_kind import KindProposal
    from residency.commands.read import Reading
    from residency.diagnose.notes import Note
    from residency.project.named_kinds import Way


@scope_plugins
class PeopleSteps(StoredTables):
    """Methods of ``Project`` for people who judge answers; each is the command of the same name."""

    def read(self, model: str = "final", *, reader: str = "", count: int = 100) -> Reading:
        """A sample of a model's answers to read, with notes, modes and how far reading is."""
        from residency.commands.read import draw_sample, load_reading

        chosen = draw_sample(self, model=model, count=count)
        return load_reading(self.store, self.root, chosen, reader)

    def note(self, response: str, text: str, *, reader: str) -> Note:
        """Note the first failure of an answer; an empty text says that it is fine."""
        from residency.commands.read import add_note

        return add_note(self, response, text, reader)

    def label(
        self, issue: str, labels: Mapping[str, bool] | None = None, *, person: str = ""
    ) -> Labelling:
        """Say of answers (ids) whether they really have an issue's failure; its rate by all labels."""
        from residency.commands.label import add_label, open_labelling

        state = open_labelling(self, issue, person=person)
        for response, fails in (labels or {}).items():
            add_label(self, response, state.issue.kind, fails, person)
        return open_labelling(self, issue, person=person) if labels else state

    def worst_answers(self, model: str = "final", *, rows: int = 100) -> TableRows[dict[str, Any]]:
        """Pool rows that the model answers worst, worst first; their answers are made if need be.

        ``response`` is the id that ``collect`` takes.
        """
        from residency.commands.collect import find_worst_answers

        items = find_worst_answers(self, model=model, rows=rows)
        return TableRows(
            (
                {
                    "response": item.response.id,
                    "prompt": item.example.prompt_text,
                    "answer": item.response.text,
                    "failures": ", ".join(item.failures),
                    "reference": item.example.reference,
                }
                for item in items
            ),
            name="answers",
        )

    def collect(self, answers: Mapping[str, str], *, person: str = "") -> TableRows[Example]:
        """Better answers by response (id) become training rows; each is stored at once.

        Raises:
            StoreError: there is no such response. UserError: an answer is empty, or the row belongs to
                dev or test.
        """
        from residency.commands.better_answers import add_better_answer

        who, run = person or getpass.getuser(), self.store.latest_run() or ""
        rows = [
            add_better_answer(self, run, response, answer, person=who)
            for response, answer in answers.items()
        ]
        return TableRows(rows, name="rows")

    def arena(self, *, rater: str = "", style: bool = False) -> Board:
        """Ratings of the models from every vote (or one rater's), with intervals.

        Raises:
            StoreError: there are no votes.
        """
        from residency.commands.arena import board

        return board(self, rater=rater, style=style)

    def judge(
        self,
        criterion: str,
        *,
        name: str = "criterion",
        model: str = "final",
        reference: bool = False,
        limit: int = 0,
    ) -> Judged:
        """Let the judge of ``[judge]`` say of a model's stored dev answers whether they meet a criterion.

        Args:
            name: the criterion's, under which verdicts are stored. reference: show the judge the
                reference answer. limit: items at most; 0 takes all.
        """
        from residency.commands.judge import judge, make_judge
        from residency.evaluate.judge.prompts import Rubric
        from residency.project.endpoints import open_configured_endpoint

        who = make_judge(self, *open_configured_endpoint(self.config.judge, "judge"))
        return judge(self, who, Rubric(name, criterion, reference), model=model, limit=limit)

    def group_notes(self, notes: Sequence[str], mode: str, *, reader: str) -> None:
        """Put notes (ids) into a failure mode; an empty name takes them out of theirs."""
        from residency.commands.read import group_notes

        group_notes(self, notes, mode, reader)

    def name_kind(
        self,
        mode: str,
        by: Way = "rule",
        *,
        criterion: str = "",
        reader: str = "",
        add: bool = True,
    ) -> KindProposal:
        """Let later rounds measure a mode, and say how well that agrees with the notes."""
        from residency.commands.propose_kind import add_kind, propose_kind

        proposal = propose_kind(self, mode, by, criterion=criterion, reader=reader)
        if add:
            add_kind(self, proposal)
        return proposal
