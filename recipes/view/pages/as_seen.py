"""Pictures as a policy's processor hands them to its vision tower, beside what they were: pixels and token grid."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recipes.report.drawing.picture import Picture
from recipes.view.opened import Place
from recipes.view.vision_file import MAX_SHOWN, shown_pictures
from sampler.image import decode_image
from sampler.vision_input import data_url
from verifiers.errors import BadInput

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SeenPicture:
    """``width`` x ``height`` pixels after resizing; a token stands for a cell of the grid ``columns`` x ``rows``."""

    uri: str
    width: int
    height: int
    columns: int
    rows: int

    @property
    def num_tokens(self) -> int:
        return self.columns * self.rows


@dataclass(frozen=True)
class SeenPage:
    """Pairs of a picture and what is seen of it. ``why`` says why nothing can be shown."""

    pairs: list[tuple[Picture, SeenPicture | None]]
    model: str
    why: str = ""


def seen_page(place: Place, row: Mapping[str, Any]) -> SeenPage:
    """By the processor of the run's newest policy whose directory is there."""
    shown = [picture for picture in shown_pictures(place.name, row) if not picture.film]
    model = model_directory(place)
    if model is None:
        return SeenPage([], "", "no policy of this run has its processor's files in the run directory")
    files = [(one or {}).get("bytes") or b"" for one in (row.get("images") or [])[:MAX_SHOWN]]
    try:
        processor = _processor(model, (model / "config.json").stat().st_mtime_ns)
        seen = [_seen(processor, encoded) for encoded in files]
    except (ImportError, OSError, ValueError, KeyError) as why:
        return SeenPage([], str(model), f"its processor cannot be used: {str(why).splitlines()[0]}")
    return SeenPage(list(zip(shown, seen, strict=True)), str(model))


def model_directory(place: Place) -> Path | None:
    """Of the released policy, or of the newest that is in the run directory with its processor."""
    found = [place.path / "policy"]
    for manifest in reversed(place.run.manifests if place.run else ()):
        policy = (manifest.get("result") or {}).get("policy")
        if isinstance(policy, Mapping) and policy.get("hub"):
            found.append(place.path / str(policy["hub"]))
    is_there = (path for path in found if (path / "config.json").is_file())
    return next((path for path in is_there if any(path.glob("*processor_config.json"))), None)


@lru_cache(maxsize=2)
def _processor(model: Path, _time: int) -> Any:
    """Of a local directory alone: no code of the model's own is run, and nothing is fetched."""
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(model, local_files_only=True, trust_remote_code=False)


def _seen(processor: Any, encoded: bytes) -> SeenPicture | None:
    try:
        image = decode_image(encoded)
    except BadInput:
        return None
    images = processor.image_processor
    output = images(images=[image], return_tensors="np")
    pixels = np.asarray(output["pixel_values"], np.float32)
    merge = int(getattr(images, "merge_size", 1))
    if "image_grid_thw" in output:
        grid = np.asarray(output["image_grid_thw"]).reshape(-1, 3)[0]
        shown = unpatched(pixels, (int(grid[0]), int(grid[1]), int(grid[2])), images.patch_size, merge)
        rows, columns = int(grid[1]) // merge, int(grid[2]) // merge
    else:
        shown = pixels.reshape(-1, *pixels.shape[-3:])[0]
        patch = int(getattr(images, "patch_size", 14)) * merge
        rows, columns = shown.shape[1] // patch, shown.shape[2] // patch
    shown = shown * _of_channels(images.image_std) + _of_channels(images.image_mean)
    return SeenPicture(data_url(_png(shown)), shown.shape[2], shown.shape[1], columns, rows)


def unpatched(patches: Floats, grid: tuple[int, int, int], size: int, merge: int) -> Floats:
    """The picture [3, height, width] out of Qwen2-VL's patches [t * h * w, 3 * temporal * size * size].

    Patches of one token (``merge`` x ``merge``) lie beside each other; see transformers' Qwen2VLImageProcessor.
    """
    times, height, width = grid
    temporal = patches.shape[1] // (3 * size * size)
    cells = patches.reshape(times, height // merge, width // merge, merge, merge, 3, temporal, size, size)
    # [t, rows, columns, down, right, channel, temporal, y, x] ->
    # [t, temporal, channel, rows, down, y, columns, right, x]
    frames = cells.transpose(0, 6, 5, 1, 3, 7, 2, 4, 8).reshape(
        times * temporal, 3, height * size, width * size
    )
    first: Floats = frames[0]
    return first


def _of_channels(values: Any) -> Floats:
    return np.asarray(values, np.float32).reshape(-1, 1, 1)


def _png(pixels: Floats) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray((pixels.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)).save(buffer, "PNG")
    return buffer.getvalue()
