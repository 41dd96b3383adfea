"""The locks of the two profiles: what one pins, and writing them anew from pyproject.toml."""

import hashlib
import json
import os
import re
from pathlib import Path

from tools.checkout import PROFILES, ROOT, VENV, run
from tools.package_source import torch_links, uv_environment


def lock_path(profile: str) -> Path:
    return ROOT / "locks" / f"{profile}.txt"


def locked(profile: str) -> dict[str, tuple[str, str]]:
    """Each package of a lock: its pinned version, and its whole entry, hashes included."""
    text = lock_path(profile).read_text()
    entries = re.findall(r"^(([a-z0-9][a-z0-9._-]*)==(\S+)(?: \\\n    --hash=\S+)*)", text, re.M)
    return {name: (version, entry) for entry, name, version in entries}


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
