"""An update that went wrong: its batch is kept, whole, so that it can be looked at and run again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rl.data.batch import Batch
from rl.data.token_sequence import Floats
from sampler.vision_input import VisionInput
from verifiers.errors import HoneError

BATCH_FILE = "failed-batch.npz"
ARRAYS = ("token_ids", "lengths", "loss_mask")


def require_finite(
    outcomes: Sequence[Mapping[str, float]],
    batch: Batch,
    steps: Sequence[Sequence[int]],
    directory: Path,
    where: str,
) -> None:
    """``outcomes`` are those of ``steps``, of these sequences of ``batch`` each.

    Raises: HoneError when a loss or a gradient norm is not a number; the mini-batch is saved for replay.
    """
    for index, (outcome, step) in enumerate(zip(outcomes, steps, strict=True)):
        for name in ("loss", "grad_norm"):
            if not math.isfinite(outcome[name]):
                save_batch(directory / BATCH_FILE, batch.select(step))
                raise HoneError(
                    f"{where}, mini-batch {index}: {name} is {outcome[name]}; the batch is kept in "
                    f"{directory / BATCH_FILE} (rl.data.failed_batch.load_batch reads it)"
                )


def save_batch(file: Path, batch: Batch) -> None:
    """A batch as one .npz without pickles: ids, tokens, columns, scalars, pictures and videos."""
    arrays = {name: getattr(batch, name) for name in ARRAYS}
    arrays |= {f"column {name}": column for name, column in batch.columns.items()}
    arrays |= {f"scalar {name}": scalar for name, scalar in batch.scalars.items()}
    keys = {shown: str(index) for index, shown in enumerate(dict.fromkeys(filter(None, batch.vision_inputs)))}
    for index, shown in enumerate(keys):
        for number, vision_input in enumerate(shown):
            arrays[f"vision {index} {number}"] = np.frombuffer(vision_input.read(), np.uint8)
    plain = {
        "sequence_ids": batch.sequence_ids,
        "prompt_ids": batch.prompt_ids,
        "vision_kinds": {key: [one.kind for one in shown] for shown, key in keys.items()},
        "vision_keys": [keys.get(shown, "") for shown in batch.vision_inputs],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, plain=np.array(json.dumps(plain)), **arrays)


def load_batch(file: Path) -> Batch:
    """What ``save_batch`` wrote."""
    with np.load(file, allow_pickle=False) as saved:
        plain = json.loads(str(saved["plain"]))

        def named(kind: str) -> dict[str, Floats]:
            return {name.removeprefix(kind): saved[name] for name in saved.files if name.startswith(kind)}

        shown = {
            key: tuple(
                VisionInput.of(kind, saved[f"vision {index} {number}"].tobytes())
                for number, kind in enumerate(kinds)
            )
            for index, (key, kinds) in enumerate(plain["vision_kinds"].items())
        }
        keys = plain.get("vision_keys", plain["prompt_ids"])  # until 2026-11-30 by prompt
        return Batch(
            sequence_ids=tuple(plain["sequence_ids"]),
            prompt_ids=tuple(plain["prompt_ids"]),
            **{name: saved[name] for name in ARRAYS},
            columns=named("column "),
            scalars=named("scalar "),
            vision_inputs=tuple(shown.get(key, ()) for key in keys),
        )
