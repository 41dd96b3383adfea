"""The virtual environment: make it from the committed lock, tell whether it is current, write the locks.

    environment.py check    exit 0 when .venv is what the lock asks for (about 30 ms; what `make test` pays)
    environment.py make     make or update .venv
    environment.py lock     resolve pyproject.toml again into locks/ (UPGRADE=1 moves every pin to its newest)

Standard library only: it runs before anything is installed. Settings come from the environment:
PROFILE (cpu or cuda), HONE_TORCH_LINKS (a folder or page holding the CPU wheel of torch), HONE_MIN_FREE_GB.
"""

import ast
import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / "hone-setup.json"  # written last: a set-up without it did not finish
PENDING = VENV / "hone-setup.pending"  # there while packages are being installed
SHIM = ROOT / "tools" / "torchvision_shim.py"

PROFILES = ("cpu", "cuda")
FREE_GB = {"cpu": 8, "cuda": 20}
# A page of torch wheels only, so that nothing else can come from there.
TORCH_CPU_PAGE = "https://download.pytorch.org/whl/cpu/torch/"


class SetupError(Exception):
    """Something the person at the keyboard has to change; the message says what."""


def lock_path(profile: str) -> Path:
    return ROOT / "locks" / f"{profile}.txt"


def chosen_profile() -> str:
    """PROFILE if given, else the one of the environment that is there, else cpu."""
    profile = os.environ.get("PROFILE") or read_stamp().get("profile") or "cpu"
    if profile not in PROFILES:
        raise SetupError(f"unknown PROFILE={profile}: use one of {', '.join(PROFILES)}")
    return profile


def read_stamp() -> dict[str, str]:
    try:
        return dict(json.loads(STAMP.read_text()))
    except (OSError, ValueError):
        return {}


def setup_key(profile: str) -> str:
    """Changes when the environment has to be made again: lock, project, these tools, place, Python."""
    digest = hashlib.sha256()
    for path in (lock_path(profile), ROOT / "pyproject.toml", Path(__file__), SHIM):
        digest.update(path.read_bytes())
    digest.update(f"{ROOT} {sys.version_info[:2]}".encode())
    return digest.hexdigest()


def is_current(profile: str) -> bool:
    return not PENDING.exists() and read_stamp() == {"profile": profile, "key": setup_key(profile)}


# ---------------------------------------------------------------------------------------------------------
# What the machine must have


def loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def check_machine(profile: str) -> None:
    """Fail now, in one line, on what would fail minutes later."""
    name = "python%d.%d" % sys.version_info[:2]
    try:
        import ensurepip  # noqa: F401  (Debian ships both in a package of their own)
        import venv  # noqa: F401
    except ImportError as error:
        name = "python%d.%d" % sys.version_info[:2]
        raise SetupError(
            f"{name} has no venv module: install it (Debian, Ubuntu: apt install {name}-venv)"
        ) from error
    compiler = os.environ.get("CXX") or "g++"  # where torch looks, when vLLM has it compile a kernel
    if not shutil.which(compiler.split()[0]):
        raise SetupError(
            f"no C++ compiler ({compiler}): vLLM compiles kernels as it runs (apt install g++, or set CXX)"
        )
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        raise SetupError(
            f"no Python.h, which those kernels include: install it (Debian, Ubuntu: apt install {name}-dev)"
        )
    if profile == "cpu" and not loads("libnuma.so.1"):
        raise SetupError(
            "no libnuma, which vLLM's CPU kernels are linked to: install it (Debian, Ubuntu: apt install libnuma1)"
        )
    needed = float(os.environ.get("HONE_MIN_FREE_GB") or FREE_GB[profile])
    free = shutil.disk_usage(ROOT).free / 1e9
    if not STAMP.exists() and free < needed:
        raise SetupError(
            f"{free:.1f} GB of disk are free and the {profile} profile needs {needed:g} GB (HONE_MIN_FREE_GB)"
        )


# ---------------------------------------------------------------------------------------------------------
# Where packages come from


def locked(profile: str) -> dict[str, tuple[str, str]]:
    """Each package of a lock: its pinned version, and its whole entry, hashes included."""
    text = lock_path(profile).read_text()
    entries = re.findall(r"^(([a-z0-9][a-z0-9._-]*)==(\S+)(?: \\\n    --hash=\S+)*)", text, re.M)
    return {name: (version, entry) for entry, name, version in entries}


