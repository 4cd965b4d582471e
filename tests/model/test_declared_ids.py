"""Ids that a model's files declare are tokens of it, in every place where programs look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from residency.errors import ModelError
from residency.infer.generation_settings import read_generation_settings
from residency.model.base_model import resolve_base
from residency.model.declared_ids import check_declared_ids
from residency.model.load_model import load_model
from small import save_model

SIZE = 320
ALONE = ("bos_token_id", "pad_token_id", "forced_bos_token_id")
ALONE_OR_LIST = ("eos_token_id", "decoder_start_token_id", "forced_eos_token_id")
LISTS = ("suppress_tokens", "begin_suppress_tokens")
NO_IDS = st.one_of(
    st.integers(min_value=SIZE),
    st.integers(max_value=-2),
    st.floats(allow_nan=False),
    st.booleans(),
    st.text(),
    st.dictionaries(st.text(), st.integers(0, SIZE - 1)),
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("declared") / "base")


def change(base: Path, out: Path, file: str, **values: Any) -> Path:
    out.mkdir()
    for source in base.iterdir():
        (out / source.name).write_bytes(source.read_bytes())
    settings = json.loads((base / file).read_text())
    (out / file).write_text(json.dumps({**settings, **values}))
    return out


@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
@pytest.mark.parametrize("ends", [SIZE, [2, SIZE], "2", 2.0, True, [[2]]])
def test_an_end_that_is_no_token_is_refused_before_anything_is_loaded(
    file: str, ends: Any, base: Path, tmp_path: Path
) -> None:
    folder = change(base, tmp_path / "x", file, eos_token_id=ends)
    for call in (resolve_base, load_model):
        with pytest.raises(
            ModelError, match=r"eos_token_id names .*no token of the model"
        ) as caught:
            call(str(folder))
        assert file in str(caught.value)


@given(
    name=st.sampled_from((*ALONE, *ALONE_OR_LIST, *LISTS, "bad_words_ids")),
    wrong=NO_IDS,
    right=st.lists(st.integers(0, SIZE - 1), max_size=3),
    inner=st.booleans(),
)
def test_only_tokens_of_the_model_pass(
    name: str, wrong: Any, right: list[int], inner: bool
) -> None:
    nest: dict[str, Any] = {
        **dict.fromkeys(ALONE, lambda ids: ids[-1] if ids else None),
        **dict.fromkeys(ALONE_OR_LIST, lambda ids: ids if len(ids) != 1 else ids[0]),
        **dict.fromkeys(LISTS, list),
        "bad_words_ids": lambda ids: [[n] for n in ids],
    }
    parts = ({"vocab_size": SIZE}, {"text_config": {"vocab_size": SIZE}})
    for place in parts:
        part = place.get("text_config", place) if inner else place
        check_declared_ids(Path("none"), {**place, **_put(place, part, name, nest[name](right))})
        config = {**place, **_put(place, part, name, nest[name]([*right, wrong]))}
        with pytest.raises(ModelError, match=name):
            check_declared_ids(Path("none"), config)


def _put(place: dict[str, Any], part: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    return {name: value} if part is place else {"text_config": {**part, name: value}}


def test_minus_one_stands_for_no_token(base: Path, tmp_path: Path) -> None:
    """Configurations of 2023 write it; nothing that leaves may say it again."""
    folder = change(base, tmp_path / "x", "generation_config.json", eos_token_id=[-1, 2])
    assert resolve_base(str(folder)).path == folder
    assert read_generation_settings(folder).end_ids == (2,)
    folder = change(base, tmp_path / "y", "config.json", pad_token_id=-1)
    assert load_model(folder, device="cpu").config.pad_token_id == -1


@pytest.mark.parametrize("name", ["bos_token", "eos_token"])
def test_an_end_that_loading_would_add_behind_the_last_row_is_refused(
    name: str, base: Path, tmp_path: Path
) -> None:
    folder = change(base, tmp_path / "x", "tokenizer_config.json", **{name: "<|stop|>"})
    with pytest.raises(ModelError, match=r"no weights: '<\|stop\|>' \(320\)"):
        resolve_base(str(folder))
