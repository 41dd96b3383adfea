"""Files and folders that change places at one moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from sampler.atomic_file import exchange


@pytest.mark.parametrize("is_folder", [False, True])
def test_two_exchange_their_names(tmp_path: Path, is_folder: bool) -> None:
    one, other = tmp_path / "it's one", tmp_path / "ot\u202eher"
    for path in (one, other):
        if is_folder:
            path.mkdir()
        (path / "content" if is_folder else path).write_text(path.name)
    exchange(one, other)
    for path, was in ((one, other), (other, one)):
        assert (path / "content" if is_folder else path).read_text() == was.name


def test_what_is_not_there_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "one", tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
