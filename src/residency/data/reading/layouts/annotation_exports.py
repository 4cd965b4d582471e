"""Exports of annotation tools: ``label-studio``, ``argilla``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from residency.data.reading.clean_text import RowError, clean_text, is_missing, write_value
from residency.data.reading.conversations import read_messages
from residency.data.reading.layouts.layout import Layout, LayoutRow, RowFields
from residency.files.turn_lists import is_turn_list
from residency.nouns.example import Message

PROMPT_NAMES = ("prompt", "instruction", "question", "text", "input")


class LabelStudioLayout(Layout):
    """Label Studio's JSON export: tasks with ``data`` and ``annotations``."""

    name = "label-studio"
    needs = ("data", "annotations")
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "data": ("data",),
        "annotations": ("annotations", "completions"),
    }
    about = "Label Studio's JSON export: `data`, with the choices, text areas or ratings in `annotations`"

    def fits_row(self, row: RowFields) -> bool:
        """An object of data, a list of annotations."""
        return isinstance(row.value("data"), Mapping) and isinstance(row.value("annotations"), list)

    def read_row(self, row: RowFields) -> LayoutRow:
        """The task's text; the first annotation that was not cancelled as its answer."""
        prompt = _read_prompt(row, row.value("data"), row.column("data"))
        field = row.column("annotations")
        results = list_results(row.value("annotations"))
        answers = {}
        for result in results:
            if not isinstance(result, Mapping) or not isinstance(result.get("value"), Mapping):
                raise RowError("a result with a value is expected", field)
            answers[str(result.get("from_name", ""))] = _read_result(result["value"], field)
        return _make_row(prompt, answers)


def list_results(annotations: list[Any]) -> list[Any]:
    """The results of the first annotation that was not cancelled.

    Raises:
        RowError: they are no list.
    """
    notes = (note for note in annotations if isinstance(note, Mapping))
    results: Any = next(
        (n["result"] for n in notes if not n.get("was_cancelled") and n.get("result")), []
    )
    if not isinstance(results, list):
        raise RowError("a list of results is expected", "annotations")
    return results


class LabelStudioTableLayout(Layout):
    """Label Studio's short exports (JSON-MIN, CSV, TSV): a column for each text and each question."""

    name = "label-studio-table"
    about = "Label Studio's JSON-MIN and CSV exports: one column with the text, one with its answer"

    OWN: ClassVar[frozenset[str]] = frozenset(
        ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement")
    )

    def fits_row(self, row: RowFields) -> bool:
        """The columns that Label Studio adds."""
        return {"annotation_id", "annotator"} <= row.values.keys()

    def read_row(self, row: RowFields) -> LayoutRow:
        """The text by its name; the only other column is the answer.

        Raises:
            RowError: several columns could be the answer.
        """
        others = {
            str(k): v for k, v in row.values.items() if k not in self.OWN and not is_missing(v)
        }
        prompt_column = next((k for k in others if k.strip().lower() in PROMPT_NAMES), None)
        prompt_column = prompt_column or next(
            (k for k, v in others.items() if is_turn_list(v)), None
        )
        if prompt_column is None:
            raise RowError(
                f"which column is the prompt? ({', '.join(others) or 'none'}): name them with "
                "--column question=NAME --column response=NAME"
            )
        answers = {k: v for k, v in others.items() if k != prompt_column}
        if len(answers) > 1:
            raise RowError(
                f"which column is the answer? ({', '.join(answers)}): --column question={prompt_column} "
                "--column response=NAME"
            )
        prompt = _read_prompt(row, {prompt_column: others[prompt_column]}, prompt_column)
        return _make_row(prompt, {k: _read_table_answer(v, k) for k, v in answers.items()})


def _read_table_answer(value: Any, column: str) -> str:
    """A choice, several (``{"choices": …}``), or texts, each also as JSON text within a CSV."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return clean_text(value, column)
    if isinstance(value, Mapping):
        return _read_result(value, column)
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        raise RowError("marks on parts of the text are no text to answer with", column)
    return _join_values(value, column, "\n")


class ArgillaLayout(Layout):
    """Argilla's records: nested (``fields``, ``responses``) or as columns (``NAME.responses``)."""

    name = "argilla"
    about = "Argilla's records, nested or as columns: the answer is the first submitted response, or else the suggestion"

    def fits_row(self, row: RowFields) -> bool:
        """Nested fields and responses, or columns that end in ``.responses``."""
        values = row.values
        if isinstance(values.get("fields"), Mapping):
            return "responses" in values or "suggestions" in values
        return bool(_answer_columns(values))

    def read_row(self, row: RowFields) -> LayoutRow:
        """The fields as the prompt, the responses as the answer."""
        values = row.values
        if isinstance(values.get("fields"), Mapping):
            responses = _by_question(values.get("responses"))
            suggested = _by_question(values.get("suggestions"))
            answers = {
                name: _first_answer(
                    responses.get(name), _value_of(suggested.get(name)), f"responses.{name}"
                )
                for name in dict.fromkeys((*responses, *suggested))
            }
            return _make_row(_read_prompt(row, values["fields"], "fields"), answers)
        columns = _answer_columns(values)
        if not columns:
            raise RowError("no responses", "responses")
        fields = {
            key: value
            for key, value in values.items()
            if isinstance(value, str) and "." not in key and "-" not in key and key not in _META
        }
        answers = {name: _read_column_answer(values, name) for name in columns}
        return _make_row(_read_prompt(row, fields, "fields"), answers)


