"""The nouns: plain frozen data that flows through the rooms, one way.

    examples → dataset vN → train → model → responses → findings → issues → proposals → dataset vN+1

Identity is by content: an id is a noun's prefix and the first 16 hex digits of the
SHA-256 of its canonical JSON, so the same content has the same id on every machine.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]
Split = Literal["train", "dev", "test", "pool"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test", "pool")

Status = Literal["pass", "fail", "unscored"]
"""A check's answer. *unscored* (nothing to judge by) is never counted as *fail*."""

VerdictStatus = Literal[
    "resolved", "improved", "persisting", "inconclusive", "regressed", "new", "newly detected"
]


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def content_id(prefix: str, value: Any) -> str:
    """``prefix-`` and the first 16 hex digits of the SHA-256 of the canonical JSON of ``value``."""
    digest = hashlib.sha256(canonical_json(value).encode()).hexdigest()
    return f"{prefix}-{digest[:16]}"


@dataclass(frozen=True)
class Message:
    """One turn. ``input`` is Alpaca's second field; chat templates see ``text``.

    ``tools`` are definitions of what the assistant may call; they stand on the first message, which
    is a system message of no content where there is none other.
    """

    role: Role
    content: str
    input: str = ""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    thinking: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()

    @property
    def text(self) -> str:
        """Content and input as one text, a blank line between."""
        return f"{self.content}\n\n{self.input}" if self.input else self.content

    def to_dict(self) -> dict[str, Any]:
        """Only the fields that are set; the inverse of ``from_dict``."""
        out: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.input:
            out["input"] = self.input
        if self.tool_calls:
            out["tool_calls"] = [dict(call) for call in self.tool_calls]
        if self.thinking:
            out["thinking"] = self.thinking
        if self.tools:
            out["tools"] = [dict(tool) for tool in self.tools]
        return out

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Message:
        """The inverse of ``to_dict``."""
        return Message(
            role=raw["role"],
            content=raw["content"],
            input=raw.get("input", ""),
            tool_calls=tuple(raw.get("tool_calls", ())),
            thinking=raw.get("thinking", ""),
            tools=tuple(raw.get("tools", ())),
        )


