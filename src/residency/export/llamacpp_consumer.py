"""llama.cpp as the program that uses an exported file: its server, in this process.

Messages go through the chat template inside the file, as they do for every user of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from residency.errors import ModelError
from residency.export.thinking_text import cut_thinking
from residency.interfaces import Generation, Progress, ProgressEvent, Prompt, no_progress
from residency.nouns.example import Message
from residency.nouns.response import Sampling

OWN_ENDS = (
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|calls|>", "<|flush|>",
    "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<|eom_id|>", "<EOT>", "< EOT >", "_<EOT>",
    "<|eot|>", "<|END_OF_TURN_TOKEN|>", "<|end_of_turn|>", "<end_of_utterance>", "<eos>", "</s>",
    "<｜end▁of▁sentence｜>", "<turn|>",
)  # fmt: skip
"""Control tokens that llama.cpp takes for an end by their text (src/llama-vocab.cpp)."""


class LlamaCppConsumer:
    """A GGUF file, served by llama.cpp. An interfaces.Generator.

    Args:
        thinks: whether its template knows thinking, which is then no part of an answer.
        stops: strings that end an answer, sent with every request.
    """

    own_ends: tuple[str, ...] = OWN_ENDS

    def __init__(self, address: str, *, thinks: bool = False, stops: tuple[str, ...] = ()) -> None:
        self._thinks, self.stops = thinks, stops
        self._client = httpx.Client(base_url=address, timeout=600.0)

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Ids of the prompt, as its chat endpoint makes them from messages."""
        reply = self._post("/apply-template", {"messages": _to_messages(messages)})
        text = {"content": reply["prompt"], "add_special": True, "parse_special": True}
        return list(self._post("/tokenize", text)["tokens"])

    def text_ids(self, text: str) -> list[int]:
        """Ids of plain text."""
        body = {"content": text, "add_special": False, "parse_special": False}
        return list(self._post("/tokenize", body)["tokens"])

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        *,
        on_result: Callable[[int, Generation], None] | None = None,
        progress: Progress = no_progress,
    ) -> list[Generation]:
        """Answers of the chat endpoint, in order."""
        out: list[Generation] = []
        for index, prompt in enumerate(prompts):
            answer = self._answer(prompt, sampling)
            out.append(answer)
            if on_result is not None:
                on_result(index, answer)
            progress(ProgressEvent("generate", index + 1, len(prompts)))
        return out

    def _answer(self, prompt: Prompt, sampling: Sampling) -> Generation:
        body: dict[str, Any] = {
            "messages": _to_messages(prompt.messages),
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "seed": sampling.seed + prompt.sample,
            "stop": [*sampling.stop, *self.stops],
            "cache_prompt": False,
            "reasoning_format": "none",  # the text as it was written
        }
        if sampling.temperature == 0:
            body |= {"top_k": 1}
        try:
            reply = self._post("/v1/chat/completions", body)
        except ModelError as error:
            return Generation("", finish="error", error=error.what)
        choice = reply["choices"][0]
        text = choice["message"].get("content") or ""
        timings = reply.get("timings", {})
        return Generation(
            text=cut_thinking(text) if self._thinks else text,
            finish="stop" if choice["finish_reason"] in ("stop", "tool_calls") else "length",
            token_ids=(),
            prompt_tokens=int(reply["usage"]["prompt_tokens"]),
            seconds=(timings.get("predicted_ms", 0.0) + timings.get("prompt_ms", 0.0)) / 1000,
        )

    def measure_speed(self, messages: Sequence[Message], tokens: int = 64) -> float:
        """Tokens a second of one long answer that nothing ends."""
        ids = self.prompt_ids(messages)
        body = {"prompt": ids, "n_predict": tokens, "ignore_eos": True, "temperature": 0.0}
        return float(self._post("/completion", body)["timings"]["predicted_per_second"])

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = self._client.post(path, json=body)
        if reply.status_code != 200:
            raise ModelError(f"llama.cpp answers {reply.status_code}: {reply.text[:200]}")
        value: dict[str, Any] = reply.json()
        return value

    def close(self) -> None:
        """End the connection."""
        self._client.close()


@contextmanager
def open_llamacpp(
    file: Path,
    *,
    adapter: Path | None = None,
    context: int = 2048,
    threads: int = 0,
    thinks: bool = False,
    stops: tuple[str, ...] = (),
) -> Iterator[LlamaCppConsumer]:
    """Serve a GGUF file while the block runs.

    Raises:
        ModelError: xllamacpp is not installed, or llama.cpp refuses the file.
    """
    try:
        import xllamacpp
    except ImportError:
        raise ModelError(
            "the file cannot be proved: llama.cpp is not installed here",
            next_step="pip install 'residency[export]'",
        ) from None
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(file)
    parameters.n_ctx = context
    parameters.n_parallel = 1
    parameters.warmup = False
    parameters.verbosity = -1
    # Its default keeps keys and values in 16 bits, which is the server's rounding, not the file's.
    parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    if threads:
        parameters.cpuparams.n_threads = threads
    if adapter is not None:
        lora = xllamacpp.CommonAdapterLoraInfo()
        lora.path, lora.scale = str(adapter), 1.0
        parameters.lora_adapters = [lora]
    try:
        server = xllamacpp.Server(parameters)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"llama.cpp does not load the file: {error}", where=str(file)) from None
    consumer = LlamaCppConsumer(server.listening_address, thinks=thinks, stops=stops)
    try:
        yield consumer
    finally:
        consumer.close()
        del server


def _to_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [{"role": m.role, "content": m.text} for m in messages]