def missing(profile: str) -> dict[str, str]:
    """The lock's entries that .venv does not hold at the pinned version."""
    import importlib.metadata  # 25 ms, which `check` need not pay

    found = importlib.metadata.distributions(path=[str(site_packages())])
    have = {re.sub(r"[-_.]+", "-", one.metadata["Name"] or "").lower(): one.version for one in found}
    return {name: entry for name, (version, entry) in locked(profile).items() if have.get(name) != version}


def pip_setting(name: str) -> list[str]:
    """A setting of pip's, from its files and its environment variables; several values are split."""
    listed = subprocess.run(
        [VENV_PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False, cwd=ROOT
    ).stdout
    values = re.findall(rf"^\S*\.{name}=(.*)$", listed, re.M)
    return [part for value in values for part in ast.literal_eval(value).split()]


def torch_links(version: str) -> list[str]:
    """uv arguments that lead to the CPU wheel of torch: a local folder that holds it, else PyTorch's page."""
    if os.environ.get("HONE_TORCH_LINKS"):
        return ["--find-links", os.environ["HONE_TORCH_LINKS"]]
    tag = "cp%d%d" % sys.version_info[:2]
    offered = re.split(r"[,\s]+", os.environ.get("UV_FIND_LINKS", "")) + pip_setting("find-links")
    for link in filter(None, offered):
        folder = Path(link.removeprefix("file://")).expanduser()
        for shown in (version, version.replace("+", "%2B")):
            if any(folder.glob(f"torch-{shown}-{tag}-{tag}-*.whl")):
                return ["--find-links", str(folder)]
    return ["--find-links", TORCH_CPU_PAGE]


def uv_environment() -> dict[str, str]:
    """uv reads none of pip's settings: pass on the package index and the certificate, where pip has them."""
    env = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
    for variable, setting in (("UV_DEFAULT_INDEX", "index-url"), ("SSL_CERT_FILE", "cert")):
        if variable not in env and (values := pip_setting(setting)):
            env[variable] = values[-1]
    return env


def run(*command: object, env: dict[str, str] | None = None) -> None:
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=env, check=False)
    if done.returncode:
        shown = shlex.join(str(part) for part in command[:6])
        raise SetupError(f"`{shown} ...` failed (exit {done.returncode}); its message is above")


# ---------------------------------------------------------------------------------------------------------
# Making it


def make_venv(profile: str) -> None:
    """Make .venv, unless a sound one of this profile and Python is there."""
    version = "%d.%d" % sys.version_info[:2]
    probe = "import pip, sys; print('%d.%d' % sys.version_info[:2], sys.prefix)"
    # A set-up that was cut short may have left a package half written: start over.
    if VENV_PYTHON.exists() and not PENDING.exists() and read_stamp().get("profile") in (None, profile):
        found = subprocess.run([VENV_PYTHON, "-c", probe], capture_output=True, text=True, check=False).stdout
        if found.strip() == f"{version} {VENV}":
            return
    # Not sys.executable: inside an activated .venv that would be the very interpreter being replaced.
    run(getattr(sys, "_base_executable", sys.executable), "-m", "venv", "--clear", VENV)


def site_packages() -> Path:
    return VENV / "lib" / ("python%d.%d" % sys.version_info[:2]) / "site-packages"


def bootstrap_uv(profile: str) -> Path:
    """pip installs two pinned packages: uv, and setuptools to build the editable install with."""
    wanted = [entry for name, entry in missing(profile).items() if name in ("uv", "setuptools")]
    if wanted:
        with requirements(wanted) as path:
            pip = [VENV_PYTHON, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
            run(*pip, "--no-deps", "--require-hashes", "-r", path)
    return VENV / "bin" / "uv"


@contextlib.contextmanager
def requirements(entries: Iterable[str]) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(entries) + "\n")
        file.flush()
        yield file.name


def install(profile: str, uv: Path) -> None:
    """What is missing of the lock, and this project editable.

    Packages of one's own (a verifier plug-in, say) stay: nothing is removed that the lock does not replace.
    """
    wanted = missing(profile)
    links = torch_links(locked(profile)["torch"][0]) if profile == "cpu" and "torch" in wanted else []
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    # `compat` writes one path line; the default writes an import hook that costs every start 16 ms.
    editable = ["--no-build-isolation-package", "hone-rl", "--config-setting", "editable_mode=compat"]
    with requirements([*wanted.values(), f"-e {ROOT}"]) as path:
        command = [uv, "pip", "install", "--python", VENV_PYTHON, "--no-deps", "-r", path, *editable]
        run(*command, *links, *quiet, env=uv_environment())


