"""Steps after ``run --base`` use the base of that run."""

from __future__ import annotations

from pathlib import Path

from residency.commands.project import Project
from small import save_model, save_project


def test_steps_use_the_base_of_the_run_that_was_opened_last(tmp_path: Path) -> None:
    first, second = save_model(tmp_path / "first"), save_model(tmp_path / "second", seed=1)
    folder = save_project(tmp_path / "p", first)
    in_settings = Project.open(folder)
    assert in_settings.base.path == first  # nothing was run yet

    chosen = Project.open(folder, overrides={"model.base": str(second)}, as_opened=False)
    run = chosen.open_run()
    later = Project.open(folder)
    assert (later.base.path, later.run_id) == (second, run)
    assert Project.open(folder, as_opened=False).base.path == first

    settings = folder / "residency.toml"
    settings.write_text(settings.read_text().replace(str(first), str(second)))
    assert Project.open(folder).run_id == run
    third = save_model(tmp_path / "third", seed=2)
    settings.write_text(settings.read_text().replace(str(second), str(third)))
    assert Project.open(folder).base.path == third  # the settings were changed since


def test_a_run_with_the_base_of_the_settings_is_followed_too(tmp_path: Path) -> None:
    first, second = save_model(tmp_path / "first"), save_model(tmp_path / "second", seed=1)
    folder = save_project(tmp_path / "p", first)
    Project.open(folder, overrides={"model.base": str(second)}).open_run()
    Project.open(folder, as_opened=False).open_run()
    assert Project.open(folder).base.path == first
