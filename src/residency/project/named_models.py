"""Models by the names that people give them: ``base``, ``final``, ``round-1``, or an id."""

from __future__ import annotations

from collections.abc import Sequence

from residency.errors import StoreError, UserError
from residency.evaluate.baselines.prompting import choose_shots, prompting_name
from residency.nouns.example import Example
from residency.nouns.model import Model
from residency.project.step_needs import HasBase, HasRows
from residency.store.stage_key import StageKey, StageName
from residency.store.store import Store
from residency.text.counts import write_count

ZERO_SHOT = "zero-shot"
ENDPOINT = "endpoint:"
"""How the base of a model at an endpoint begins."""


def make_base_model(ws: HasBase, shots: Sequence[Example] = ()) -> Model:
    """The bare base under zero-shot prompting, or under few-shot with these examples; not stored."""
    prompting = prompting_name(shots)
    return Model(base=ws.base.identity, prompting=prompting, settings={"chat": ws.chat_format.hash})


def register_base_model(ws: HasBase, shots: Sequence[Example] = ()) -> Model:
    """``make_base_model``, stored."""
    model = make_base_model(ws, shots)
    if not ws.store.has_model(model.id):
        with ws.store.writer("eval"):
            ws.store.add_model(model)
    return model


def choose_project_shots(ws: HasRows) -> list[Example]:
    """The fixed examples of the few-shot prompt, from train."""
    return choose_shots(ws.split("train"), ws.config.evaluate.few_shot, ws.config.project.seed)


def label_model(model: Model) -> str:
    """How a model is called in tables."""
    if model.base.startswith(ENDPOINT):
        return "endpoint " + model.base.removeprefix(ENDPOINT)
    if model.adapter is None:
        return "base, " + model.prompting.rsplit(":", 1)[0].replace(":", " ")
    return f"round {model.round}" + (f", {model.arm}" if model.arm != "main" else "")


def require_local(ws: HasBase, model: Model, what: str) -> None:
    """The loaded base must not answer in another model's name.

    Raises:
        UserError: the model is an endpoint's, or has another base.
    """
    if model.base.startswith(ENDPOINT):
        step = "residency eval --endpoint URL --endpoint-model NAME asks an endpoint"
        raise UserError(what, where=label_model(model), next_step=step)
    if _name_weights(model.base) != _name_weights(ws.base.identity):
        raise UserError(
            f"{what}: its base is another than this project's",
            where=f"{model.id}, {model.base}",
            next_step="set model.base back to it, with the files that it had; or train again on "
            f"{ws.base.identity}",
        )


def _name_weights(identity: str) -> str:
    """Source and checksum of a base; a folder may be called otherwise by now."""
    return identity.rsplit("@", 1)[-1]


def find_model(ws: HasBase, name: str) -> Model:
    """A model by name: ``base``, ``few-shot``, ``final``, ``round-N``, ``round-N-control``, or an id.

    Raises:
        StoreError: no stored model is meant.
    """
    if name in ("base", ZERO_SHOT):
        return register_base_model(ws)
    if name == "few-shot":
        return register_base_model(ws, choose_project_shots(ws))
    trained = find_trained_model(ws.store, name)
    if trained:
        return ws.store.model(trained)
    run = ws.store.latest_run()
    rounds = ws.store.rounds(run) if run else []
    ids = [key for key in ws.store.find(name) if key.startswith("m-")] if name else []
    if len(ids) == 1:
        return ws.store.model(ids[0])
    known = ["base", "few-shot", *(f"round-{r.index}" for r, _ in rounds if r.arm == "main")]
    raise StoreError(
        f"no stored model is called {name!r}"
        if not ids
        else f"{name!r} fits {write_count(len(ids), 'model')}",
        next_step=f"name one of: {', '.join(known)}, or an id from residency status",
    )


def find_trained_model(store: Store, name: str) -> str:
    """Id of the latest run's ``final``, ``round-N`` or ``round-N-control``; empty for no such name."""
    run = store.latest_run()
    rounds = store.rounds(run) if run else []
    if name == "final" and run:
        done = store.stage(run, StageKey(StageName.COMPLETE))
        mains = [r.model for r, _ in rounds if r.arm == "main"]
        if done is not None or mains:
            return str(done["result"]["final"] if done else mains[-1])
    for round_, _ in rounds:
        suffix = "" if round_.arm == "main" else f"-{round_.arm}"
        if name == f"round-{round_.index}{suffix}":
            return round_.model
    return ""


def choose_model_shots(ws: HasRows, model: Model) -> list[Example]:
    """The few-shot examples that a model is prompted with."""
    return [] if model.prompting == ZERO_SHOT else choose_project_shots(ws)
