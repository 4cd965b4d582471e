"""Stored JSON bodies back into nouns (JSON has no tuples)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from residency.nouns.dataset_version import DatasetVersion
from residency.nouns.example import Example
from residency.nouns.finding import Finding, Span
from residency.nouns.issue import Issue, Slice
from residency.nouns.model import Model
from residency.nouns.proposal import Proposal
from residency.nouns.response import Response, Sampling


def read_dataset(body: Mapping[str, Any]) -> DatasetVersion:
    """A dataset version."""
    return DatasetVersion(**{**body, "rows": tuple(body["rows"])})


def read_model(body: Mapping[str, Any]) -> Model:
    """A model."""
    return Model(**body)


def read_response(body: Mapping[str, Any]) -> Response:
    """A response."""
    sampling = Sampling(**{**body["sampling"], "stop": tuple(body["sampling"]["stop"])})
    return Response(**{**body, "sampling": sampling, "token_ids": tuple(body["token_ids"])})


def read_finding(body: Mapping[str, Any]) -> Finding:
    """A finding."""
    return Finding(**{**body, "spans": tuple(Span(**span) for span in body["spans"])})


def read_issue(body: Mapping[str, Any]) -> Issue:
    """An issue."""
    raw = body["slice"]
    slice_ = Slice(raw["by"], raw["value"], tuple(raw["members"]))
    return Issue(**{**body, "slice": slice_, "examples": tuple(body["examples"])})


def read_proposal(body: Mapping[str, Any]) -> Proposal:
    """A proposal."""
    return Proposal(**{**body, "example": Example.from_dict(body["example"])})


def proposal_body(proposal: Proposal) -> dict[str, Any]:
    """JSON-able body of a proposal; the inverse of ``read_proposal``."""
    flat = {f.name: getattr(proposal, f.name) for f in dataclasses.fields(proposal)}
    return {**flat, "example": proposal.example.to_dict()}
