"""The virtual environment: make it from the committed lock, tell whether it is current, write the locks.

    environment.py check    exit 0 when .venv is what the lock asks for (about 30 ms; what `make test` pays)
    environment.py make     make or update .venv
    environment.py lock     resolve pyproject.toml again into locks/ (UPGRADE=1 moves every pin to its newest)

Standard library only: it runs before anything is installed. Settings come from the environment:
PROFILE (cpu or cuda), HONE_TORCH_LINKS (a folder or page holding the CPU wheel of torch), HONE_MIN_FREE_GB.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # `python -I` leaves it out

from tools.checkout import (
    PENDING,
    ROOT,
    SHIM,
    STAMP,
    VENV,
    VENV_PYTHON,
    SetupError,
    chosen_profile,
    read_stamp,
    run,
    site_packages,
)
from tools.lock_file import lock, lock_path, locked
from tools.machine import check_machine
from tools.package_source import torch_links, uv_environment


def setup_key(profile: str) -> str:
    """Changes when the environment has to be made again: lock, project, these tools, place, Python."""
    digest = hashlib.sha256()
    for path in (lock_path(profile), ROOT / "pyproject.toml", *sorted((ROOT / "tools").glob("*.py"))):
        digest.update(path.read_bytes())
    digest.update(f"{ROOT} {sys.version_info[:2]}".encode())
    return digest.hexdigest()


def is_current(profile: str) -> bool:
    return not PENDING.exists() and read_stamp() == {"profile": profile, "key": setup_key(profile)}


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


def missing(profile: str) -> dict[str, str]:
    """The lock's entries that .venv does not hold at the pinned version."""
    import importlib.metadata  # 25 ms, which `check` need not pay

    found = importlib.metadata.distributions(path=[str(site_packages())])
    have = {re.sub(r"[-_.]+", "-", one.metadata["Name"] or "").lower(): one.version for one in found}
    return {name: entry for name, (version, entry) in locked(profile).items() if have.get(name) != version}


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
