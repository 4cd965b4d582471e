"""What clients send, read strictly: a parameter that we cannot honour is refused by its name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from residency.serve.api_errors import ApiError, refuse_parameter

WITHOUT_EFFECT = (
    "user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
)  # fmt: skip
"""Parameters that say who asks and change no answer: they are taken, and nothing is done with them."""

NOT_HONOURED: Mapping[str, tuple[Any, ...]] = {
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "parallel_tool_calls": (None, True, False),
    "functions": (None, []),
    "function_call": (None, "none"),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "prediction": (None,),
    "reasoning_effort": (None,),
    "verbosity": (None,),
    "web_search_options": (None,),
    "store": (None, False),
    "service_tier": (None, "auto", "default"),
    "best_of": (None, 1),
    "suffix": (None, ""),
    "dimensions": (None,),
}
"""Parameters of OpenAI's that are not here, and their values that ask for nothing."""

ANSWER_FIELDS = ("refusal", "tool_calls", "function_call", "audio", "annotations")
"""Fields of the messages that servers answer with; clients send them back as they came, empty."""

MOST_STOPS, MOST_TOPS, MOST_BIASES = 16, 20, 300
MOST_TEXTS = 256
"""Texts of one request for embeddings."""
_LONGEST_STOP = 256

Kind = TypeVar("Kind", bound="Strict")
TokenIds = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
StopText = Annotated[str, Field(max_length=_LONGEST_STOP)]


class Strict(BaseModel):
    """Nothing is converted, and nothing unknown is passed over."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class StreamOptions(Strict):
    """``stream_options``."""

    include_usage: bool = False
    include_obfuscation: Literal[False] | None = None


class TextPart(Strict):
    """A part of a message's content; only text is known."""

    type: Literal["text"]
    text: str


class ChatMessage(Strict):
    """One message."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    type: Literal["message", "text"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _take_answer_back(cls, raw: Any) -> Any:
        """Without what says nothing here: the empty fields of an earlier answer, a speaker's name."""
        if not isinstance(raw, dict):
            return raw
        message = {k: v for k, v in raw.items() if k not in ANSWER_FIELDS or v not in (None, [])}
        if isinstance(message.get("name"), str):
            del message["name"]
        if message.get("content") is None and isinstance(message.get("refusal"), str):
            message["content"] = message.pop("refusal")
        return message

    @property
    def text(self) -> str:
        """Its content as one text."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class JsonSchemaFormat(Strict):
    """``response_format.json_schema``."""

    name: str = ""
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class ResponseFormat(Strict):
    """``response_format``."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None


class GenerationRequest(Strict):
    """What both kinds of requests for text have in common."""

    model: str
    n: int = Field(1, ge=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**64)
    stop: StopText | Annotated[list[StopText], Field(max_length=MOST_STOPS)] | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    max_tokens: int | None = Field(None, ge=0)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: (
        Annotated[
            dict[str, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=MOST_BIASES)
        ]
        | None
    ) = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """Strings that end an answer."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


class ChatRequest(GenerationRequest):
    """``POST /v1/chat/completions``."""

    messages: list[ChatMessage] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=MOST_TOPS)
    response_format: ResponseFormat | None = None


class CompletionRequest(GenerationRequest):
    """``POST /v1/completions``."""

    prompt: str | TokenIds | Annotated[list[str | TokenIds], Field(min_length=1)]
    logprobs: int | None = Field(None, ge=0, le=MOST_TOPS)
    echo: bool | None = None

    @property
    def prompts(self) -> list[str | list[int]]:
        """Each prompt, as text or token ids."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        ids = [part for part in self.prompt if isinstance(part, int)]
        return [ids] if ids else [part for part in self.prompt if not isinstance(part, int)]


class EmbeddingRequest(Strict):
    """``POST /v1/embeddings``."""

    model: str
    input: str | Annotated[list[str], Field(min_length=1, max_length=MOST_TEXTS)]
    encoding_format: Literal["float", "base64"] | None = None


def read_request(kind: type[Kind], body: bytes) -> Kind:
    """A request's body as its kind.

    Raises:
        ApiError: no JSON object, an unknown parameter, one that cannot be honoured, a wrong value.
    """
    raw = _read_object(body)
    for name in WITHOUT_EFFECT:
        if name not in kind.model_fields:
            raw.pop(name, None)
    for name, neutral in NOT_HONOURED.items():
        if name in raw and name not in kind.model_fields:
            value = raw.pop(name)
            if not any(value == n and type(value) is type(n) for n in neutral):
                raise refuse_parameter(
                    name, "not supported by this server.", "unsupported_parameter"
                )
    # null asks for nothing: clients send it for whatever they leave out
    sent = {name: value for name, value in raw.items() if value is not None}
    try:
        return kind.model_validate(sent)
    except ValidationError as error:
        raise _describe_mistake(error, sent) from None


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode()  # half a character (\ud800) is no text
    except (ValueError, RecursionError):
        raise ApiError(400, "The body is not valid JSON in UTF-8.", code="invalid_json") from None
    if not isinstance(value, dict):
        raise ApiError(400, "The body is not a JSON object.", code="invalid_json")
    return value


def _describe_mistake(error: ValidationError, raw: Any) -> ApiError:
    """The mistake that lies deepest in what was sent, and of those the one in a value of the right kind: of
    the kinds that a value may have, the one that it came nearest to."""
    details = error.errors(include_url=False, include_input=False, include_context=False)
    paths = [_find_sent_path(detail["loc"], raw) for detail in details]
    at = max(
        range(len(details)),
        key=lambda at: (len(paths[at]), not details[at]["type"].endswith("_type")),
    )
    first, path = details[at], paths[at]
    name = ".".join(part for part in path if part.isidentifier() or part.isdigit()) or None
    if first["type"] == "extra_forbidden":
        shown = path[-1][:80]
        return ApiError(
            400, f"Unknown parameter: {shown!r}.", param=shown, code="unknown_parameter"
        )
    if first["type"] == "missing":
        name = ".".join([*path, str(first["loc"][-1])])
        return ApiError(400, f"Missing parameter: {name!r}.", param=name, code="missing_parameter")
    return ApiError(400, f"{name}: {first['msg']}.", param=name, code="invalid_value")


def _find_sent_path(location: Sequence[int | str], raw: Any) -> list[str]:
    """A mistake's place in the body itself: without the names of kinds that pydantic puts between."""
    path, value = [], raw
    for part in location:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            continue
        path.append(str(part))
    return path
