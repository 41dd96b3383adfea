"""`hone prompts pipeline` with a stage of captions: the real engine writes them, and is asked with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from rl.families.family import load_family
from rl.stages.sampled.caption import INSTRUCTION
from sampler.data.prompt_dataset import load_prompts, save_prompts
from sampler.prompt import Prompt

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "tests" / "data" / "tiny_program.yaml"
PIPELINE = "name: seen\nstages: [caption: {samples: 2, pass_samples: 2, caption_tokens: 24}]\n"
WAIT_S = 600.0


@pytest.fixture
def asked(tmp_path: Path, video_file: Callable[..., bytes]) -> list[Prompt]:
    """Two prompts with a picture each, one with a film, one without."""
    import io

    from PIL import Image

    def picture(shade: int) -> bytes:
        encoded = io.BytesIO()
        Image.new("RGB", (32, 32), (shade, 90, 90)).save(encoded, "PNG")
        return encoded.getvalue()

    def prompt(name: str, kind: str | None, **shown: list[bytes]) -> Prompt:
        parts = [*([{"type": kind}] if kind else []), {"type": "text", "text": f"How many in {name}?"}]
        return Prompt.build(
            messages=[{"role": "user", "content": parts}],
            verifier="math",
            reference="5",
            prompt_id=name,
            **shown,
        )

    film = video_file(np.full((6, 32, 32, 3), 90, np.uint8))
    return [
        prompt("first", "image", images=[picture(10)]), prompt("second", "image", images=[picture(200)]),
        prompt("film", "video", videos=[film]), prompt("bare", None),
    ]  # fmt: skip


def test_captions_by_the_real_engine(tmp_path: Path, asked: list[Prompt]) -> None:
    """The policy is random: it solves nothing, so what shows something is kept."""
    save_prompts(tmp_path / "set.parquet", asked)
    (tmp_path / "seen.yaml").write_text(PIPELINE)
    corpus = [INSTRUCTION, *(prompt.text for prompt in asked), "<think>3+5</think>\\boxed{8}"]
    load_family("qwen3_vl_moe").build_tiny(tmp_path / "policy", seed=1, corpus=corpus, sizes={})
    command = [
        sys.executable, "-m", "recipes", "prompts", "pipeline", str(tmp_path / "seen.yaml"),
        str(tmp_path / "set.parquet"),
        "sampler.max_model_len=320", "--out", str(tmp_path / "out"), "--recipe", str(RECIPE),
        "--policy", str(tmp_path / "policy"),
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "RAY_worker_niceness": "0"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "01-caption: 4 in, 3 kept" in said and "dropped, shows no picture: 1" in said
    assert {one.prompt_id for one in load_prompts(tmp_path / "out" / "prompts.parquet")} == {
        "first",
        "second",
        "film",
    }

    run = tmp_path / "out" / "runs" / "01-caption"
    captions = {
        row["prompt_id"]: row
        for row in pq.read_table(run / "stages" / "01-caption-r0" / "captions.parquet").to_pylist()
    }
    assert captions.keys() == {"first", "second", "film"} and all(row["caption"] for row in captions.values())
    assert len({row["caption"] for row in captions.values()}) == 3  # each is of its own picture
    log = pq.read_table(run / "rollouts").to_pylist()
    assert {row["prompt_id"] for row in log} == captions.keys() and all(row["blind"] for row in log)
    assert {row["index"] for row in log} == {0, 1}
    manifest = json.loads((run / "stages" / "01-caption-r0" / "manifest.json").read_text())
    assert manifest["result"]["num_captions"] == 3 and manifest["result"]["num_dropped"] == 0
