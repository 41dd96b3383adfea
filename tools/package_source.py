"""Where packages come from: the settings that pip has and uv does not read, and the CPU wheel of torch."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

from tools.checkout import ROOT, VENV_PYTHON

# A page of torch wheels only, so that nothing else can come from there.
TORCH_CPU_PAGE = "https://download.pytorch.org/whl/cpu/torch/"


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
