"""A held-out prompt whose copy is hidden in what is trained on is told; the run goes on."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recipes import cli
from rl.data.near_leaks import MOST_PICTURES, near_leaks
from rl.data.run_data import RunData, read_set


def photo(seed: int, form: str = "PNG", pixel: bool = False) -> bytes:
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize(
        (160, 120), Image.Resampling.BICUBIC
    )
    if pixel:
        image.putpixel((3, 4), (0, 255, 0))
    file = io.BytesIO()
    image.save(file, form, quality=60)
    return file.getvalue()


QUESTION = "How many cups are there?"
HIDDEN = {
    "a blank": (f"{QUESTION} ", photo(1)),
    "a comma": (QUESTION.replace("cups", "cups,"), photo(1)),
    "another case": (QUESTION.upper(), photo(1)),
    "a changed pixel": (QUESTION, photo(1, pixel=True)),
    "another compression": (QUESTION, photo(1, "JPEG")),
}


def write(path: Path, *rows: tuple[str, bytes]) -> None:
    lines = []
    for number, (text, picture) in enumerate(rows):
        name = f"{path.stem}{number}.img"
        (path.parent / name).write_bytes(picture)
        lines.append(
            json.dumps({"messages": f"<image>{text}", "images": name, "verifier": "number", "reference": "3"})
        )
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("how", HIDDEN)
def test_a_hidden_copy_is_a_warning(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "train.jsonl", ("Is it dark?", photo(2)), HIDDEN[how], (QUESTION, photo(3)))
    write(tmp_path / "heldout.jsonl", ("And is it late?", photo(4)), (QUESTION, photo(1)))
    (tmp_path / "own.yaml").write_text(
        "name: own\ndata: {train_prompts: train.jsonl, heldout_prompts: heldout.jsonl}\n"
        "sampler: {max_model_len: 128}\nrl: {max_response_tokens: 40, prompts_per_step: 2, num_mini_batches: 1}\n"
    )
    assert cli.main(["run", "own.yaml", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "1 held-out prompt nearly trained on" in said
    assert "heldout.jsonl, line 2 is nearly train.jsonl, line 2" in said


def test_what_is_no_copy(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", (QUESTION, photo(2)), ("Is it dark?", photo(1)))
    write(tmp_path / "heldout.jsonl", (QUESTION, photo(1)))
    sets = {name: read_set(name, str(tmp_path / f"{name}.jsonl")) for name in ("train", "heldout")}
    assert near_leaks(RunData.of(sets)).found == {}


def test_pictures_beyond_the_limit_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_PICTURES > 1000
    monkeypatch.setattr("rl.data.near_leaks.MOST_PICTURES", 1)
    write(
        tmp_path / "train.jsonl", (QUESTION, photo(2)), (QUESTION, photo(1, pixel=True)), ("Dark?", photo(5))
    )
    write(tmp_path / "heldout.jsonl", (QUESTION, photo(1)))
    sets = {name: read_set(name, str(tmp_path / f"{name}.jsonl")) for name in ("train", "heldout")}
    leaks = near_leaks(RunData.of(sets))
    assert (leaks.found, leaks.num_not_compared) == ({}, 1)