@dataclass(frozen=True)
class Example:
    """One row of the user's task.

    Attributes:
        messages: the conversation; the last assistant turn is the reference answer, if any.
            Raw text (pretraining) is a single assistant message.
        split: train, dev, test or pool.
        group: paraphrases and near-duplicates share one; groups never straddle splits.
        tags: slices that the row belongs to, e.g. ``"product=kettle"``.
        source: where it was read, e.g. ``data/train.jsonl:17``.
        why: why it is here: ``"user"``, or the issue and generator that asked for it.
        weight: its weight in the training loss.
        rejected: the worse answer of a preference pair.
    """

    messages: tuple[Message, ...]
    split: Split = "train"
    group: str = ""
    tags: tuple[str, ...] = ()
    source: str = ""
    why: str = "user"
    weight: float = 1.0
    rejected: str | None = None

    @cached_property
    def id(self) -> str:
        """Content hash of the messages (and the rejected answer), not of where they lie."""
        value: dict[str, Any] = {"messages": [m.to_dict() for m in self.messages]}
        if self.rejected is not None:
            value["rejected"] = self.rejected
        return content_id("ex", value)

    @property
    def prompt(self) -> tuple[Message, ...]:
        """Every message before the last assistant turn (all of them if there is none)."""
        if self.messages and self.messages[-1].role == "assistant":
            return self.messages[:-1]
        return self.messages

    @property
    def reference(self) -> str | None:
        """The text of the last assistant turn, or None."""
        if self.messages and self.messages[-1].role == "assistant":
            return self.messages[-1].content
        return None

    @property
    def prompt_text(self) -> str:
        """The prompt's messages as plain text, for embeddings, overlap and display."""
        return "\n".join(m.text for m in self.prompt)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; the inverse of ``from_dict``."""
        return {
            "messages": [m.to_dict() for m in self.messages],
            "split": self.split,
            "group": self.group,
            "tags": list(self.tags),
            "source": self.source,
            "why": self.why,
            "weight": self.weight,
            "rejected": self.rejected,
        }

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Example:
        """The inverse of ``to_dict``."""
        return Example(
            messages=tuple(Message.from_dict(m) for m in raw["messages"]),
            split=raw.get("split", "train"),
            group=raw.get("group", ""),
            tags=tuple(raw.get("tags", ())),
            source=raw.get("source", ""),
            why=raw.get("why", "user"),
            weight=raw.get("weight", 1.0),
            rejected=raw.get("rejected"),
        )


@dataclass(frozen=True)
class DatasetVersion:
    """Immutable manifest of training rows. ``rows`` are example ids in training order."""

    rows: tuple[str, ...]
    template_hash: str
    tokenizer_hash: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None
    note: str = ""

    @cached_property
    def id(self) -> str:
        """Content hash of rows, template, tokenizer and settings."""
        return content_id(
            "ds",
            {
                "rows": list(self.rows),
                "template": self.template_hash,
                "tokenizer": self.tokenizer_hash,
                "settings": dict(self.settings),
            },
        )


@dataclass(frozen=True)
class Model:
    """A base, perhaps with an adapter, and how it is prompted.

    Attributes:
        base: identity of the base weights (name and checksum, see ``model.base``).
        prompting: ``"zero-shot"`` or ``"few-shot:K:HASH"``; a fine-tuned model is prompted zero-shot.
        adapter: artifact hash of the adapter (or full weights), None for a bare base.
        dataset: id of the dataset version it was trained on, None for a bare base.
        seed: seed of its training.
        round: the round that made it.
        arm: ``"main"`` or ``"control"``.
        settings: the full training settings, for the record.
    """

    base: str
    prompting: str = "zero-shot"
    adapter: str | None = None
    dataset: str | None = None
    seed: int = 0
    round: int = 0
    arm: str = "main"
    settings: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def id(self) -> str:
        """Content hash of what determines the outputs."""
        return content_id(
            "m",
            {
                "base": self.base,
                "prompting": self.prompting,
                "adapter": self.adapter,
                "dataset": self.dataset,
                "seed": self.seed,
                "settings": dict(self.settings),
            },
        )


@dataclass(frozen=True)
class Sampling:
    """How text is generated. Greedy at temperature 0.

    Each item is sampled with its own seed (from ``seed``, the item and the sample number),
    so the batch does not change the result.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**dataclasses.asdict(self), "stop": list(self.stop)}


FinishReason = Literal["stop", "length", "error"]


@dataclass(frozen=True)
class Response:
    """What one model wrote for one example.

    Attributes:
        model: model id. example: example id. sample: 0-based number of the sample.
        token_ids: generated ids, the end token included when it was produced.
        finish: ``"stop"`` (end token or stop string), ``"length"`` (budget spent) or ``"error"``.
        logprob: sum of the log-probabilities of ``token_ids`` (nats), when known.
        seconds: wall time attributed to it. prompt_tokens: length of the prompt.
        error: the endpoint's message when ``finish`` is ``"error"``.
    """

    model: str
    example: str
    text: str
    token_ids: tuple[int, ...] = ()
    finish: FinishReason = "stop"
    sample: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    logprob: float | None = None
    prompt_tokens: int = 0
    seconds: float = 0.0
    error: str = ""

    @cached_property
    def id(self) -> str:
        """Content hash of who answered what, how, and the text."""
        return content_id(
            "r",
            {
                "model": self.model,
                "example": self.example,
                "sample": self.sample,
                "sampling": self.sampling.to_dict(),
                "text": self.text,
            },
        )


