"""The tiny checkpoint that the tests of this folder read."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl.families.family import load_family


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    load_family("qwen3_vl_moe").build_tiny(path, seed=0, corpus=["How many digits are even?"], sizes={})
    return path
