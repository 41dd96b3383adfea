"""What carries its process's id is removed when that process is dead, and by nobody else than its user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sampler.vllm_pool.process_file import process_file, process_start, remove_dead


def prefix(directory: Path, kind: str) -> str:
    """Of the names of this container's processes."""
    return process_file(directory, kind).name.rsplit("-", 2)[0]


def test_what_a_dead_process_left_is_removed(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "20"]) as owner:
        started = process_start(owner.pid)
        assert started is not None
        engine, weights = prefix(tmp_path, "engine"), prefix(tmp_path, "weights")
        folder = tmp_path / f"{engine}-{owner.pid}-{started}"
        segment = tmp_path / f"{weights}-{owner.pid}-{started}-0"
        of_an_earlier_process_with_this_id = tmp_path / f"{engine}-{owner.pid}-{started - 1}"
        for path in (folder, of_an_earlier_process_with_this_id):
            path.mkdir()
            (path / "vllm_dist_0").touch()
        segment.touch()
        assert remove_dead(tmp_path, "engine") == [of_an_earlier_process_with_this_id]
        assert not of_an_earlier_process_with_this_id.exists() and folder.exists()
        owner.kill()
    assert remove_dead(tmp_path, "weights") == [segment]
    assert remove_dead(tmp_path, "engine") == [folder]
    assert not list(tmp_path.iterdir())


def test_this_process_s_own_and_what_only_looks_alike_stay(tmp_path: Path) -> None:
    own = process_file(tmp_path, "engine")
    own.mkdir()
    weights = prefix(tmp_path, "weights")
    for name in ("hone-engine-notes", f"{own.name}-3-4", f"{weights}-1-2"):
        (tmp_path / name).touch()
    assert remove_dead(tmp_path, "engine") == []
    assert own.is_dir() and len(list(tmp_path.iterdir())) == 4


def test_what_lives_or_lived_in_another_container_is_not_judged(tmp_path: Path) -> None:
    """Its ids are counted apart: none of them says anything here."""
    name = prefix(tmp_path, "engine")
    elsewhere = tmp_path / f"{name}1-4194305-1"  # no process has this id
    elsewhere.mkdir()
    assert remove_dead(tmp_path, "engine") == [] and elsewhere.is_dir()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_another_user_s_leftovers_are_theirs(tmp_path: Path) -> None:
    """As in /tmp and /dev/shm, where anybody may write and nobody may remove what is another's."""
    tmp_path.chmod(0o1777)
    (tmp_path / f"{prefix(tmp_path, 'engine')}-4194305-1").mkdir()  # no process has this id
    code = (
        "from sampler.vllm_pool.process_file import *\n"
        "os.setuid(65534)\n"
        "print(remove_dead(Path('.'), 'engine'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "[]\n", done.stderr
    assert remove_dead(tmp_path, "engine")