_META = ("id", "_server_id", "external_id", "status", "metadata", "inserted_at", "updated_at")


def _answer_columns(values: Mapping[str, Any]) -> list[str]:
    """Names of the questions of a flat record, in Argilla 2's form or 1's."""
    flat = [key.removesuffix(".responses") for key in values if key.endswith(".responses")]
    return flat or [key for key in values if f"{key}-suggestion" in values]


def _by_question(value: Any) -> dict[str, Any]:
    """Responses or suggestions by question: Argilla 2 keys them so, Argilla 1 lists people's forms
    (``values``) and suggestions (``question_name``)."""
    if isinstance(value, Mapping):
        return {str(name): answer for name, answer in value.items()}
    answers: dict[str, Any] = {}
    for form in value if isinstance(value, list) else ():
        if not isinstance(form, Mapping):
            continue
        if "question_name" in form:
            answers[str(form["question_name"])] = form
            continue
        form_values = form.get("values")
        for name, answer in form_values.items() if isinstance(form_values, Mapping) else ():
            value_given = _value_of(answer)
            answers.setdefault(str(name), []).append(
                {"status": form.get("status"), "value": value_given}
            )
    return answers


def _value_of(answer: Any) -> Any:
    return answer.get("value") if isinstance(answer, Mapping) else answer


def _read_column_answer(values: Mapping[str, Any], name: str) -> str:
    responses = values.get(f"{name}.responses", values.get(name))
    states = values.get(f"{name}.responses.status")
    if isinstance(responses, list) and isinstance(states, list) and len(responses) == len(states):
        responses = [v for v, state in zip(responses, states, strict=True) if state == "submitted"]
    suggested = values.get(f"{name}.suggestion", values.get(f"{name}-suggestion"))
    return _first_answer(responses, suggested, name)


def _first_answer(responses: Any, suggested: Any, field: str) -> str:
    """The first submitted response, else the suggestion."""
    for response in responses if isinstance(responses, list) else [responses]:
        value = response
        if isinstance(response, Mapping):
            if response.get("status") not in (None, "submitted"):
                continue
            value = response.get("value")
        if not is_missing(value):
            return _join_values(value, field)
    return "" if is_missing(suggested) else _join_values(suggested, field)


def _read_prompt(row: RowFields, fields: Mapping[str, Any], where: str) -> tuple[Message, ...]:
    """The text that was shown: by its name, else the only one; or the conversation that was shown.

    Raises:
        RowError: none, or several and none of a known name.
    """
    for name, value in fields.items():
        if is_turn_list(value):
            turns = read_messages(value, f"{where}.{name}")
            system = row.instruction and turns[0].role != "system"
            return (Message("system", row.instruction), *turns) if system else turns
    texts = {str(k): v for k, v in fields.items() if isinstance(v, str) and v.strip()}
    plain = {name.strip().lower(): text for name, text in texts.items()}
    known = next((plain[name] for name in PROMPT_NAMES if name in plain), None)
    if known is None and len(texts) == 1:
        known = next(iter(texts.values()))
    if known is None:
        names = ", ".join(texts) or "none"
        raise RowError(f"which text is the prompt? (texts: {names})", where)
    text = clean_text(known, where)
    return (
        Message("user", row.instruction, input=text) if row.instruction else Message("user", text),
    )


def _read_result(value: Mapping[str, Any], field: str) -> str:
    """Choices, text areas, ratings and numbers; marks on parts of a text are no answer."""
    for kind in ("choices", "text", "rating", "number", "taxonomy"):
        if kind in value and "start" not in value:
            return _join_values(value[kind], field, "\n" if kind == "text" else ", ")
    raise RowError(f"a result of {', '.join(map(str, value))} is no text to answer with", field)


def _join_values(value: Any, field: str, between: str = ", ") -> str:
    if isinstance(value, list):
        return between.join(_join_values(item, field, " > ") for item in value)
    if isinstance(value, Mapping):
        ranked = "rank" in value
        raise RowError(
            "a ranking is no text to answer with; export pairs as prompt, chosen and rejected"
            if ranked
            else "text is expected, found an object",
            field,
        )
    return clean_text(write_value(value), field)


def _make_row(prompt: tuple[Message, ...], answers: Mapping[str, str]) -> LayoutRow:
    """One question's answer as it is; of several a line each, ``name: answer``.

    The answer replaces a last turn of the assistant's, which is what was judged.
    """
    texts = {name: text for name, text in answers.items() if text.strip()}
    lines: Iterable[str] = texts.values()
    if len(answers) > 1:
        lines = (f"{name}: {text}" for name, text in texts.items())
    answer = "\n".join(lines)
    if answer and prompt[-1].role == "assistant":
        prompt = prompt[:-1]
    return LayoutRow((*prompt, Message("assistant", answer)) if answer else prompt)
