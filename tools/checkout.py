"""This checkout: where its files and its environment are, and how a command runs in it."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / "hone-setup.json"  # written last: a set-up without it did not finish
PENDING = VENV / "hone-setup.pending"  # there while packages are being installed
SHIM = ROOT / "tools" / "torchvision_shim.py"
PROFILES = ("cpu", "cuda")


class SetupError(Exception):
    """Something the person at the keyboard has to change; the message says what."""


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


def site_packages() -> Path:
    return VENV / "lib" / ("python%d.%d" % sys.version_info[:2]) / "site-packages"


def run(*command: object, env: dict[str, str] | None = None) -> None:
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=env, check=False)
    if done.returncode:
        shown = shlex.join(str(part) for part in command[:6])
        raise SetupError(f"`{shown} ...` failed (exit {done.returncode}); its message is above")