@dataclass(frozen=True)
class Span:
    """Evidence: characters ``start:end`` of the response's text, and why."""

    start: int
    end: int
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """One check's answer about one response.

    Attributes:
        kind: the failure's kind, e.g. ``misspelling``, ``overlong``, ``repetition``,
            ``inconsistency``, ``hallucination``, ``wrong:urgency``, ``format``.
        severity: 0 (harmless) to 1 (catastrophic); 0 when it passed.
        spans: evidence in the response's text. message: the reason in words.
        detector, version: what looked. A new version is a new measurement.
        value: the measured figure, where there is one (a ratio, a distance).
    """

    response: str
    kind: str
    status: Status
    detector: str
    version: str
    severity: float = 0.0
    spans: tuple[Span, ...] = ()
    message: str = ""
    value: float | None = None


@dataclass(frozen=True)
class Slice:
    """Which examples an issue speaks of: all, those with a tag, or those in a cluster.

    ``by`` is ``"all"``, ``"tag"`` or ``"cluster"``; ``value`` is the tag, or the cluster's name.
    ``members`` holds example ids where they cannot be found from the example alone (clusters).
    """

    by: Literal["all", "tag", "cluster"] = "all"
    value: str = ""
    members: tuple[str, ...] = ()

    def contains(self, example: Example) -> bool:
        """Whether the example is in the slice."""
        if self.by == "all":
            return True
        if self.by == "tag":
            return self.value in example.tags
        return example.id in self.members

    @property
    def name(self) -> str:
        """How people read it."""
        return "all" if self.by == "all" else self.value


@dataclass(frozen=True)
class Issue:
    """A recurring failure: a kind within a slice. Its id is stable across rounds.

    ``tolerance`` is the failure rate that the user accepts; ``found_round`` and
    ``reference_model`` say when and in whose responses it was found.
    """

    kind: str
    slice: Slice
    detector: str
    version: str
    tolerance: float
    found_round: int
    reference_model: str
    title: str = ""
    examples: tuple[str, ...] = ()

    @cached_property
    def id(self) -> str:
        """Content hash of kind, slice and detector (not its version)."""
        value = {
            "kind": self.kind,
            "by": self.slice.by,
            "value": self.slice.value,
            "detector": self.detector,
        }
        return content_id("is", value)


@dataclass(frozen=True)
class Verdict:
    """What became of an issue between two models, on paired items.

    Attributes:
        n: items scored in both; unscored: items that were not.
        before_rate, after_rate: failure rates on those n items.
        fixed: bad → ok (c). broken: ok → bad (b).
        delta: (fixed - broken) / n, positive is better; low, high: its interval at ``level``.
        p_value: exact McNemar (sign test over groups). e_value: anytime-valid.
        alpha: the share of α spent on this decision. mde: smallest fall that it could show.
        split: ``"dev"`` (the measuring half) or ``"test"``.
    """

    issue: str
    before: str
    after: str
    round: int
    split: str
    status: VerdictStatus
    n: int
    unscored: int
    before_rate: float
    after_rate: float
    fixed: int
    broken: int
    delta: float
    low: float
    high: float
    p_value: float
    e_value: float
    alpha: float
    mde: float
    level: float = 0.95
    note: str = ""


@dataclass(frozen=True)
class Proposal:
    """One row suggested for an issue, with provenance.

    ``origin`` is ``pool``, ``person``, ``teacher`` or ``template``; ``selector`` names the method;
    ``near`` is the failing example that drew it; ``accepted`` is False with a ``reason``
    when the firewall or a person turned it down. ``arm`` is ``main`` or ``control``.
    """

    issue: str
    example: Example
    origin: str
    selector: str
    score: float
    near: str = ""
    arm: str = "main"
    accepted: bool = True
    reason: str = ""

    @cached_property
    def id(self) -> str:
        """Content hash of issue, row and arm."""
        return content_id("p", {"issue": self.issue, "example": self.example.id, "arm": self.arm})


@dataclass(frozen=True)
class Round:
    """One iteration: what was trained on, which model came out, and how long it took."""

    index: int
    arm: str
    dataset: str | None
    model: str
    trained_rows: int
    seconds: float


def by_id(examples: Iterable[Example]) -> dict[str, Example]:
    """Examples keyed by id."""
    return {example.id: example for example in examples}
