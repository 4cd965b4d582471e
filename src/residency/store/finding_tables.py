"""What the checks said of each answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update

from residency.nouns.content_id import canonical_json
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.store import schema
from residency.store.database import Database, chunked, insert_missing
from residency.store.packed_findings import (
    Check,
    PackedRow,
    check_of,
    pack_findings,
    read_numbers,
    read_values,
    unpack_findings,
    write_numbers,
    write_values,
)
from residency.store.stored_bodies import read_finding


class Outcome(NamedTuple):
    """What the checks said of one answer: numbers of ``checks`` that failed, and of the others."""

    example: str
    response: str
    sample: int
    failed: tuple[int, ...]
    repeated: tuple[int, ...]


class FindingTables(Database):
    """Findings, in nouns; and in short rows for whoever counts over thousands."""

    def add_findings(self, scope: str, findings: Sequence[Finding]) -> None:
        """Findings. ``scope`` names what they were judged against (suite and settings hash)."""
        if not findings:
            return
        with self._write() as connection:
            numbers = _number_checks(connection, {check_of(finding) for finding in findings})
            rows, full = pack_findings(findings, numbers.__getitem__)
            known = _known_rows(connection, scope, rows)
            owners = _owners(connection, [key for key in rows if key not in known])
            fresh = [
                _outcome_row(scope, key, row, *owners.get(key, ("", "", 0)))
                for key, row in rows.items()
                if key not in known
            ]
            if fresh:
                insert_missing(connection, schema.outcomes, fresh)
            for key, old in known.items():
                _add_to_row(connection, scope, key, old, rows[key])
            if full:
                insert_missing(
                    connection,
                    schema.findings,
                    [
                        {
                            "scope": scope,
                            "response": f.response,
                            "detector": f.detector,
                            "version": f.version,
                            "kind": f.kind,
                            "status": f.status,
                            "body": canonical_json(dataclasses.asdict(f)),
                        }
                        for f in full
                    ],
                )

    def findings(self, scope: str, responses: Iterable[Response]) -> list[Finding]:
        """Findings of a scope on these responses."""
        ids = [r.id for r in responses]
        full, packed = schema.findings, schema.outcomes
        checks = self.checks()
        findings: dict[tuple[str, str, str, str], Finding] = {}
        for some in chunked(ids):
            query = select(full.c.body).where(full.c.scope == scope, full.c.response.in_(some))
            for body in self._bodies(query):
                finding = read_finding(body)
                findings[_key_of(finding)] = finding
            short = select(packed.c.response, packed.c.repeated, packed.c.measured)
            short = short.where(packed.c.scope == scope, packed.c.response.in_(some))
            with self._read() as connection:
                rows = connection.execute(short).all()
            for response, repeated, measured in rows:
                values = read_values(measured)
                for finding in unpack_findings(response, read_numbers(repeated), values, checks):
                    findings.setdefault(_key_of(finding), finding)
        position = {response: number for number, response in enumerate(ids)}
        return sorted(findings.values(), key=lambda f: (position[f.response], f.detector, f.kind))

    # --- short rows ------------------------------------------------------------------------

    def checks(self) -> dict[int, Check]:
        """Everything that a check ever said of an answer, by number."""
        table = schema.checks
        query = select(
            table.c.id,
            table.c.detector,
            table.c.version,
            table.c.kind,
            table.c.status,
            table.c.message,
        )
        with self._read() as connection:
            return {int(row[0]): Check(*row[1:]) for row in connection.execute(query)}

    def outcomes(
        self, scopes: Sequence[str], model: str, examples: Sequence[str] | None = None
    ) -> list[Outcome]:
        """What the checks said of a model's answers: of all, or of those to some examples.

        An answer that was judged under several scopes has what all of them said; of two checks
        of one detector and kind the later scope's counts.
        """
        table = schema.outcomes
        query = select(
            table.c.scope,
            table.c.example,
            table.c.response,
            table.c.sample,
            table.c.failed,
            table.c.repeated,
        ).where(table.c.model == model, table.c.scope.in_(scopes))
        queries = (
            [query]
            if examples is None
            else [query.where(table.c.example.in_(some)) for some in chunked(examples)]
        )
        # thousands of answers share what the checks said of them: each text is read once, and
        # answers that share it share one tuple
        numbers: dict[str, tuple[int, ...]] = {}
        first: dict[str, Outcome] = {}
        again: dict[str, list[tuple[str, Outcome]]] = {}
        scope_of: dict[str, str] = {}
        with self._read() as connection:
            for each in queries:
                # plain rows of the driver: hundreds of thousands are read, and these cost a third
                cursor: Any = connection.execute(each).cursor
                for scope, example, response, sample, failed, repeated in cursor.fetchall():
                    for text in (failed, repeated):
                        if text not in numbers:
                            numbers[text] = read_numbers(text)
                    outcome = Outcome(example, response, sample, numbers[failed], numbers[repeated])
                    if response in first:
                        again.setdefault(response, []).append((scope, outcome))
                    else:
                        first[response], scope_of[response] = outcome, scope
        if again:
            checks, order = self.checks(), {scope: number for number, scope in enumerate(scopes)}
            for response, others in again.items():
                several = [(scope_of[response], first[response]), *others]
                several.sort(key=lambda pair: order[pair[0]])
                first[response] = _joined([row for _, row in several], checks)
        return list(first.values())


def _key_of(finding: Finding) -> tuple[str, str, str, str]:
    return finding.response, finding.detector, finding.version, finding.kind


def _joined(outcomes: Sequence[Outcome], checks: Mapping[int, Check]) -> Outcome:
    latest: dict[tuple[str, str], list[int]] = {}
    for outcome in outcomes:
        outcome_numbers: dict[tuple[str, str], list[int]] = {}
        for number in (*outcome.failed, *outcome.repeated):
            outcome_numbers.setdefault((checks[number].detector, checks[number].kind), []).append(
                number
            )
        latest.update(outcome_numbers)
    numbers = [number for several in latest.values() for number in several]
    failed = tuple(number for number in numbers if checks[number].status == "fail")
    others = tuple(number for number in numbers if checks[number].status != "fail")
    return outcomes[-1]._replace(failed=failed, repeated=others)


def _number_checks(connection: Connection, checks: set[Check]) -> dict[Check, int]:
    table = schema.checks
    columns = (table.c.detector, table.c.version, table.c.kind, table.c.status, table.c.message)

    def read() -> dict[Check, int]:
        rows = connection.execute(select(table.c.id, *columns))
        return {Check(*row[1:]): int(row[0]) for row in rows}

    numbers = read()
    fresh = sorted(checks - numbers.keys())
    if fresh:
        insert_missing(connection, table, [check._asdict() for check in fresh])
        numbers = read()
    return numbers


def _known_rows(
    connection: Connection, scope: str, responses: Iterable[str]
) -> dict[str, PackedRow]:
    table = schema.outcomes
    columns = (table.c.response, table.c.failed, table.c.repeated, table.c.measured)
    known = {}
    for some in chunked(responses):
        query = select(*columns).where(table.c.scope == scope, table.c.response.in_(some))
        for response, failed, repeated, measured in connection.execute(query):
            known[str(response)] = PackedRow(
                list(read_numbers(failed)), list(read_numbers(repeated)), read_values(measured)
            )
    return known


def _owners(connection: Connection, responses: Iterable[str]) -> dict[str, tuple[str, str, int]]:
    """Model, example and sample of each stored response."""
    table = schema.responses
    owners = {}
    for some in chunked(responses):
        query = select(table.c.id, table.c.model, table.c.example, table.c.sample)
        for key, *owner in connection.execute(query.where(table.c.id.in_(some))):
            owners[str(key)] = (str(owner[0]), str(owner[1]), int(owner[2]))
    return owners


def _outcome_row(
    scope: str, response: str, row: PackedRow, model: str, example: str, sample: int
) -> dict[str, object]:
    return {
        "scope": scope,
        "response": response,
        "model": model,
        "example": example,
        "sample": sample,
        "failed": write_numbers(row.failed),
        "repeated": write_numbers(row.repeated),
        "measured": write_values(row.values),
    }


def _add_to_row(
    connection: Connection, scope: str, response: str, old: PackedRow, new: PackedRow
) -> None:
    """Later findings are added; what is known stays as it is."""
    if set(new.failed) <= set(old.failed) and set(new.repeated) <= set(old.repeated):
        return
    table = schema.outcomes
    connection.execute(
        update(table)
        .where(table.c.scope == scope, table.c.response == response)
        .values(
            failed=write_numbers([*old.failed, *new.failed]),
            repeated=write_numbers([*old.repeated, *new.repeated]),
            measured=write_values({**new.values, **old.values}),
        )
    )
