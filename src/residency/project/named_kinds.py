"""``kinds.toml``: failure modes that people named and that later rounds measure.

The file lies beside ``residency.toml`` and is append-only: a later entry of the same name replaces
the earlier one. A kind is measured by a rule, by a judge's question, or by reading again;
where neither rule nor judge is good enough by the notes, it is *unscored* and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import tomlkit

from residency.config.parse_toml import TomlTextError, parse_toml
from residency.errors import ConfigError, UserError
from residency.evaluate.suites.rule import Rule
from residency.evaluate.suites.rule_registry import make_rule
from residency.evaluate.suites.suite import Suite
from residency.files.atomic_write import write_text

KINDS_FILE = "kinds.toml"
LONGEST_NAME = 60
Way = Literal["rule", "judge", "reading", "nothing"]
_HEAD = """# Failure modes that were named while reading answers, and how each is measured.
# Entries are added at the end (residency read DIR --kind NAME --by rule); the last one of a name
# counts, and by = "nothing" ends it.
"""


@dataclass(frozen=True)
class NamedKind:
    """One kind.

    Attributes:
        rule: a suite's table, for ``by = "rule"``. criterion: the question whose *yes* is a good
            answer, for ``by = "judge"``.
        usable: whether rule or judge agreed well enough with the notes; an unusable kind is
            unscored. agreement: the figures that say so.
        who, at: who added it, and when.
    """

    name: str
    by: Way
    rule: Mapping[str, Any] = field(default_factory=dict)
    criterion: str = ""
    severity: float = 0.5
    usable: bool = True
    agreement: Mapping[str, Any] = field(default_factory=dict)
    who: str = ""
    at: str = ""

    def make_rule(self) -> Rule:
        """The suite's rule that measures it.

        Raises:
            SuiteError: the table is no rule.
        """
        names = {"name": self.name, "kind": self.name, "severity": self.severity}
        return make_rule({**self.rule, **names}, where=f"{KINDS_FILE} ({self.name})")

    def describe(self) -> str:
        """What its measure is worth by the notes, in a sentence."""
        if self.by in ("reading", "nothing"):
            return "Measured by people alone: what nobody has read stays unscored."
        if not self.agreement:
            return "How far it agrees with the notes was not measured."
        tp, fn, tn, fp = (self.agreement.get(name, 0) for name in ("tp", "fn", "tn", "fp"))
        sentence = (
            f"It finds {tn} of {tn + fp} answers with “{self.name}” and lets {tp} of {tp + fn} "
            "fine ones pass"
        )
        if unscored := self.agreement.get("unscored"):
            sentence += f" ({unscored} could not be scored)"
        if others := self.agreement.get("others"):
            failed = self.agreement.get("others_failed", 0)
            sentence += f"; of {others} noted with another first failure it fails {failed}"
        if self.usable:
            return f"{sentence}: good enough to count by."
        return (
            f"{sentence}: not good enough, so it stays unscored. More notes, another rule or a judge "
            "may do better."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without what is empty."""
        body = {
            "name": self.name, "by": self.by, "rule": dict(self.rule), "criterion": self.criterion,
            "severity": self.severity, "usable": self.usable, "agreement": dict(self.agreement),
            "who": self.who, "at": self.at,
        }  # fmt: skip
        return {key: value for key, value in body.items() if value not in ("", {})}


def check_mode_name(name: str) -> str:
    """A mode's name as it is stored.

    Raises:
        UserError: it is empty, too long, or holds what a kind's name cannot.
    """
    clean = " ".join(name.split())
    if not clean or len(clean) > LONGEST_NAME or not clean.isprintable() or ":" in clean:
        raise UserError(
            f"{name[:80]!r} cannot be a mode's name",
            next_step=f"1 to {LONGEST_NAME} printable characters, without a colon",
        )
    return clean


def read_kinds(root: Path) -> list[NamedKind]:
    """The kinds of a project's file that count; empty where there is none.

    Raises:
        ConfigError: the file cannot be read, or an entry is wrong.
    """
    path = root / KINDS_FILE
    if not path.is_file():
        return []
    try:
        raw = parse_toml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, TomlTextError) as error:
        raise ConfigError(str(error), where=str(path), next_step="mend the file by hand") from None
    kinds: dict[str, NamedKind] = {}
    tables = raw.get("kinds", [])
    for number, table in enumerate(tables if isinstance(tables, list) else [tables], 1):
        kind = _read_kind(table, f"{path} kinds[{number}]")
        kinds.pop(kind.name, None)
        if kind.by != "nothing":
            kinds[kind.name] = kind
    return list(kinds.values())


def join_kinds(suite: Suite, root: Path) -> Suite:
    """A suite with the rules of the project's kinds; itself where there are none.

    Raises:
        ConfigError: the file of kinds is wrong.
    """
    rules = [kind.make_rule() for kind in read_kinds(root) if kind.by == "rule" and kind.usable]
    return replace(suite, rules=(*suite.rules, *rules)) if rules else suite


def append_kind(root: Path, kind: NamedKind) -> NamedKind:
    """Add a kind at the end of the file; gives it with its time."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    stamped = NamedKind(**{**vars(kind), "at": at})
    path = root / KINDS_FILE
    before = path.read_text(encoding="utf-8") if path.is_file() else _HEAD
    table = tomlkit.table()
    for key, value in stamped.to_dict().items():
        table[key] = _inline(value) if isinstance(value, dict) else value
    entry = tomlkit.aot()
    entry.append(table)
    document = tomlkit.document()
    document["kinds"] = entry
    write_text(path, before.rstrip("\n") + "\n\n" + tomlkit.dumps(document))
    return stamped


def _inline(values: Mapping[str, Any]) -> Any:
    table = tomlkit.inline_table()
    table.update({key: value for key, value in values.items() if value is not None})
    return table


def _read_kind(table: Any, where: str) -> NamedKind:
    if not isinstance(table, dict) or not isinstance(table.get("name"), str):
        raise ConfigError("a kind needs a name", where=where, next_step="docs/reading.md")
    try:
        name = check_mode_name(table["name"])
    except UserError as error:
        raise ConfigError(error.what, where=where, next_step=error.next_step) from None
    by = table.get("by")
    if by not in get_args(Way):
        raise ConfigError(
            f"'by' is {by!r}", where=where, next_step=f"one of {', '.join(get_args(Way))}"
        )
    known = {key: table[key] for key in vars(NamedKind("", "rule")) if key in table}
    kind = NamedKind(**{**known, "name": name})
    if by == "rule" and kind.usable:
        kind.make_rule()
    if by == "judge" and not kind.criterion:
        raise ConfigError("a judge needs a 'criterion'", where=where, next_step="docs/reading.md")
    return kind
