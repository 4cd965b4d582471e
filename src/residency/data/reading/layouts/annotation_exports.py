"""Exports of annotation tools: ``label-studio``, ``argilla``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from residency.data.reading.clean_text import RowError, clean_text, is_missing
from residency.data.reading.layouts.layout import Layout, LayoutRow, RowFields
from residency.nouns.example import Message

_PROMPT_NAMES = ("prompt", "instruction", "question", "text", "input")


class LabelStudioLayout(Layout):
    """Label Studio's JSON export: tasks with ``data`` and ``annotations``."""

    name = "label-studio"
    needs = ("data", "annotations")
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "data": ("data",),
        "annotations": ("annotations", "completions"),
    }
    about = "Label Studio's JSON export: `data`, and choices, text areas, ratings of `annotations`"

    def fits_row(self, row: RowFields) -> bool:
        """An object of data, a list of annotations."""
        return isinstance(row.value("data"), Mapping) and isinstance(row.value("annotations"), list)

    def read_row(self, row: RowFields) -> LayoutRow:
        """The task's text; the first annotation that was not cancelled as its answer."""
        prompt = _read_prompt(row.value("data"), row.column("data"))
        field = row.column("annotations")
        results: Any = next(
            (
                note.get("result")
                for note in row.value("annotations")
                if isinstance(note, Mapping)
                and not note.get("was_cancelled")
                and note.get("result")
            ),
            [],
        )
        if not isinstance(results, list):
            raise RowError("a list of results is expected", field)
        answers = {}
        for result in results:
            if not isinstance(result, Mapping) or not isinstance(result.get("value"), Mapping):
                raise RowError("a result with a value is expected", field)
            answers[str(result.get("from_name", ""))] = _read_result(result["value"], field)
        return _make_row(row, prompt, answers)


class ArgillaLayout(Layout):
    """Argilla's records: nested (``fields``, ``responses``) or as columns (``NAME.responses``)."""

    name = "argilla"
    about = (
        "Argilla's records, nested or as columns: the first submitted response, else the suggestion"
    )

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
            names = dict.fromkeys(
                str(name)
                for key in ("responses", "suggestions")
                if isinstance(values.get(key), Mapping)
                for name in values[key]
            )
            answers = {name: _read_nested_answer(values, name) for name in names}
            return _make_row(row, _read_prompt(values["fields"], "fields"), answers)
        columns = _answer_columns(values)
        if not columns:
            raise RowError("no responses", "responses")
        fields = {
            key: value
            for key, value in values.items()
            if isinstance(value, str) and "." not in key and "-" not in key and key not in _META
        }
        answers = {name: _read_column_answer(values, name) for name in columns}
        return _make_row(row, _read_prompt(fields, "fields"), answers)


_META = ("id", "_server_id", "external_id", "status", "metadata", "inserted_at", "updated_at")


def _answer_columns(values: Mapping[str, Any]) -> list[str]:
    """Names of the questions of a flat record, in Argilla 2's form or 1's."""
    flat = [key.removesuffix(".responses") for key in values if key.endswith(".responses")]
    return flat or [key for key in values if f"{key}-suggestion" in values]


def _read_nested_answer(values: Mapping[str, Any], name: str) -> str:
    responses = values.get("responses")
    responses = responses.get(name) if isinstance(responses, Mapping) else None
    suggestions = values.get("suggestions")
    suggested = suggestions.get(name) if isinstance(suggestions, Mapping) else None
    if isinstance(suggested, Mapping):
        suggested = suggested.get("value")
    return _first_answer(responses, suggested, f"responses.{name}")


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


def _read_prompt(fields: Mapping[str, Any], where: str) -> str:
    """The text that was shown: by its name, else the only one.

    Raises:
        RowError: none, or several and none of a known name.
    """
    texts = {str(k): v for k, v in fields.items() if isinstance(v, str) and v.strip()}
    known = next((texts[name] for name in _PROMPT_NAMES if name in texts), None)
    if known is None and len(texts) == 1:
        known = next(iter(texts.values()))
    if known is None:
        names = ", ".join(texts) or "none"
        raise RowError(f"which text is the prompt? (texts: {names})", where)
    return clean_text(known, where)


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
        raise RowError("text is expected, found an object", field)
    return clean_text(str(value), field)


def _make_row(row: RowFields, prompt: str, answers: Mapping[str, str]) -> LayoutRow:
    """One question's answer as it is; of several a line each, ``name: answer``."""
    texts = {name: text for name, text in answers.items() if text.strip()}
    lines: Iterable[str] = texts.values()
    if len(answers) > 1:
        lines = (f"{name}: {text}" for name, text in texts.items())
    answer = "\n".join(lines)
    user = Message("user", row.instruction, input=prompt) if row.instruction else None
    turns = (Message("assistant", answer),) if answer else ()
    return LayoutRow((user or Message("user", prompt), *turns))
