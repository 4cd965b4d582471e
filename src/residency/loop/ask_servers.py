"""Servers that a long command will need later are asked before its work begins.

Otherwise a run trains and answers for an hour before it finds that nobody embeds or judges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from residency.config.settings import Config
from residency.errors import EndpointError
from residency.interfaces import Embedder, Prompt
from residency.nouns.example import Example, Message
from residency.nouns.model import Model
from residency.nouns.response import Sampling
from residency.project.endpoints import open_configured_endpoint
from residency.project.named_kinds import read_kinds
from residency.project.step_needs import HasAnswers, HasSettings

_WORD = "Hello"


class _Measures(HasSettings, Protocol):
    @property
    def embedder(self) -> Embedder:
        """Vectors of texts."""


def ask_servers(ws: _Measures) -> None:
    """Send one word to each server that measures answers: the embedder, and the judge of named kinds.

    Raises:
        EndpointError: one cannot be asked; the message names the setting.
    """
    if ws.config.evaluate.embedder == "endpoint":
        _name_setting("embedding", lambda: ws.embedder.embed([_WORD]))
    if _needs_judge(ws, ws.config):
        generator, _ = open_configured_endpoint(ws.config.judge, "judge")
        prompt = Prompt((Message("user", _WORD),), key="probe")
        _name_setting("judge", lambda: generator.generate([prompt], Sampling(max_new_tokens=16)))


def has_unanswered(ws: HasAnswers, model: Model, examples: Sequence[Example]) -> bool:
    """Whether the model still has to answer one of these: else no server is needed for long."""
    stored = ws.store.responses(model.id, examples, ws.sampling)
    return len(stored) < len(examples) * ws.config.generate.samples


def _needs_judge(ws: _Measures, config: Config) -> bool:
    kinds = read_kinds(ws.root)
    return bool(config.judge.url) and any(kind.by == "judge" and kind.usable for kind in kinds)


def _name_setting(section: str, ask: Callable[[], object]) -> None:
    try:
        ask()
    except EndpointError as error:
        raise EndpointError(
            error.what,
            where=f"residency.toml [{section}], {error.where}",
            next_step=f"start the server, or correct [{section}]; nothing was trained or answered",
        ) from None
