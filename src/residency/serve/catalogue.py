"""Which models are served, by which names: fixed when the server starts.

Names that clients send are looked up here and nowhere else, so none of them reaches a file or the
store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from residency.infer.live_engine import BASE
from residency.nouns.model import Model
from residency.project.named_models import ZERO_SHOT, make_base_model
from residency.project.workspace import Workspace
from residency.serve.api_errors import ApiError


@dataclass(frozen=True)
class ServedModel:
    """One model: its stored id, and what is loaded for it. ``key`` is the same for all its names."""

    id: str
    key: str
    adapter: Path | None


class Catalogue:
    """Served models by name."""

    def __init__(self, models: Mapping[str, ServedModel]) -> None:
        self._models = dict(models)

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
    """The base, each round's model, ``final``, and every adapter of this base on this machine by its id.

    Models that are only a way of prompting the base (few-shot) are not served: a client writes its
    messages.

    Raises:
        StoreError: a stored adapter is not there any more.
    """
    base = make_base_model(ws)
    served = {"base": ServedModel(base.id, BASE, None)}
    stored = [m for m in ws.store.models() if m.base == ws.base.identity and m.adapter]
    for name, model in _name_models(ws).items():
        if model.adapter and model.base == ws.base.identity:
            served[name] = _serve(ws, model)
        elif model.id == base.id:
            served[name] = served["base"]
    served[base.id] = served["base"]
    for model in stored:
        # An older run's may be cleaned away, or be another member's; those with a name must be there.
        if model.adapter and ws.store.artifacts.check_artifact(model.adapter) == "whole":
            served.setdefault(model.id, _serve(ws, model))
    return Catalogue(served)


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
    return ServedModel(model.id, model.id, ws.store.artifacts.folder(model.adapter))
