"""Runs the detectors: responses → findings, without generating anything again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.detectors.base import Context, Detector, Item, make_finding
from residency.diagnose.detectors.registry import find_detectors
from residency.errors import ConfigError, DataError
from residency.interfaces import Embedder
from residency.nouns.example import Example, by_id
from residency.nouns.finding import Finding
from residency.nouns.response import Response


def run_detectors(
    examples: Iterable[Example],
    responses: Sequence[Response],
    *,
    known_words: set[str],
    embedder: Embedder,
    config: DiagnoseConfig,
    max_new_tokens: int,
    names: Sequence[str] | None = None,
    label_values: Mapping[str, set[str]] | None = None,
) -> list[Finding]:
    """One finding for each response and detector: pass, fail or unscored.

    Args:
        examples: at least those that the responses answer.
        known_words: lower-cased words of the training data; never misspelt.
        names: detectors to run; default ``config.detectors``, or all.
        label_values: field → its class labels (``fields.label_values``); a field value outside
            them must stand in the message.

    Raises:
        ConfigError: an unknown detector. DataError: a response to an unknown example.
    """
    chosen = choose_detectors(config, names)
    table = by_id(examples)
    context = Context(
        known_words=frozenset(known_words),
        embedder=embedder,
        config=config,
        max_new_tokens=max_new_tokens,
        label_values={k.lower(): frozenset(v) for k, v in (label_values or {}).items()},
    )
    items: list[Item] = []
    failed: list[Item] = []
    for response in responses:
        if response.example not in table:
            raise DataError(
                f"response {response.id} answers an example that is not given",
                where=response.example,
                next_step="pass every example that the responses belong to",
            )
        item = Item(table[response.example], response)
        (failed if response.finish == "error" else items).append(item)
    findings = []
    for detector in chosen:
        findings += detector.run(items, context)
        findings += [
            make_finding(
                detector.name,
                detector.version,
                item,
                "unscored",
                message="no answer: endpoint error",
            )
            for item in failed
        ]
    return findings


def choose_detectors(config: DiagnoseConfig, names: Sequence[str] | None = None) -> list[Detector]:
    """The detectors named, or those of ``config.detectors``, or all.

    Raises:
        ConfigError: an unknown detector.
    """
    known = find_detectors()
    chosen = list(names if names is not None else config.detectors) or list(known)
    for name in chosen:
        if name not in known:
            raise ConfigError(
                f"unknown detector {name!r}",
                where="diagnose.detectors",
                next_step=f"choose from {', '.join(known)}",
            )
    return [known[name] for name in chosen]
