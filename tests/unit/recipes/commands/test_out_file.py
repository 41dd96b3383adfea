"""Where a command may write."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.cli import main
from recipes.commands.output.out_file import require_new_folder, require_out
from verifiers.errors import BadInput


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A directory that looks like a run."""
    path = tmp_path / "runs" / "mine"
    (path / "stages" / "00-prepare" / "data").mkdir(parents=True)
    for name in ("recipe.yaml", "metrics.jsonl", "stages/00-prepare/data/train.parquet"):
        (path / name).write_text("kept")
    return path


@pytest.mark.parametrize(
    "name",
    [
        "metrics.jsonl",
        "recipe.yaml",
        "stages/00-prepare/data/train.parquet",
        "rollouts/new.parquet",
        "rejudged/a.parquet",
    ],
)
def test_what_a_run_keeps_is_not_written_over(run: Path, name: str) -> None:
    with pytest.raises(BadInput, match="is of the run mine, which keeps it: give another file"):
        require_out(run / name)


def test_a_report_is_not_written_over_what_a_run_keeps(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "--out", str(run / "metrics.jsonl")]) == 2
    assert "is of the run mine" in capsys.readouterr().err and (run / "metrics.jsonl").read_text() == "kept"


def test_beside_and_above_what_a_run_keeps_there_is_room(run: Path) -> None:
    for out in (
        run / "compare.html",
        run.parent / "hard.parquet",
        run.parent / "new" / "deep" / "hard.parquet",
    ):
        require_out(out)
        assert not out.exists()


def test_what_is_read_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it is named."""
    monkeypatch.chdir(tmp_path)
    Path("answers.jsonl").write_text("{}")
    Path("link.jsonl").symlink_to("answers.jsonl")
    for out in (tmp_path / "answers.jsonl", Path("./x/../answers.jsonl"), Path("link.jsonl")):
        with pytest.raises(BadInput, match="is what is read"):
            require_out(out, inputs=[Path("answers.jsonl")])


def test_a_file_of_a_folder_that_is_read_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_text("rows")
    with pytest.raises(BadInput, match="is what is read"):
        require_out(tmp_path / "train.parquet", ".parquet", inputs=[tmp_path])
    require_out(tmp_path / "other.parquet", ".parquet", inputs=[tmp_path])


def test_a_folder_with_a_recipe_alone_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: mine")
    require_out(tmp_path / "summary.json")


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    require_out(None, ".svg")
    with pytest.raises(BadInput, match=r"--plot is an \.svg file, got a\.png"):
        require_out(tmp_path / "a.png", ".svg", option="--plot")


def test_a_folder_is_new_or_empty(tmp_path: Path) -> None:
    require_new_folder(tmp_path / "new")
    require_new_folder(tmp_path)
    (tmp_path / "a").write_text("x")
    for out in (tmp_path, tmp_path / "a"):
        with pytest.raises(BadInput, match="is there already"):
            require_new_folder(out)
