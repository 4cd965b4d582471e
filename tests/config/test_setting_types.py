"""Settings with a grammar are refused when the file is read, with the line on which they stand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from residency.config.find_line import find_line
from residency.config.settings import Config, load_config, parse_config
from residency.config.value_types import Layers
from residency.errors import ConfigError


def refuse(tmp_path: Path, text: str) -> str:
    path = tmp_path / "residency.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("section", "line"),
    [
        *(
            ("train", f'layers = "{text}"')
            for text in ("top10", "top-0", "ALL", "top--1", "", "top-٣")
        ),
        ("train", "layers = 10"),
        ("train", "epochs = inf"),
        ("train", "epochs = nan"),
        ("train", "learning_rate = inf"),
        ("train", 'rank = "8"'),
        ("train", "rank = true"),
        ("train", "rank = 8.5"),
        ("train", "rslora = 1"),
        ("train", 'schedule = "cosin"'),
        ("train", 'objective = "sft"'),
        ("project", "seed = -1"),
        ("project", "seed = 1.5"),
        ("project", 'store = "team.db"'),
        ("model", 'device = "gpu"'),
        ("model", 'device = "cuda:"'),
        ("model", 'device = "cuda:x"'),
        ("data", "split = { train = nan, dev = 0.5 }"),
        ("data", "split = { train = -0.5, dev = 0.5 }"),
        ("data", "split = { train = 0.5, validation = 0.5 }"),
        ("data", "limit = { train = -5 }"),
        ("data", "limit = { eval = 5 }"),
        ("data", "limit = { train = 2.5 }"),
        ("data", 'cluster = "somewhere"'),
        ("data", 'train = "one.jsonl"'),
        ("data", "train = [5]"),
        ("evaluate", 'embedder = "openai"'),
        ("evaluate", 'embedder = "sentence-transformers:"'),
        ("judge", 'url = "localhost:8080"'),
        ("judge", 'url = "ftp://host/v1"'),
        ("judge", 'url = "http://"'),
        ("judge", "timeout = inf"),
        ("rounds", "max = 0"),
        ("generate", "temperature = -1.0"),
    ],
)
def test_a_wrong_setting_names_its_line(tmp_path: Path, section: str, line: str) -> None:
    message = refuse(tmp_path, f"# a comment\n\n[{section}]\n{line}\n")
    name = line.partition(" ")[0]
    assert "residency.toml:4:" in message
    assert f"{section}.{name}" in message


def test_several_mistakes_are_told_with_their_lines(tmp_path: Path) -> None:
    message = refuse(tmp_path, '[train]\nrank = 0\n[model]\n\ndevice = "gpu"\nbse = "x"\n')
    assert "line 2: train.rank" in message
    assert "line 5: model.device" in message
    assert "line 6: unknown setting 'model.bse' (did you mean 'base'?)" in message


def test_a_key_in_place_of_its_variables_name_is_not_repeated(tmp_path: Path) -> None:
    for key in ("sk-MARKER-1", "abcdefMARKER0123456789abcd", "MARKER with spaces"):
        message = refuse(tmp_path, f'[judge]\nkey_env = "{key}"\n')
        assert "MARKER" not in message
        assert "residency.toml:2" in message
    parse_config({"judge": {"key_env": "OPENAI_API_KEY"}})
    parse_config({"judge": {"key_env": "key"}})


def test_a_folder_in_place_of_the_settings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "residency.toml").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        load_config(tmp_path / "residency.toml")


@pytest.mark.parametrize(
    "text", ["a." * 50_000 + "b = 1", "x = " + "[" * 5_000, "x = " + "{a=" * 5_000, "\x00", "[a"]
)
def test_no_settings_file_ends_in_a_traceback(tmp_path: Path, text: str) -> None:
    assert len(refuse(tmp_path, text)) < 1_000


def test_a_huge_settings_file_is_refused(tmp_path: Path) -> None:
    assert "larger than" in refuse(tmp_path, "# x\n" * 4_200_000)


@given(st.integers(1, 200), st.integers(1, 64))
def test_top_n_is_the_last_n_layers(count: int, total: int) -> None:
    layers = Layers(f"top-{count}")
    assert total - layers.find_first(total) == min(count, total)
    assert Layers("all").find_first(total) == 0


@given(st.text(max_size=12))
def test_no_other_text_is_a_choice_of_layers(text: str) -> None:
    try:
        layers = Layers(text)
    except ValueError:
        return
    assert layers == "all" or (layers.top or 0) >= 1


def test_settings_as_json_are_what_they_were() -> None:
    body = parse_config({"train": {"layers": "top-3"}}).model_dump(mode="json")
    assert body["train"]["layers"] == "top-3"
    assert body["project"]["store"] == ""
    assert Config.model_validate(body).train.layers.top == 3


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (["a"], 1),
        (["a", "x"], 2),
        (["b", "c", "y"], 5),
        (["b", "c", "z w"], 8),
        (["b", "c", "z w", 3], 8),
        (["d", "e"], 9),
        (["b", "c", "absent"], 4),
        (["nothing"], None),
    ],
)
def test_lines_are_found(path: list[str | int], line: int | None) -> None:
    text = '[a]\nx = 1  # y = 2\n\n[b . c]\ny = """\nx = 5\n"""\n"z w" = [\n  1,\n]\n'
    text = '[a]\nx = 1\n\n[b . c]\ny = """\nx = 5\n[a]"""\n"z w" = [1]\nd.e = 1\n'
    if path == ["d", "e"]:
        path = ["b", "c", "d", "e"]
    assert find_line(text, path) == line
