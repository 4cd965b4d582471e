"""Embedders that the user names: what is sent, what comes back, what is refused."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from residency.config.endpoint import EndpointConfig
from residency.embedding.named_embedders import EndpointEmbedder, open_embedder
from residency.errors import ConfigError, EndpointError, MissingExtraError

SERVER = EndpointConfig(url="http://localhost:1/v1", model="e", retries=2)


def embedder(answer: Callable[[httpx.Request], httpx.Response], **more: object) -> EndpointEmbedder:
    return EndpointEmbedder(
        SERVER.model_copy(update=more), transport=httpx.MockTransport(answer), sleep=lambda _: None
    )


def good(request: httpx.Request) -> httpx.Response:
    texts = json.loads(request.content)["input"]
    rows = [{"index": i, "embedding": [len(t), 1.0]} for i, t in enumerate(texts)]
    return httpx.Response(200, json={"data": rows[::-1]})  # the index counts, not the order


def test_vectors_are_of_length_one_in_order_and_each_text_is_sent_once() -> None:
    sent: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        sent.extend(json.loads(request.content)["input"])
        return good(request)

    one = embedder(server)
    vectors = one.embed(["a", "bbb", "a"])
    assert np.allclose(vectors[1], np.array([3, 1]) / np.sqrt(10))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert np.array_equal(vectors[0], vectors[2])
    one.embed(["bbb", "cc"])
    assert sent == ["a", "bbb", "cc"]
    assert one.embed([]).shape[0] == 0
    many = [f"text {i}" * (i + 1) for i in range(150)]
    assert one.embed(many).shape == (150, 2)


def test_a_server_that_recovers_is_asked_again() -> None:
    codes = iter([429, 500, 200])

    def server(request: httpx.Request) -> httpx.Response:
        code = next(codes)
        return good(request) if code == 200 else httpx.Response(code)

    assert embedder(server).embed(["a"]).shape == (1, 2)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (httpx.Response(503, text="busy"), r"HTTP 503 .*busy"),
        (httpx.Response(401, text="key"), "HTTP 401"),
        (httpx.Response(200, text="<html>"), "not JSON"),
        (httpx.Response(200, json={"data": []}), "0 embeddings for 1 texts"),
        (httpx.Response(200, json={"error": "x"}), "not a list of embeddings"),
    ],
)
def test_a_server_that_fails_is_named(answer: httpx.Response, says: str) -> None:
    with pytest.raises(EndpointError, match=says):
        embedder(lambda _: answer).embed(["a"])


def test_a_dead_server_is_named() -> None:
    def server(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(EndpointError, match="refused"):
        embedder(server).embed(["a"])


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_embedder("", SERVER).name == "wordllama-256"
    assert open_embedder("endpoint", SERVER).name == "endpoint:e@http://localhost:1/v1"
    with pytest.raises(ConfigError, match=r"embedding\.url"):
        open_embedder("endpoint", EndpointConfig())
    with pytest.raises(ConfigError, match="unknown embedder 'word2vec'"):
        open_embedder("word2vec", SERVER)
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        open_embedder("endpoint", SERVER.model_copy(update={"key_env": "NO_SUCH_KEY"}))


def test_the_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"residency\[embed\]"):
        open_embedder("sentence-transformers:all-MiniLM-L6-v2", SERVER)


@pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is None,
    reason="sentence-transformers is not installed",
)
@pytest.mark.filterwarnings("ignore")  # its own imports warn
def test_a_sentence_transformers_folder_embeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small random model, saved here: unit vectors, the same alone and together."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "kettle", "leaks", "lamp", "hums"]
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    BertModel(BertConfig(vocab_size=10, num_hidden_layers=2, **shape)).save_pretrained(folder)
    found = open_embedder(f"sentence-transformers:{folder}", SERVER)
    texts = ["the kettle leaks", "the lamp", "the kettle leaks"]
    vectors = found.embed(texts)
    assert (vectors.shape, vectors.dtype) == ((3, 32), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.allclose(vectors[0], vectors[2], atol=1e-6)
    assert np.allclose(found.embed(texts[1:2])[0], vectors[1], atol=1e-5)
    assert not np.allclose(vectors[0], vectors[1], atol=1e-2)
    with pytest.raises(ConfigError, match="cannot be loaded"):
        open_embedder(f"sentence-transformers:{tmp_path / 'none'}", SERVER)
