"""Stock transformers (and PEFT) as the program that uses an exported folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from residency.export.thinking_text import cut_thinking
from residency.interfaces import Generation, Progress, ProgressEvent, Prompt, no_progress
from residency.nouns.example import Message
from residency.nouns.response import Sampling


class TransformersConsumer:
    """A model folder, loaded as a stranger would. An interfaces.Generator."""

    own_ends: tuple[str, ...] = ()

    def __init__(
        self, model: Any, tokenizer: Any, *, thinks: bool = False, stops: tuple[str, ...] = ()
    ) -> None:
        self._model, self._tokenizer, self._thinks = model, tokenizer, thinks
        self.stops = stops

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Ids of the prompt, by the tokenizer's chat template."""
        turns = [{"role": m.role, "content": m.text} for m in messages]
        encoded = self._tokenizer.apply_chat_template(turns, add_generation_prompt=True)
        return list(encoded["input_ids"])

    def text_ids(self, text: str) -> list[int]:
        """Ids of plain text."""
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        *,
        on_result: Callable[[int, Generation], None] | None = None,
        progress: Progress = no_progress,
    ) -> list[Generation]:
        """Answers of ``model.generate`` with the folder's generation settings, in order."""
        out: list[Generation] = []
        for index, prompt in enumerate(prompts):
            answer = self._answer(prompt, sampling)
            out.append(answer)
            if on_result is not None:
                on_result(index, answer)
            progress(ProgressEvent("generate", index + 1, len(prompts)))
        return out

    @torch.inference_mode()
    def _answer(self, prompt: Prompt, sampling: Sampling) -> Generation:
        began = time.perf_counter()
        row = torch.tensor([self.prompt_ids(prompt.messages)])
        warm = sampling.temperature > 0
        if warm:
            torch.manual_seed(sampling.seed + prompt.sample)
        stops = [*sampling.stop, *self.stops]
        out = self._model.generate(
            input_ids=row,
            attention_mask=torch.ones_like(row),
            max_new_tokens=sampling.max_new_tokens,
            do_sample=warm,
            **({"temperature": sampling.temperature} if warm else {}),
            **({"stop_strings": stops, "tokenizer": self._tokenizer} if stops else {}),
        )
        ids = out[0, row.shape[1] :].tolist()
        text = self._tokenizer.decode(ids, skip_special_tokens=True)
        cuts = [at for stop in stops if (at := text.find(stop)) >= 0]
        stopped = bool(cuts) or len(ids) < sampling.max_new_tokens or ids[-1] in self.end_ids
        text = text[: min(cuts, default=None)]  # generate leaves the stop string in its answer
        return Generation(
            text=cut_thinking(text) if self._thinks else text,
            token_ids=tuple(ids),
            finish="stop" if stopped else "length",
            prompt_tokens=row.shape[1],
            seconds=time.perf_counter() - began,
        )

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Tokens at which the folder's settings end an answer."""
        ends = self._model.generation_config.eos_token_id
        return tuple(ends) if isinstance(ends, list) else () if ends is None else (ends,)

    def measure_speed(self, messages: Sequence[Message], tokens: int = 32) -> float:
        """Tokens a second of one long answer that nothing ends."""
        row = torch.tensor([self.prompt_ids(messages)])
        began = time.perf_counter()
        with torch.inference_mode():
            self._model.generate(
                input_ids=row,
                attention_mask=torch.ones_like(row),
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
            )
        return tokens / (time.perf_counter() - began)


@contextmanager
def open_transformers(
    folder: Path,
    *,
    adapter: Path | None = None,
    thinks: bool = False,
    stops: tuple[str, ...] = (),
) -> Iterator[TransformersConsumer]:
    """A folder as stock transformers loads it; with ``adapter``, as stock PEFT puts it on.

    ``thinks``: whether its template knows thinking, which is then no part of an answer. ``stops``:
    strings that end an answer, given with every request.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from residency.model.quiet_libraries import quiet_libraries

    with quiet_libraries():
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(adapter or folder)
        if adapter is not None:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, adapter)
        yield TransformersConsumer(model.eval(), tokenizer, thinks=thinks, stops=stops)
