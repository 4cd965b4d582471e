"""Which models are served, by which names: fixed when the server starts.

Names that clients send are looked up here and nowhere else, so none of them reaches a file or the
store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from residency.errors import StoreError
from residency.infer.live_engine import BASE
from residency.nouns.model import Model
from residency.project.named_models import ZERO_SHOT, make_base_model
from residency.project.workspace import Workspace
from residency.serve.api_errors import ApiError
from residency.store.artifacts import name_artifact


@dataclass(frozen=True)
class ServedModel:
    """One model: its stored id, and what is loaded for it. ``key`` is the same for all its names.

    ``find_adapter`` gives the folder of its adapter, fetched from the team where it is not here; None
    for the base.
    """

    id: str
    key: str
    find_adapter: Callable[[], Path] | None


@dataclass(frozen=True)
class Catalogue:
    """Served models by name. ``notes``: which stored ones are not served, and what would serve them."""

    _models: Mapping[str, ServedModel]
    notes: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Every name, the plain ones first, then ids."""
        return list(self._models)

    def find(self, name: str) -> ServedModel:
        """The model that a client names.

        Raises:
            ApiError: there is none.
        """
        try:
            return self._models[name]
        except KeyError:
            raise ApiError(
                404, f"The model {name[:80]!r} does not exist. GET /v1/models lists those that do.",
                param="model", code="model_not_found",
            ) from None  # fmt: skip


def list_served_models(ws: Workspace) -> Catalogue:
    """The base, each round's model, ``final``, and by its id every adapter of this base that is here or,
    with ``project.artifacts``, with the team: that one is fetched when a client first names it.

    Models that are only a way of prompting the base (few-shot) are not served: a client writes its
    messages.

    Raises:
        StoreError: an adapter of the latest run can be had no more.
    """
    base = make_base_model(ws)
    served = {"base": ServedModel(base.id, BASE, None)}
    stored = [m for m in ws.store.models() if m.base == ws.base.identity and m.adapter]
    for name, model in _name_models(ws).items():
        if model.adapter and model.base == ws.base.identity:
            served[name] = _serve(ws, model)
            ws.store.artifacts.folder(model.adapter)  # those with a name must be there
        elif model.id == base.id:
            served[name] = served["base"]
    served[base.id] = served["base"]
    shared, notes = _list_shared(ws)
    absent = 0
    for model in stored:  # an older run's may be cleaned away, or lie on another member's machine
        adapter = model.adapter or ""
        if (
            ws.store.artifacts.check_artifact(adapter) == "whole"
            or name_artifact(adapter) in shared
        ):
            served.setdefault(model.id, _serve(ws, model))
        else:
            absent += 1
    return Catalogue(served, [*notes, *_tell_absent(ws, absent)])


def _list_shared(ws: Workspace) -> tuple[set[str], list[str]]:
    """Names of the adapters that the team's place has; where it cannot be reached, that it is so."""
    try:
        return ws.store.artifacts.list_shared(), []
    except StoreError as error:
        return set(), [
            f"By id only adapters of this machine are served: {error.what} ({error.where})."
        ]


def _tell_absent(ws: Workspace, count: int) -> list[str]:
    if not count:
        return []
    step = (
        "residency run on the machine that has them sends them to project.artifacts"
        if ws.config.project.artifacts
        else "a team shares them by project.artifacts"
    )
    are = (
        "stored model is not served by its id: its adapter is"
        if count == 1
        else ("stored models are not served by their ids: their adapters are")
    )
    return [f"{count} {are} not on this machine ({step})."]


def _name_models(ws: Workspace) -> dict[str, Model]:
    """Models of the latest run by their names."""
    from residency.project.named_models import find_model

    run = ws.store.latest_run()
    names: list[str] = []
    for round_, _ in ws.store.rounds(run) if run else []:
        if round_.index == 0:
            continue  # ways of prompting the base
        suffix = "" if round_.arm == "main" else f"-{round_.arm}"
        names.append(f"round-{round_.index}{suffix}")
    models = {name: find_model(ws, name) for name in names}
    if any(name.count("-") == 1 for name in names):
        models["final"] = find_model(ws, "final")
    return {name: m for name, m in models.items() if m.prompting == ZERO_SHOT}


def _serve(ws: Workspace, model: Model) -> ServedModel:
    assert model.adapter is not None
    return ServedModel(model.id, model.id, partial(ws.store.artifacts.folder, model.adapter))
