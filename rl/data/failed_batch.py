"""An update that went wrong: its batch is kept, whole, so that it can be looked at and run again."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl.data.batch import TrainBatch
from sampler.vision_input import VisionInput
from verifiers.errors import HoneError

BATCH_FILE = "failed-batch.npz"


def require_finite(
    outcomes: Sequence[Mapping[str, float]], parts: Sequence[TrainBatch], directory: Path, where: str
) -> None:
    """Raises: HoneError when a loss or a gradient norm is not a number; the mini-batch is saved for replay."""
    for index, (outcome, part) in enumerate(zip(outcomes, parts, strict=True)):
        for name in ("loss", "grad_norm"):
            if not math.isfinite(outcome[name]):
                save_batch(directory / BATCH_FILE, part)
                raise HoneError(
                    f"{where}, mini-batch {index}: {name} is {outcome[name]}; the batch is kept in "
                    f"{directory / BATCH_FILE} (rl.data.failed_batch.load_batch reads it)"
                )


def save_batch(file: Path, batch: TrainBatch) -> None:
    """A batch as one .npz without pickles: columns, ids, counts, pictures and videos."""
    columns = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    vision_inputs = columns.pop("vision_inputs")
    arrays = {name: value for name, value in columns.items() if isinstance(value, np.ndarray)}
    plain = {name: value for name, value in columns.items() if name not in arrays}
    pictures = {
        f"visual {index} {number}": np.frombuffer(one.read(), np.uint8)
        for index, each in enumerate(vision_inputs.values())
        for number, one in enumerate(each)
    }
    plain["vision_inputs"] = {
        prompt_id: [one.kind for one in each] for prompt_id, each in vision_inputs.items()
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, plain=np.array(json.dumps(plain)), **arrays, **pictures)  # type: ignore[arg-type]


def load_batch(file: Path) -> TrainBatch:
    """What ``save_batch`` wrote."""
    with np.load(file, allow_pickle=False) as kept:
        plain = json.loads(str(kept["plain"]))
        vision_inputs = {
            prompt_id: tuple(
                VisionInput.of(kind, kept[f"visual {index} {number}"].tobytes())
                for number, kind in enumerate(kinds)
            )
            for index, (prompt_id, kinds) in enumerate(plain.pop("vision_inputs").items())
        }
        arrays = {
            name: kept[name] for name in kept.files if name != "plain" and not name.startswith("visual ")
        }
    ids = {name: tuple(plain.pop(name)) for name in ("sequence_ids", "prompt_ids")}
    columns: dict[str, Any] = {**ids, **arrays, **plain}
    return TrainBatch(**columns, vision_inputs=vision_inputs)
