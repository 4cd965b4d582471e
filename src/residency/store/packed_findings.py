"""An answer's findings in one short row: most say the same of thousands of answers.

A check that passed, or could not be scored, differs from answer to answer in nothing but the
answer's id and perhaps a measured figure. So what it says stands once in the table ``checks``, and
an answer's row in ``outcomes`` names the numbers of its checks. A failure carries evidence: its
row names the check, and the finding itself stands in full in ``findings``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from residency.nouns.content_id import canonical_json
from residency.nouns.finding import Finding, Status

LONGEST_MESSAGE = 200
"""A longer reason speaks of one answer and is stored with it."""


class Check(NamedTuple):
    """What a check said, whatever the answer. ``message`` is empty for a failure: its finding says why."""

    detector: str
    version: str
    kind: str
    status: Status
    message: str


@dataclass
class PackedRow:
    """One answer's row: numbers of failed checks, of the others, and figures by number."""

    failed: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    values: dict[int, float] = field(default_factory=dict)


def is_repeated(finding: Finding) -> bool:
    """Whether a finding says nothing of its answer but a figure."""
    return (
        finding.status != "fail"
        and not finding.spans
        and not finding.severity
        and len(finding.message) <= LONGEST_MESSAGE
    )


def check_of(finding: Finding) -> Check:
    """What a finding says, whatever the answer."""
    message = finding.message if is_repeated(finding) else ""
    return Check(finding.detector, finding.version, finding.kind, finding.status, message)


def pack_findings(
    findings: Iterable[Finding], number_of: Callable[[Check], int]
) -> tuple[dict[str, PackedRow], list[Finding]]:
    """Each answer's row, by response id, and the findings that are stored in full."""
    rows: dict[str, PackedRow] = {}
    full = []
    for finding in findings:
        row = rows.setdefault(finding.response, PackedRow())
        number = number_of(check_of(finding))
        (row.failed if finding.status == "fail" else row.repeated).append(number)
        if not is_repeated(finding):
            full.append(finding)
        elif finding.value is not None:
            row.values[number] = finding.value
    return rows, full


def unpack_findings(
    response: str, repeated: Sequence[int], values: Mapping[int, float], checks: Mapping[int, Check]
) -> list[Finding]:
    """The findings that a row stands for."""
    return [
        replace(_plain_finding(checks[number]), response=response, value=values.get(number))
        for number in repeated
    ]


def _plain_finding(check: Check) -> Finding:
    return Finding(
        "", check.kind, check.status, check.detector, check.version, message=check.message
    )


def write_numbers(numbers: Iterable[int]) -> str:
    """``[3, 17]`` → ``,3,17,`` so that one number can be searched for as ``,17,``."""
    text = ",".join(str(number) for number in sorted(set(numbers)))
    return f",{text}," if text else ""


def read_numbers(text: str) -> tuple[int, ...]:
    """The inverse of ``write_numbers``."""
    return tuple(int(number) for number in text.strip(",").split(",") if number)


def write_values(values: Mapping[int, float]) -> str:
    """Figures as JSON; nothing where there are none."""
    return (
        canonical_json({str(number): value for number, value in values.items()}) if values else ""
    )


def read_values(text: str) -> dict[int, float]:
    """The inverse of ``write_values``."""
    return {int(number): value for number, value in json.loads(text).items()} if text else {}
