"""A model's ``generation_config.json``: what it says about how answers are written.

``transformers.generate`` and every server that loads the folder follow that file, so we do too:
each setting there that changes an answer is honoured, or refused by its name. How answers are
sampled at all (greedy or not, at which temperature, how long) is the project's choice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from residency.errors import ModelError
from residency.model.declared_ids import NO_TOKEN
from residency.nouns.content_id import content_id
from residency.nouns.response import Sampling

FILE = "generation_config.json"

LOGITS_SETTINGS: Mapping[str, tuple[Any, ...]] = {
    "sequence_bias": (None, [], {}),
    "encoder_repetition_penalty": (None, 1.0),
    "repetition_penalty": (None, 1.0),
    "no_repeat_ngram_size": (None, 0),
    "encoder_no_repeat_ngram_size": (None, 0),
    "bad_words_ids": (None,),
    "min_length": (None, 0),
    "min_new_tokens": (None, 0),
    "forced_bos_token_id": (None,),
    "forced_eos_token_id": (None,),
    "remove_invalid_values": (None, False),
    "exponential_decay_length_penalty": (None,),
    "suppress_tokens": (None, []),
    "begin_suppress_tokens": (None, []),
}
"""Settings that change every token's scores, and their values that change nothing."""

SAMPLING_SETTINGS: Mapping[str, tuple[Any, ...]] = {
    "top_h": (None,),
    "top_k": (None, 0),
    "top_p": (None, 1.0),
    "min_p": (None, 0.0),
    "typical_p": (None, 1.0),
    "epsilon_cutoff": (None, 0.0),
    "eta_cutoff": (None, 0.0),
}
"""Settings that only matter where tokens are drawn at random."""

REFUSED: Mapping[str, tuple[Any, ...]] = {
    "num_beams": (None, 1),
    "num_beam_groups": (None, 1),
    "diversity_penalty": (None, 0.0),
    "penalty_alpha": (None, 0.0),
    "dola_layers": (None,),
    "constraints": (None,),
    "force_words_ids": (None,),
    "guidance_scale": (None, 1.0),
    "token_healing": (None, False),
    "watermarking_config": (None,),
    "max_time": (None,),
}
"""Settings that would change an answer and that this engine does not have."""

REFUSED_CACHES = ("quantized",)
"""Values of ``cache_implementation`` that change what the model computes."""


@dataclass(frozen=True)
class GenerationSettings:
    """What a model's file says about its answers.

    Attributes:
        end_ids: tokens that end an answer. stop: strings that end it.
        logits: settings of ``LOGITS_SETTINGS`` that change something, by name.
        sampling: the same of ``SAMPLING_SETTINGS``.
    """

    end_ids: tuple[int, ...] = ()
    stop: tuple[str, ...] = ()
    logits: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    _unusual_ends: bool = False

    def complete_sampling(self, sampling: Sampling) -> Sampling:
        """The same settings; where tokens are drawn, top-k and top-p that the caller leaves open
        are the file's. (transformers' default, the 50 likeliest tokens, stands in no file and
        is not used.)"""
        if sampling.temperature == 0:
            return sampling
        return replace(
            sampling,
            top_k=sampling.top_k or int(self.sampling.get("top_k", 0)),
            top_p=sampling.top_p if sampling.top_p < 1 else float(self.sampling.get("top_p", 1.0)),
        )

    def add_ends(self, loaded: Any, vocabulary: int) -> GenerationSettings:
        """The same settings with the ends of a loaded model's settings: where no file names any,
        ``generate`` ends answers with those that the model's class stands for."""
        value = loaded.eos_token_id
        ids = value if isinstance(value, list) else [value]
        ends = [n for n in ids if isinstance(n, int) and 0 <= n < vocabulary]
        return replace(self, end_ids=tuple(dict.fromkeys((*self.end_ids, *ends))))

    def name_key(self, sampling: Sampling) -> str:
        """What distinguishes answers under these settings; empty where they change nothing."""
        values: dict[str, Any] = dict(self.logits)
        if sampling.temperature > 0:
            values |= self.sampling
        if self.stop:
            values["stop_strings"] = list(self.stop)
        if self._unusual_ends:
            values["eos_token_id"] = list(self.end_ids)
        return content_id("g", values) if values else ""


def read_generation_settings(folder: Path) -> GenerationSettings:
    """The settings of a Hugging Face folder; without the file those that stand in its configuration.

    Raises:
        ModelError: the file cannot be read, or asks for something that would change the answers
            and that this engine does not do.
    """
    configured = _read_object(folder / "config.json")
    raw = _read_object(folder / FILE)
    values = configured if raw is None else raw
    if values is None:
        return GenerationSettings()
    where = str(folder / (FILE if raw is not None else "config.json"))
    _refuse_unknown_ways(values, where)
    ends = _read_ids(values.get("eos_token_id"), "eos_token_id", where)
    usual = _read_ids((configured or {}).get("eos_token_id"), "eos_token_id", where)
    stop = values.get("stop_strings") or ()
    return GenerationSettings(
        end_ids=ends,
        stop=(stop,) if isinstance(stop, str) else tuple(map(str, stop)),
        logits=_select_settings(values, LOGITS_SETTINGS),
        sampling=_select_settings(values, SAMPLING_SETTINGS),
        _unusual_ends=len(ends) > 1 or not set(ends) <= set(usual),
    )


def _read_object(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(f"the file cannot be read: {error}", where=str(path)) from None
    if not isinstance(value, dict):
        raise ModelError("the file holds no JSON object", where=str(path))
    return value


def _refuse_unknown_ways(values: Mapping[str, Any], where: str) -> None:
    for name, neutral in REFUSED.items():
        if values.get(name) not in neutral:
            raise ModelError(
                f"{name} = {values[name]!r} changes the model's answers, and the local engine "
                "does not have it: what is measured would not be what is deployed",
                where=where,
                next_step=f"remove {name} from a copy of the folder, and deploy that copy",
            )
    if values.get("cache_implementation") in REFUSED_CACHES:
        raise ModelError(
            f"cache_implementation = {values['cache_implementation']!r} changes the model's answers",
            where=where,
            next_step="remove cache_implementation from a copy of the folder, and deploy that copy",
        )


def _select_settings(
    values: Mapping[str, Any], known: Mapping[str, tuple[Any, ...]]
) -> dict[str, Any]:
    return {
        name: values[name] for name, neutral in known.items() if values.get(name) not in neutral
    }


def _read_ids(value: Any, name: str, where: str) -> tuple[int, ...]:
    values: Sequence[Any] = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(v, int) and not isinstance(v, bool) for v in values):
        raise ModelError(f"{name} = {value!r} is no list of token ids", where=where)
    return tuple(v for v in values if v != NO_TOKEN)