def built_for(package: str) -> str:
    """`cpu`, or the CUDA release (`cu130`) a package was built for: read from its version file, not imported."""
    text = (site_packages() / package / "version.py").read_text()
    found = re.search(r"^__version__ = '[^'+]+\+(\w+)'", text, re.M)
    return found[1] if found else "unknown"


def check_torch(profile: str) -> None:
    """The wrong torch is several GB of CUDA libraries, or a GPU left idle."""
    build = built_for("torch")
    if (build == "cpu") != (profile == "cpu"):
        raise SetupError(
            f"torch in .venv is the {build} build, not one for the {profile} profile: remove .venv, try again"
        )


def place_torchvision_shim() -> None:
    """Beside a torch it was not built for, torchvision needs tools/torchvision_shim.py to be importable."""
    module = site_packages() / "_hone_torchvision_shim.py"
    starter = module.with_suffix(".pth")
    if built_for("torch") == "cpu" != built_for("torchvision"):
        module.write_bytes(SHIM.read_bytes())
        starter.write_text(f"import {module.stem}\n")
    else:
        starter.unlink(missing_ok=True)
        module.unlink(missing_ok=True)


def make() -> None:
    """Make .venv what the lock asks for; a second set-up at the same time waits for the first."""
    folder = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    profile = chosen_profile()
    if is_current(profile):
        return
    started = time.monotonic()
    check_machine(profile)
    print(f"hone: setting up .venv from locks/{profile}.txt", file=sys.stderr, flush=True)
    make_venv(profile)
    PENDING.touch()
    STAMP.unlink(missing_ok=True)
    install(profile, bootstrap_uv(profile))
    check_torch(profile)
    place_torchvision_shim()
    written = STAMP.with_suffix(".tmp")
    written.write_text(json.dumps({"profile": profile, "key": setup_key(profile)}))
    PENDING.unlink()
    written.replace(STAMP)
    print(f"hone: .venv is ready ({time.monotonic() - started:.0f} s)", file=sys.stderr)


# ---------------------------------------------------------------------------------------------------------
# The locks


def requirements_digest(profile: str) -> str:
    """Of what pyproject.toml asks for in one profile; each lock's first line records it."""
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = settings["project"]
    extras = project["optional-dependencies"]
    asked = [project["requires-python"], project["dependencies"], extras[profile], extras["dev"]]
    asked.append(settings["tool"]["uv"]["override-dependencies"])
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


def asked_torch() -> str:
    found = re.search(r'"torch==([\w.]+\+cpu)"', (ROOT / "pyproject.toml").read_text())
    assert found, "the cpu extra pins torch with its +cpu label"
    return found[1]


def lock() -> None:
    """Resolve both profiles. Pins stay where they fit, unless UPGRADE is set."""
    uv = VENV / "bin" / "uv"
    compile_ = [uv, "pip", "compile", "pyproject.toml", "--generate-hashes", "--no-header", "--quiet"]
    target = ["--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28"]
    upgrade = ["--upgrade"] if os.environ.get("UPGRADE") else []
    for profile in PROFILES:
        path = lock_path(profile)
        links = torch_links(asked_torch()) if profile == "cpu" else []
        run(
            *compile_,
            *target,
            "--extra",
            profile,
            "--extra",
            "dev",
            *links,
            *upgrade,
            "-o",
            path,
            env=uv_environment(),
        )
        text = path.read_text()
        if profile == "cpu":  # the same wheel is built twice, for PyTorch's page and by who serves it locally
            text = re.sub(r"^(torch==\S+)(?: \\\n    --hash=\S+)+", r"\1", text, flags=re.M)
        header = f"# {profile} profile of pyproject.toml ({requirements_digest(profile)}), written by `make lock`\n"
        path.write_text(header + text)
        print(f"{path.relative_to(ROOT)}: {len(re.findall(r'^[a-z0-9].*==', text, re.M))} packages")


def main(command: str) -> int:
    try:
        if command == "check":  # says nothing: `make` finds the same fault again and names it
            return 0 if is_current(chosen_profile()) else 1
        {"make": make, "lock": lock}[command]()
    except SetupError as error:
        if command != "check":
            print(f"hone: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
