"""Models' answers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence

from sqlalchemy import literal_column, select

from residency.nouns.content_id import canonical_json, content_id
from residency.nouns.example import Example
from residency.nouns.response import Response, Sampling
from residency.store import schema
from residency.store.database import Database, chunked
from residency.store.stored_bodies import read_response


class ResponseTables(Database):
    """Responses, in nouns."""

    def add_responses(self, responses: Sequence[Response]) -> None:
        """Responses, each stored at once so that a cut-off generation loses nothing."""
        self._insert(
            schema.responses,
            [
                {
                    "id": r.id,
                    "model": r.model,
                    "example": r.example,
                    "sample": r.sample,
                    "sampling": sampling_id(r.sampling),
                    "body": canonical_json(dataclasses.asdict(r)),
                }
                for r in responses
            ],
        )

    def responses(
        self,
        model: str,
        examples: Iterable[Example] | None = None,
        sampling: Sampling | None = None,
    ) -> list[Response]:
        """A model's responses, in the order of ``examples`` when they are given."""
        table = schema.responses
        query = select(table.c.body).where(table.c.model == model)
        if sampling is not None:
            query = query.where(table.c.sampling == sampling_id(sampling))
        responses = [read_response(body) for body in self._bodies(query)]
        if examples is None:
            return sorted(responses, key=lambda r: (r.example, r.sample))
        order = {example.id: position for position, example in enumerate(examples)}
        wanted = [r for r in responses if r.example in order]
        return sorted(wanted, key=lambda r: (order[r.example], r.sample))

    def responses_by_id(self, ids: Iterable[str]) -> dict[str, Response]:
        """Some responses by id; those that are not stored are left out."""
        table = schema.responses
        responses = {}
        for some in chunked(ids):
            query = select(table.c.id, table.c.body).where(table.c.id.in_(some))
            with self._read() as connection:
                for key, body in connection.execute(query):
                    responses[str(key)] = read_response(json.loads(body))
        return responses

    def responses_of(self, model: str, examples: Iterable[str]) -> list[Response]:
        """A model's responses to some examples (ids), and nothing else is read."""
        table = schema.responses
        rows: list[Response] = []
        for some in chunked(examples):
            query = select(table.c.body).where(table.c.example.in_(some), table.c.model == model)
            rows += [read_response(body) for body in self._bodies(query)]
        return rows

    def responses_to(self, example: str) -> list[Response]:
        """Every model's answers to one example."""
        table = schema.responses
        bodies = self._bodies(select(table.c.body).where(table.c.example == example))
        return sorted((read_response(body) for body in bodies), key=lambda r: (r.model, r.sample))

    def newest_responses(self, count: int) -> list[Response]:
        """The answers that were stored last, the newest first: what a run writes at this moment."""
        table = schema.responses
        with self._read() as connection:
            # where a row lies tells when it was added; that is near enough for looking on
            row_number = "rowid" if connection.dialect.name == "sqlite" else "ctid"
            query = select(table.c.body).order_by(literal_column(row_number).desc()).limit(count)
            return [read_response(json.loads(row[0])) for row in connection.execute(query)]


def sampling_id(sampling: Sampling) -> str:
    """Content id of sampling settings."""
    return content_id("s", sampling.to_dict())
