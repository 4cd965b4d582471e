"""Test suites: a TOML or JSONL file of rules and items, read into ``Suite``."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from residency.errors import SuiteError
from residency.evaluate.suites import rules_groups, rules_other, rules_structure, rules_text  # noqa: F401
from residency.evaluate.suites.checklist import CHECKLIST_KEYS, expand_checklist
from residency.evaluate.suites.rule import Rule, make_rule, nearest
from residency.evaluate.suites.rules_other import PythonFunction, file_digest, load_function
from residency.nouns.content_id import content_id
from residency.nouns.example import Example, Message
from residency.text.answer_fields import parse_answer

TOP_KEYS = ("name", "instruction", "rules", "items", "checklist")
ITEM_KEYS = ("example", "prompt", "messages", "reference", "tags", "group", "rules")
HELP = "docs/suites.md shows the form of a suite"

DEFAULT_RULES: tuple[dict[str, Any], ...] = (
    {"rule": "non_empty"},
    {"rule": "exact", "mode": "normalised", "max_reference_words": 8, "severity": 0.8},
    {"rule": "similarity", "min_reference_words": 9, "severity": 0.8},
)
"""Without a suite: short references exactly, longer ones by meaning."""


@dataclass(frozen=True)
class Suite:
    """Rules, and the suite's own items to be answered besides the project's.

    ``source`` is the file, for messages. ``hash`` speaks of rules and items.
    """

    name: str
    rules: tuple[Rule, ...]
    examples: tuple[Example, ...] = ()
    source: str = ""

    @cached_property
    def hash(self) -> str:
        """Content hash of what the rules are, whom they concern and how grave they are."""
        rules = [
            [r.detector, r.default_kind, r.version, r.tags, r.examples, r.severity]
            for r in self.rules
        ]
        return content_id("suite", {"rules": rules, "items": [e.id for e in self.examples]})

    @property
    def needs_embedder(self) -> bool:
        """Whether a rule compares meanings."""
        return any(
            rule.NAME == "similarity" or getattr(rule, "compare", "") == "similarity"
            for rule in self.rules
        )


def load_suite(path: Path | None) -> Suite:
    """A suite from a TOML or JSONL file; the default suite for None.

    Raises:
        SuiteError: no such file, not TOML or JSONL, an unknown rule or key (with the nearest
            known one), a wrong value, two rules that cannot be told apart.
    """
    if path is None:
        rules = tuple(make_rule(raw, where="default suite") for raw in DEFAULT_RULES)
        return Suite("default", rules)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SuiteError(
            "no such file", where=str(path), next_step="correct evaluate.suite in residency.toml"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"cannot be read as UTF-8 text: {error}", where=str(path)) from None
    reader = _Reader(path)
    if path.suffix == ".jsonl":
        return reader.from_jsonl(text)
    if path.suffix == ".toml":
        return reader.from_toml(text)
    raise SuiteError("a suite is a .toml or .jsonl file", where=str(path), next_step=HELP)


def check_suite(suite: Suite, examples: Sequence[Example]) -> tuple[str, ...]:
    """What of the suite cannot work on these examples, in words, before anything is generated.

    Raises:
        SuiteError: a rule needs references and none of the examples in its scope has one, or it
            names a field that no reference has.
    """
    notes = []
    for rule in suite.rules:
        scope = [example for example in examples if rule.applies(example)]
        if not scope:
            notes.append(
                f"{rule.detector}: no example is in its scope{_near_scope(rule, examples)}"
            )
            continue
        _check_fields(suite, rule, scope)
        bare = [example for example in scope if example.reference is None]
        if rule.needs_reference and len(bare) == len(scope):
            raise SuiteError(
                f"rule {rule.detector!r} compares with references, and none of its "
                f"{len(scope)} examples has one",
                where=suite.source or bare[0].source,
                next_step="give the examples a response, or take the rule out of the suite",
            )
        if rule.needs_reference and bare:
            first = bare[0].source or bare[0].id
            notes.append(
                f"{rule.detector}: {len(bare)} of {len(scope)} examples have no reference "
                f"(the first: {first}); they stay unscored"
            )
    return tuple(notes)


def _near_scope(rule: Rule, examples: Sequence[Example]) -> str:
    """Which tag or id may have been meant."""
    if rule.tags:
        tags = sorted({tag for example in examples for tag in example.tags})
        return f" (tags {', '.join(rule.tags)}){nearest(rule.tags[0], tags)}"
    if rule.examples:
        return f" (examples {', '.join(rule.examples[:3])})"
    return ""


def _check_fields(suite: Suite, rule: Rule, scope: Sequence[Example]) -> None:
    """A misspelt field is in no reference: every answer would fail, or none be scored."""
    wanted = [rule.field] if rule.field else list(getattr(rule, "fields", ()))
    known: dict[str, None] = {}
    for example in scope if wanted else ():
        reference = parse_answer(example.reference or "", rule.parse)
        if not reference.problems:  # prose is not a list of fields, though it may hold colons
            known.update(dict.fromkeys(reference.fields))
    for name in wanted if known else ():
        if name.casefold() not in known:
            raise SuiteError(
                f"rule {rule.detector!r} looks at the field {name!r}, which is in no reference "
                f"of its {len(scope)} examples{nearest(name, known)}",
                where=suite.source,
                next_step=f"their fields: {', '.join(list(known)[:12])}",
            )


class _Reader:
    """Collects rules and items from one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rules: list[Rule] = []
        self.examples: list[Example] = []
        self.items: dict[str, str] = {}
        self.instruction = ""
        self.places: dict[tuple[Any, ...], str] = {}

    def from_toml(self, text: str) -> Suite:
        try:
            raw = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SuiteError(f"not valid TOML: {error}", where=str(self.path)) from None
        self._known(raw, TOP_KEYS, str(self.path))
        self.instruction = str(raw.get("instruction", ""))
        for where, rule in self._tables(raw, "rules"):
            self._rule(rule, where)
        for where, item in self._tables(raw, "items"):
            self._item(item, where)
        for where, table in self._tables(raw, "checklist"):
            self._known(table, CHECKLIST_KEYS, where)
            made, rules = expand_checklist(table, self._example, where=where)
            self._keep(made)
            for rule, ids in rules:
                self._rule(rule, where, examples=ids)
        return self._done(str(raw.get("name", self.path.stem)))

    def from_jsonl(self, text: str) -> Suite:
        for number, line in enumerate(text.splitlines(), 1):
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
                self._rule(raw, where)
            else:
                self._item(raw, where)
        return self._done(self.path.stem)

    def _done(self, name: str) -> Suite:
        if not self.rules:
            raise SuiteError("the suite has no rules", where=str(self.path), next_step=HELP)
        return Suite(name, tuple(self.rules), tuple(self.examples), str(self.path))

    def _tables(self, raw: Mapping[str, Any], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
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

    def _known(self, raw: Mapping[str, Any], known: Sequence[str], where: str) -> None:
        for key in raw:
            if key not in known:
                raise SuiteError(
                    f"unknown key {key!r}{nearest(key, known)}",
                    where=where,
                    next_step=f"known keys: {', '.join(known)}; {HELP}",
                )

    def _rule(self, raw: dict[str, Any], where: str, *, examples: Sequence[str] = ()) -> None:
        raw = dict(raw)
        scope: dict[str, Any] = {"examples": tuple(examples)} if examples else {}
        if raw.get("rule") == "json_schema" and "schema_file" in raw:
            raw["schema"] = self._schema(str(raw.pop("schema_file")), where)
        if raw.get("rule") == PythonFunction.NAME and isinstance(raw.get("function"), str):
            scope["folder"] = str(self.path.parent)
        rule = make_rule(raw, where=where, **scope)
        if isinstance(rule, PythonFunction):
            try:
                load_function(rule.function, self.path.parent)
            except ValueError as error:
                raise SuiteError(f"rule 'python': {error}", where=where) from None
            file = self.path.parent / rule.function.rpartition(":")[0]
            rule = rule.model_copy(update={"file_hash": file_digest(file)})
        ambit = (rule.tags, rule.examples, rule.min_reference_words, rule.max_reference_words)
        key = (rule.detector, rule.default_kind, *ambit)
        if key in self.places:
            raise SuiteError(
                f"the same detector {rule.detector!r} and kind {rule.default_kind!r} as in "
                f"{self.places[key]}",
                where=where,
                next_step="give one of the two rules a 'name'",
            )
        self.places[key] = where
        self.rules.append(rule)

    def _keep(self, made: Sequence[Example]) -> None:
        """Items of the suite's own; one item has one place, tags and group."""
        for example in made:
            if example.id in self.items:
                raise SuiteError(
                    f"the same item as in {self.items[example.id]}: {example.prompt_text[:60]!r}",
                    where=example.source,
                    next_step="give one item all the rules, or change its words",
                )
            self.items[example.id] = example.source
            self.examples.append(example)

    def _schema(self, name: str, where: str) -> Any:
        try:
            return json.loads((self.path.parent / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SuiteError(f"schema_file {name!r}: {error}", where=where) from None

    def _item(self, raw: dict[str, Any], where: str) -> None:
        self._known(raw, ITEM_KEYS, where)
        if "example" in raw:
            ids = (str(raw["example"]),)
        else:
            example = self._example(raw, where)
            self._keep([example])
            ids = (example.id,)
        rules = raw.get("rules", [])
        if not isinstance(rules, list):
            raise SuiteError("'rules' is a list of rules", where=where, next_step=HELP)
        for rule in rules:
            self._rule(rule, where, examples=ids)

    def _example(self, raw: Mapping[str, Any], where: str) -> Example:
        """An item of the suite's own, from ``prompt`` or ``messages``, and ``reference``."""
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
