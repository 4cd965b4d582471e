"""The judge model of a project."""

from __future__ import annotations

from residency.evaluate.judge.answer_cache import FileCache
from residency.evaluate.judge.judge import Judge
from residency.interfaces import Generator
from residency.project.endpoints import open_configured_endpoint
from residency.project.step_needs import HasSettings


def make_judge(ws: HasSettings, generator: Generator, name: str) -> Judge:
    """A judge whose answers are cached in the project, so that no question is paid for twice."""
    return Judge(
        generator,
        name,
        cache=FileCache(ws.store.folder / "cache" / "judge.jsonl"),
        structured=ws.config.judge.structured,
        max_new_tokens=ws.config.judge.max_new_tokens,
    )


def open_judge(ws: HasSettings) -> Judge:
    """The judge at the endpoint in ``[judge]``.

    Raises:
        ConfigError: no endpoint is named.
    """
    return make_judge(ws, *open_configured_endpoint(ws.config.judge, "judge"))
