"""Model files whose headers claim what is not so: refused in words, in no time and little memory."""

from __future__ import annotations

import copy
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peft import LoraConfig, get_peft_model

from fuzz import Fuzz
from mutate import mutate_json
from residency.config.serve import ServeConfig
from residency.errors import ModelError, ResidencyError
from residency.model.gguf import convert_gguf, read_metadata
from residency.model.load_model import load_model
from residency.model.peft_adapter import load_adapter
from residency.serve.llamacpp_server import run_llamacpp
from small import save_model

Tensor = tuple[bytes, list[int], int, int]


def text(value: bytes, claimed: int | None = None) -> bytes:
    return struct.pack("<Q", len(value) if claimed is None else claimed) + value


def pair(name: bytes, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


ARCHITECTURE = pair(b"general.architecture", 8, text(b"llama"))


def make_gguf(
    pairs: list[bytes],
    tensors: list[Tensor],
    *,
    counts: tuple[int, int] | None = None,
    data: int = 4096,
) -> bytes:
    """A file as its header has it; ``counts``: tensors and pairs that it claims instead."""
    claimed = counts or (len(tensors), len(pairs))
    head = b"GGUF" + struct.pack("<IQQ", 3, *claimed) + b"".join(pairs)
    for name, shape, kind, start in tensors:
        sizes = struct.pack(f"<{len(shape)}Q", *shape)
        head += text(name) + struct.pack("<I", len(shape)) + sizes + struct.pack("<IQ", kind, start)
    return head + bytes(-len(head) % 32) + bytes(data)


HUGE = 1 << 60
GOOD: Tensor = (b"a", [8, 4], 0, 0)
LIES: dict[str, tuple[bytes, str]] = {
    "pairs": (make_gguf([ARCHITECTURE], [], counts=(0, HUGE)), "claims"),
    "tensors": (make_gguf([ARCHITECTURE], [GOOD], counts=(HUGE, 1)), "claims"),
    "text": (make_gguf([pair(b"k", 8, text(b"x", HUGE))], []), "a text of"),
    "short text": (make_gguf([pair(b"k", 8, text(b"x", 1 << 20))], []), "ends within its header"),
    "name": (make_gguf([text(b"k", HUGE)], []), "a text of"),
    "list": (make_gguf([pair(b"k", 9, struct.pack("<IQ", 0, HUGE))], []), "elements of lists"),
    "long list": (
        make_gguf([pair(b"k", 9, struct.pack("<IQ", 0, 1 << 23) + bytes(1 << 23))], []),
        "elements of lists",
    ),
    "lists within lists": (
        make_gguf([pair(b"k", 9, struct.pack("<IQ", 9, 1) * 3000)], []), "list within a list",
    ),
    "kind of setting": (make_gguf([pair(b"k", 77, b"")], []), "unknown type 77"),
    "nameless setting": (make_gguf([pair(b"", 4, bytes(4))], []), "has no name"),
    "setting twice": (make_gguf([ARCHITECTURE] * 2, []), "stands twice"),
    "tensor twice": (make_gguf([], [GOOD, (b"a", [8], 0, 128)]), "stands twice"),
    "nameless tensor": (make_gguf([], [(b"", [8], 0, 0)]), "has no name"),
    "huge tensor": (make_gguf([], [(b"a", [HUGE, HUGE], 0, 0)]), "beyond the file's end"),
    "outside": (make_gguf([], [(b"a", [8], 0, 1 << 40)]), "beyond the file's end"),
    "overlap": (make_gguf([], [GOOD, (b"b", [8], 0, 64)]), "lies upon another"),
    "kind of tensor": (make_gguf([], [(b"a", [8], 999, 0)]), "unknown type 999"),
    "part of a block": (make_gguf([], [(b"a", [8], 2, 0)]), "does not fit"),
    "dimensions": (make_gguf([], [(b"a", [1] * 9, 0, 0)]), "9 dimensions"),
    "alignment": (make_gguf([pair(b"general.alignment", 4, struct.pack("<I", 3))], []), "alignment 3"),
    "layers": (make_gguf([pair(b"llama.block_count", 4, struct.pack("<I", 10**9))], []), "layers"),
    "version": (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_gguf_file_is_refused_by_what_its_header_claims(tmp_path: Path, lie: str) -> None:
    data, reason = LIES[lie]
    file = tmp_path / "m.gguf"
    file.write_bytes(data)
    for read in (read_metadata, lambda path: convert_gguf(path, tmp_path / "out")):
        with pytest.raises(ModelError, match=reason) as caught:
            read(file)
        assert file.name in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_llamacpp_is_not_given_what_would_end_the_process(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    file = tmp_path / "m.gguf"
    file.write_bytes(LIES["overlap"][0])
    with pytest.raises(ModelError, match="lies upon another"):
        run_llamacpp(
            file, host="127.0.0.1", port=1, keys=[], settings=ServeConfig(), threads=1,
            context=64, on_ready=lambda url: None,
        )  # fmt: skip


# --- safetensors --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("lying") / "model")


Header = dict[str, Any]


def claim_more(header: Header) -> None:
    next(iter(header.values()))["shape"] = [HUGE, HUGE]


def point_outside(header: Header) -> None:
    next(iter(header.values()))["data_offsets"] = [HUGE, HUGE + 8]


def lay_upon(header: Header) -> None:
    first, second, *_ = header.values()
    second["data_offsets"] = first["data_offsets"]


def call_whole(header: Header) -> None:
    for entry in header.values():
        entry["dtype"] = "I32"


def call_unknown(header: Header) -> None:
    next(iter(header.values()))["dtype"] = "F7"


def take_name(header: Header) -> None:
    header[""] = header.pop(next(iter(header)))


def swap_shapes(header: Header) -> None:
    for entry in header.values():
        entry["shape"] = [int(np.prod(entry["shape"]))]


CHANGES = (
    claim_more, point_outside, lay_upon, call_whole, call_unknown, take_name, swap_shapes,
)  # fmt: skip


def rewrite_header(path: Path, change: Callable[[Header], None]) -> None:
    source = path.read_bytes()
    size = int.from_bytes(source[:8], "little")
    header = json.loads(source[8 : 8 + size])
    header.pop("__metadata__", None)
    change(header)
    written = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(written)) + written + source[8 + size :])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("change", CHANGES)
def test_weights_are_refused_by_what_their_header_claims(
    model: Path, tmp_path: Path, change: Callable[[Header], None]
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(model, folder)
    rewrite_header(folder / "model.safetensors", change)
    with pytest.raises(ResidencyError) as caught:
        load_model(folder, device="cpu")
    assert "model.safetensors" in str(caught.value) or str(folder) in str(caught.value)


@pytest.mark.parametrize("size", [HUGE, (1 << 64) - 1, 99_000_000])
@pytest.mark.filterwarnings("ignore")
def test_a_header_longer_than_its_file_is_refused(model: Path, tmp_path: Path, size: int) -> None:
    folder = tmp_path / "m"
    shutil.copytree(model, folder)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", size) + b"{}")
    with pytest.raises(ResidencyError):
        load_model(folder, device="cpu")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "place", ["../../../../etc/passwd", "/etc/passwd", "missing.safetensors", "", ".", 7, None]
)
def test_an_index_names_files_of_its_own_folder(model: Path, tmp_path: Path, place: Any) -> None:
    folder = tmp_path / "m"
    shutil.copytree(model, folder)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    names = ["model.embed_tokens.weight", "model.norm.weight"]
    index = {"metadata": {"total_size": HUGE}, "weight_map": dict.fromkeys(names, place)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ResidencyError):
        load_model(folder, device="cpu")


@pytest.fixture(scope="module")
def adapter(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that loads, as PEFT writes it."""
    folder = tmp_path_factory.mktemp("adapter") / "adapter"
    adapted = get_peft_model(
        load_model(model, device="cpu"),
        LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False),
    )
    adapted.save_pretrained(folder)
    load_adapter(load_model(model, device="cpu"), folder)
    return folder


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("change", CHANGES)
def test_an_adapter_is_refused_by_what_its_header_claims(
    model: Path, adapter: Path, tmp_path: Path, change: Callable[[Header], None]
) -> None:
    shutil.copytree(adapter, tmp_path / "a")
    rewrite_header(tmp_path / "a" / "adapter_model.safetensors", change)
    with pytest.raises(ModelError):
        load_adapter(load_model(model, device="cpu"), tmp_path / "a")


@pytest.mark.filterwarnings("ignore")
def test_strange_settings_of_an_adapter(
    model: Path, adapter: Path, tmp_path: Path, fuzz: Fuzz
) -> None:
    shutil.copytree(adapter, tmp_path / "a")
    file = tmp_path / "a" / "adapter_config.json"
    source = json.loads(file.read_text())
    base = load_model(model, device="cpu")
    odd: list[Any] = [[], None, "x", {"peft_type": "LORA"}]
    odd += [
        {**source, name: value}
        for name in ("rank_pattern", "alpha_pattern", "target_parameters")
        for value in (7, "x", [1], {"q_proj": "x"}, {"q_proj": -1})
    ]
    odd += list(mutate_json(source, fuzz.count(40), fuzz.seed(3)))

    def load(value: Any) -> None:
        file.write_text(json.dumps(value), encoding="utf-8", errors="surrogatepass")
        try:
            load_adapter(copy.deepcopy(base), tmp_path / "a")
        except ModelError as error:
            assert str(tmp_path / "a") in str(error)
            raise

    fuzz.attack(odd, load, (ModelError,))
