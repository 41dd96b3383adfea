"""Set-up: what it says when something is missing, when it does nothing, where torch comes from."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
TAG = f"cp{sys.version_info[0]}{sys.version_info[1]}"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files set-up reads, in a folder without a .venv."""
    root = tmp_path / "clone"
    for folder in ("tools", "locks"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


@pytest.fixture
def environment(clone: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """tools/environment.py of that folder, as a module, with the files beside it as `tools.*`."""
    for variable in ("PROFILE", "UV_FIND_LINKS", "HONE_TORCH_LINKS", "HONE_MIN_FREE_GB", "CXX"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield load(clone)
    forget_tools()


def load(root: Path) -> ModuleType:
    forget_tools()
    spec = importlib.util.spec_from_file_location("hone_environment", root / "tools" / "environment.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def forget_tools() -> None:
    """What is imported of them next comes from the folder that is next on the path."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "tools"]:
        del sys.modules[name]


def setup(root: Path, programs: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run tools/setup.sh with nothing on PATH but `programs`."""
    shell = shutil.which("sh")
    assert shell
    return subprocess.run(
        [shell, str(root / "tools" / "setup.sh")],
        env={"PATH": str(programs), **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH with the one program the script itself needs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    dirname = shutil.which("dirname")
    assert dirname
    (folder / "dirname").symlink_to(dirname)
    return folder


def add_python(programs: Path, name: str, version: str) -> None:
    """A python that only knows its version."""
    path = programs / name
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)


def add_this_python(programs: Path) -> None:
    real = Path(sys.base_prefix) / "bin" / f"python{VERSION}"
    (programs / f"python{VERSION}").symlink_to(real)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("hone: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_no_python_at_all(clone: Path, programs: Path) -> None:
    assert "python3 was not found: install Python 3.11 or 3.12" in one_line(setup(clone, programs))


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.13", "3.14"])
def test_python_of_another_version(clone: Path, programs: Path, version: str) -> None:
    add_python(programs, "python3", version)
    message = one_line(setup(clone, programs))
    assert f"Python 3.11 or 3.12 is needed (python3 is {version})" in message


def test_the_named_python_is_the_only_one_tried(clone: Path, programs: Path) -> None:
    add_this_python(programs)
    assert "/none/python was not found" in one_line(setup(clone, programs, PYTHON="/none/python"))


def test_no_compiler(clone: Path, programs: Path) -> None:
    add_this_python(programs)
    message = one_line(setup(clone, programs))
    assert "no C++ compiler" in message
    assert "apt install g++" in message
    assert not (clone / ".venv").exists()


def test_no_disk(clone: Path, programs: Path) -> None:
    add_this_python(programs)
    add_python(programs, "g++", "13")
    message = one_line(setup(clone, programs, HONE_MIN_FREE_GB="1000000"))
    assert "the cpu profile needs 1e+06 GB" in message


def test_unknown_profile(clone: Path, programs: Path) -> None:
    add_this_python(programs)
    assert "unknown PROFILE=tpu: use one of cpu, cuda" in one_line(setup(clone, programs, PROFILE="tpu"))


def test_no_venv_module(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(environment.SetupError, match=rf"apt install python{VERSION}-venv"):
        environment.check_machine("cpu")


def test_no_python_headers(environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("CXX", "sh")
    with pytest.raises(environment.SetupError, match=rf"no Python.h.*apt install python{VERSION}-dev"):
        environment.check_machine("cpu")


def test_no_libnuma(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "sh")
    monkeypatch.setattr("tools.machine.loads", lambda library: False)
    with pytest.raises(environment.SetupError, match=r"no libnuma.*apt install libnuma1"):
        environment.check_machine("cpu")


def finish(environment: ModuleType) -> None:
    """Leave the folder as a complete set-up leaves it."""
    environment.VENV.mkdir(exist_ok=True)
    stamp = {"profile": "cpu", "key": environment.setup_key("cpu")}
    environment.STAMP.write_text(json.dumps(stamp))


def test_nothing_to_do_when_nothing_changed(environment: ModuleType) -> None:
    assert environment.main("check") == 1
    finish(environment)
    assert environment.main("check") == 0


def test_a_changed_lock_or_project_is_set_up_again(environment: ModuleType) -> None:
    for path in (environment.lock_path("cpu"), environment.ROOT / "pyproject.toml"):
        finish(environment)
        path.write_text(path.read_text() + "\n# changed\n")
        assert environment.main("check") == 1


def test_a_moved_clone_is_set_up_again(environment: ModuleType) -> None:
    finish(environment)
    moved = environment.ROOT.rename(environment.ROOT.with_name("moved"))
    assert load(moved).main("check") == 1


def test_a_set_up_cut_short_starts_over(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(environment)
    environment.VENV_PYTHON.parent.mkdir(parents=True)
    environment.VENV_PYTHON.symlink_to(sys.executable)
    environment.PENDING.touch()
    assert environment.main("check") == 1

    commands: list[str] = []
    monkeypatch.setattr(environment, "run", lambda *command: commands.append(" ".join(map(str, command[1:]))))
    environment.make_venv("cpu")
    assert commands == [f"-m venv --clear {environment.VENV}"]


def test_only_what_is_missing_is_installed(environment: ModuleType) -> None:
    sites = environment.site_packages()
    for name, (version, _) in environment.locked("cpu").items():
        info = sites / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    assert environment.missing("cpu") == {}
    (sites / f"uv-{environment.locked('cpu')['uv'][0]}.dist-info" / "METADATA").unlink()
    assert list(environment.missing("cpu")) == ["uv"]
    assert "--hash=sha256:" in environment.missing("cpu")["uv"]


def test_an_environment_keeps_its_profile(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.chosen_profile() == "cpu"
    environment.VENV.mkdir()
    environment.STAMP.write_text(json.dumps({"profile": "cuda", "key": ""}))
    assert environment.chosen_profile() == "cuda"
    monkeypatch.setenv("PROFILE", "cpu")
    assert environment.chosen_profile() == "cpu"


# Where torch comes from


@pytest.mark.parametrize("variable", ["UV_FIND_LINKS", "HONE_TORCH_LINKS", "pip"])
def test_a_local_torch_wheel_is_used(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / f"torch-9.9.0+cpu-{TAG}-{TAG}-manylinux_2_28_x86_64.whl").touch()
    offered = [str(wheels)] if variable == "pip" else []
    monkeypatch.setattr("tools.package_source.pip_setting", lambda name: offered)
    if variable != "pip":
        monkeypatch.setenv(variable, str(wheels))
    assert environment.torch_links("9.9.0+cpu") == ["--find-links", str(wheels)]


@pytest.mark.parametrize(
    "wheel", ["torch-9.9.0+cpu-cp39-cp39-linux_x86_64.whl", f"torch-9.9.0-{TAG}-{TAG}-linux_x86_64.whl"]
)
def test_a_wheel_that_does_not_fit_is_not(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wheel: str
) -> None:
    (tmp_path / wheel).touch()
    from tools.package_source import TORCH_CPU_PAGE

    monkeypatch.setattr("tools.package_source.pip_setting", lambda name: [str(tmp_path)])
    assert environment.torch_links("9.9.0+cpu") == ["--find-links", TORCH_CPU_PAGE]


def test_pip_settings_come_from_files_and_variables(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nfind-links =\n    /wheels/one\n    /wheels/two\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels/three")
    from tools.package_source import pip_setting

    monkeypatch.setattr("tools.package_source.VENV_PYTHON", Path(sys.executable))
    assert set(pip_setting("find-links")) >= {"/wheels/one", "/wheels/two", "/wheels/three"}


def package(environment: ModuleType, name: str, version: str) -> None:
    folder = environment.site_packages() / name
    folder.mkdir(parents=True)
    (folder / "version.py").write_text(f"__version__ = '{version}'\n")


@pytest.mark.parametrize(
    ("profile", "build"), [("cpu", "2.13.0+cu130"), ("cpu", "2.13.0"), ("cuda", "2.13.0+cpu")]
)
def test_the_wrong_torch_is_refused(environment: ModuleType, profile: str, build: str) -> None:
    package(environment, "torch", build)
    with pytest.raises(environment.SetupError, match="not one for the " + profile):
        environment.check_torch(profile)


@pytest.mark.parametrize(("vision", "wanted"), [("0.28.0+cu130", True), ("0.28.0+cpu", False)])
def test_the_shim_is_placed_where_torchvision_needs_it(
    environment: ModuleType, vision: str, wanted: bool
) -> None:
    package(environment, "torch", "2.13.0+cpu")
    package(environment, "torchvision", vision)
    environment.place_torchvision_shim()
    assert (environment.site_packages() / "_hone_torchvision_shim.pth").exists() is wanted


def test_torchvision_is_importable_in_a_fresh_process() -> None:
    """And nothing of torch is loaded before it is asked for."""
    code = (
        "import sys; assert 'torch' not in sys.modules\n"
        "import torchvision; from torchvision.ops import nms; assert callable(nms)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=300, env={**os.environ, "PYTHONPATH": ""}
    )
