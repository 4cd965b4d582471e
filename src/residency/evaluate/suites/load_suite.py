"""Test suites: a TOML or JSONL file of rules and items, read into ``Suite``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from residency.config.parse_toml import TomlTextError, parse_toml
from residency.config.read_text import read_text_file
from residency.errors import SuiteError
from residency.evaluate.suites.checklist import CHECKLIST_KEYS, expand_checklist
from residency.evaluate.suites.extract_answer import AnswerExtraction, make_extraction
from residency.evaluate.suites.primary_metric import choose_primary
from residency.evaluate.suites.rule import Rule
from residency.evaluate.suites.rule_registry import make_rule, suggest_name
from residency.evaluate.suites.rules.python_function import (
    PythonFunction,
    file_digest,
    load_function,
)
from residency.evaluate.suites.suite import Suite
from residency.files.own_lines import split_lines
from residency.nouns.example import Example, Message

TOP_KEYS = ("name", "instruction", "primary", "extract", "rules", "items", "checklist")
ITEM_KEYS = ("example", "prompt", "messages", "reference", "tags", "group", "rules")
HELP = "docs/suites.md shows the form of a suite"

DEFAULT_RULES: tuple[dict[str, Any], ...] = (
    {"rule": "non_empty"},
    {"rule": "fields", "reference_form": "json", "name": "json", "parse": "json", "order": False},
    {"rule": "fields", "reference_form": "fields", "order": False},
    {"rule": "exact", "reference_form": "query", "name": "query", "severity": 0.8},
    {
        "rule": "exact",
        "mode": "value",
        "reference_form": "list",
        "name": "list",
        "severity": 0.8,
    },
    {"rule": "numeric", "reference_form": "worked", "severity": 0.8},
    {
        "rule": "exact",
        "mode": "value",
        "reference_form": "text",
        "max_reference_words": 8,
        "severity": 0.8,
    },
    {"rule": "similarity", "reference_form": "text", "min_reference_words": 9, "severity": 0.8},
)
"""Without a suite: fields one by one, queries and short references exactly, numbers, dates and lists
by their value, worked solutions by their number, and longer texts by meaning."""


def load_suite(path: Path | None, *, code_root: Path | None = None) -> Suite:
    """A suite from a TOML or JSONL file; the default suite for None.

    Args:
        code_root: Python files of the suite must lie in this folder; None: they may lie anywhere.

    Raises:
        SuiteError: no such file, not TOML or JSONL, an unknown rule or key (with the nearest
            known one), a wrong value, two rules that cannot be told apart.
    """
    if path is None:
        rules = tuple(make_rule(raw, where="default suite") for raw in DEFAULT_RULES)
        return Suite("default", rules)
    try:
        text = read_text_file(path)
    except FileNotFoundError:
        raise SuiteError(
            "no such file", where=str(path), next_step="correct evaluate.suite in residency.toml"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"cannot be read as UTF-8 text: {error}", where=str(path)) from None
    reader = _SuiteReader(path, code_root)
    if path.suffix == ".jsonl":
        return reader.read_jsonl(text)
    if path.suffix == ".toml":
        return reader.read_toml(text)
    raise SuiteError("a suite is a .toml or .jsonl file", where=str(path), next_step=HELP)


class _SuiteReader:
    """Collects rules and items from one file."""

    def __init__(self, path: Path, code_root: Path | None) -> None:
        self.path = path
        self.code_root = code_root
        self.rules: list[Rule] = []
        self.examples: list[Example] = []
        self.items: dict[str, str] = {}
        self.instruction = ""
        self.primary = ""
        self.extract: AnswerExtraction | None = None
        self.places: dict[tuple[Any, ...], str] = {}

    def read_toml(self, text: str) -> Suite:
        try:
            raw = parse_toml(text)
        except TomlTextError as error:
            raise SuiteError(str(error), where=str(self.path)) from None
        self._refuse_unknown(raw, TOP_KEYS, str(self.path))
        self._read_settings(raw, str(self.path))
        for where, rule in self._list_tables(raw, "rules"):
            self._add_rule(rule, where)
        for where, item in self._list_tables(raw, "items"):
            self._add_item(item, where)
        for where, table in self._list_tables(raw, "checklist"):
            self._refuse_unknown(table, CHECKLIST_KEYS, where)
            examples, rules = expand_checklist(table, self._make_example, where=where)
            self._add_examples(examples)
            for rule, ids in rules:
                self._add_rule(rule, where, examples=ids)
        return self._make_suite(str(raw.get("name", self.path.stem)))

    def read_jsonl(self, text: str) -> Suite:
        for number, line in enumerate(split_lines(text), 1):
            where = f"{self.path}:{number}"
            if not line.strip():
                continue
            try:
                raw = json.loads(line)
            except json.JSONDecodeError as error:
                raise SuiteError(f"not valid JSON: {error}", where=where) from None
            if not isinstance(raw, dict):
                raise SuiteError("a line is one JSON object", where=where, next_step=HELP)
            if "rule" in raw:
                self._add_rule(raw, where)
            elif raw and set(raw) <= {"primary", "extract", "instruction"}:
                self._read_settings(raw, where)
            else:
                self._add_item(raw, where)
        return self._make_suite(self.path.stem)

    def _make_suite(self, name: str) -> Suite:
        if not self.rules:
            raise SuiteError("the suite has no rules", where=str(self.path), next_step=HELP)
        suite = Suite(
            name,
            tuple(self.rules),
            tuple(self.examples),
            str(self.path),
            primary=self.primary,
            extract=self.extract,
        )
        choose_primary(suite, ())  # an unknown name is told now
        return suite

    def _read_settings(self, raw: Mapping[str, Any], where: str) -> None:
        """What speaks of the whole suite."""
        self.instruction = str(raw.get("instruction", self.instruction))
        self.primary = str(raw.get("primary", self.primary))
        if "extract" in raw:
            self.extract = make_extraction(raw["extract"], where=where)

    def _list_tables(
        self, raw: Mapping[str, Any], key: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        tables = raw.get(key, [])
        if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
            raise SuiteError(
                f"{key!r} is a list of tables, written [[{key}]]",
                where=str(self.path),
                next_step=HELP,
            )
        for number, table in enumerate(tables, 1):
            label = table.get("name") or table.get("rule")
            yield f"{self.path} {key}[{number}]" + (f" ({label})" if label else ""), table

    def _refuse_unknown(self, raw: Mapping[str, Any], known: Sequence[str], where: str) -> None:
        for key in raw:
            if key not in known:
                raise SuiteError(
                    f"unknown key {key!r}{suggest_name(key, known)}",
                    where=where,
                    next_step=f"known keys: {', '.join(known)}; {HELP}",
                )

    def _add_rule(self, raw: dict[str, Any], where: str, *, examples: Sequence[str] = ()) -> None:
        raw = dict(raw)
        scope: dict[str, Any] = {"examples": tuple(examples)} if examples else {}
        if raw.get("rule") == "json_schema" and "schema_file" in raw:
            raw["schema"] = self._read_schema(str(raw.pop("schema_file")), where)
        if raw.get("rule") == PythonFunction.NAME and isinstance(raw.get("function"), str):
            scope["folder"] = str(self.path.parent)
        rule = make_rule(raw, where=where, **scope)
        if isinstance(rule, PythonFunction):
            rule = self._load_code(rule, where)
        words = rule.min_reference_words, rule.max_reference_words
        concerned = (rule.tags, rule.examples, *words, rule.reference_form)
        key = (rule.detector, rule.default_kind, *concerned)
        if key in self.places:
            raise SuiteError(
                f"the same detector {rule.detector!r} and kind {rule.default_kind!r} as in "
                f"{self.places[key]}",
                where=where,
                next_step="give one of the two rules a 'name'",
            )
        self.places[key] = where
        self.rules.append(rule)

    def _load_code(self, rule: PythonFunction, where: str) -> PythonFunction:
        """A Python rule with its file run; the file's hash is part of the rule's version."""
        file = self.path.parent / rule.function.rpartition(":")[0]
        inside = self.code_root is None or file.resolve().is_relative_to(self.code_root.resolve())
        if not inside:
            raise SuiteError(
                f"rule 'python': {rule.function.rpartition(':')[0]} lies outside the project",
                where=where,
                next_step="move it into the project, or set evaluate.outside_code = true",
            )
        try:
            load_function(rule.function, self.path.parent)
        except ValueError as error:
            raise SuiteError(f"rule 'python': {error}", where=where) from None
        return rule.model_copy(update={"file_hash": file_digest(file)})

    def _add_examples(self, examples: Sequence[Example]) -> None:
        """The suite's items; one item has one position, tags and group."""
        for example in examples:
            if example.id in self.items:
                raise SuiteError(
                    f"the same item as in {self.items[example.id]}: {example.prompt_text[:60]!r}",
                    where=example.source,
                    next_step="give one item all the rules, or change its words",
                )
            self.items[example.id] = example.source
            self.examples.append(example)

    def _read_schema(self, name: str, where: str) -> Any:
        try:
            return json.loads(read_text_file(self.path.parent / name))
        except (OSError, ValueError, RecursionError) as error:
            raise SuiteError(f"schema_file {name!r}: {error}", where=where) from None

    def _add_item(self, raw: dict[str, Any], where: str) -> None:
        self._refuse_unknown(raw, ITEM_KEYS, where)
        if "example" in raw:
            ids = (str(raw["example"]),)
        else:
            example = self._make_example(raw, where)
            self._add_examples([example])
            ids = (example.id,)
        rules = raw.get("rules", [])
        if not isinstance(rules, list):
            raise SuiteError("'rules' is a list of rules", where=where, next_step=HELP)
        for rule in rules:
            self._add_rule(rule, where, examples=ids)

    def _make_example(self, raw: Mapping[str, Any], where: str) -> Example:
        """An item of the suite, from ``prompt`` or ``messages``, and ``reference``."""
        if isinstance(raw.get("prompt"), str):
            prompt = raw["prompt"]
            user = (
                Message("user", self.instruction, input=prompt)
                if self.instruction
                else Message("user", prompt)
            )
            messages = [user]
        elif isinstance(raw.get("messages"), list) and raw["messages"]:
            try:
                messages = [Message.from_dict(m) for m in raw["messages"]]
            except (KeyError, TypeError) as error:
                raise SuiteError(
                    f"a message needs 'role' and 'content' ({error})", where=where, next_step=HELP
                ) from None
        else:
            raise SuiteError(
                "an item needs 'example' (an id), 'prompt' (text) or 'messages'",
                where=where,
                next_step=HELP,
            )
        if raw.get("reference") is not None:
            messages.append(Message("assistant", str(raw["reference"])))
        return Example(
            messages=tuple(messages),
            split="dev",
            group=str(raw.get("group", "")),
            tags=tuple(raw.get("tags", ())),
            source=where,
            why="suite",
        )
