"""A batch whose update went wrong is kept whole."""

import dataclasses
import json

import numpy as np
import pytest

from rl.data.batch import Batch
from rl.data.failed_batch import BATCH_FILE, load_batch, require_finite, save_batch
from rl.data.token_sequence import TokenSequence
from sampler.vision_input import VisionInput
from verifiers.errors import HoneError


def batch_of(lengths):
    return Batch.of(
        [
            TokenSequence.of_response(
                f"r{i}",
                f"p{i // 2}",
                np.arange(2),
                np.arange(2, length),
                vision_inputs=(
                    VisionInput.of("image", bytes([i, 0, 255])),
                    VisionInput.of("video", b"another"),
                ),
                columns={"advantages": np.full(length - 2, i)},
                scalars={"kl_coef": i / 10, "is_right": i % 2},
            )
            for i, length in enumerate(lengths)
        ]
    )


def test_numbers_pass(tmp_path):
    require_finite([{"loss": 1.0, "grad_norm": 0.0}], batch_of([4]), [[0]], tmp_path, "policy, step 3")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "outcome", [{"loss": float("nan"), "grad_norm": 1.0}, {"loss": 1.0, "grad_norm": float("inf")}]
)
def test_what_is_no_number_stops_and_keeps_the_batch(tmp_path, outcome):
    fine = {"loss": 1.0, "grad_norm": 1.0}
    batch, steps = batch_of([4, 6, 5, 3, 9, 4]), [[0, 5], [4, 2, 3], [1]]
    with pytest.raises(HoneError, match=rf"critic, step 3, mini-batch 1: .*{BATCH_FILE}"):
        require_finite([fine, outcome, fine], batch, steps, tmp_path / "stage", "critic, step 3")
    kept = load_batch(tmp_path / "stage" / BATCH_FILE)
    part = batch.select(steps[1])
    for field in dataclasses.fields(Batch):
        wanted, got = getattr(part, field.name), getattr(kept, field.name)
        if field.name in ("columns", "scalars"):
            assert got.keys() == wanted.keys() and got
            for name, column in wanted.items():
                assert got[name].tobytes() == column.tobytes() and got[name].dtype == column.dtype
        elif isinstance(wanted, np.ndarray):
            assert got.tobytes() == wanted.tobytes() and got.dtype == wanted.dtype
        else:
            assert got == wanted


def test_a_file_that_names_pictures_by_prompt_is_read(tmp_path):
    """As files before 2026-11-30 do."""
    batch, file = batch_of([4, 6, 5]).select([0, 2]), tmp_path / BATCH_FILE
    save_batch(file, batch)
    with np.load(file) as saved:
        arrays = dict(saved)
    plain = json.loads(str(arrays["plain"]))
    del plain["vision_keys"]
    plain["vision_kinds"] = dict(zip(batch.prompt_ids, plain["vision_kinds"].values(), strict=True))
    np.savez(file, **arrays | {"plain": np.array(json.dumps(plain))})
    assert load_batch(file).vision_inputs == batch.vision_inputs
