"""Pictures and films as a policy's processor hands them to its vision tower, beside what they were: pixels and token
grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from recipes.report.drawing.picture import Picture
from recipes.view.pages.patches import Floats, shown_pixels, unpatched, uri_of
from recipes.view.pages.seen_film import SeenFilm, seen_film
from recipes.view.place import Place
from recipes.view.vision_file import MAX_SHOWN, shown_pictures
from sampler.image import decode_image
from verifiers.errors import BadInput


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
    """Pairs of a picture and what is seen of it, and the films, each or why it is not seen. ``why`` says why nothing
    can be shown."""

    pairs: list[tuple[Picture, SeenPicture | None]]
    films: list[SeenFilm | str]
    model: str
    why: str = ""


def seen_page(place: Place, row: Mapping[str, Any], page: int = 1) -> SeenPage:
    """By the processor of the run's newest policy whose directory is there; of long films the ``page``-th part, from
    1."""
    shown = [picture for picture in shown_pictures(place.name, row) if not picture.film]
    model = model_directory(place)
    if model is None:
        return SeenPage([], [], "", "no policy of this run has its processor's files in the run directory")
    try:
        processor = _processor(model, (model / "config.json").stat().st_mtime_ns)
        seen = [_seen(processor, encoded) for encoded in _files(row, "images")]
        films = [_film(place, processor, row, encoded, page) for encoded in _files(row, "videos")]
    except (ImportError, OSError, ValueError, KeyError) as why:
        return SeenPage([], [], str(model), f"its processor cannot be used: {str(why).splitlines()[0]}")
    return SeenPage(list(zip(shown, seen, strict=True)), films, str(model))


def _files(row: Mapping[str, Any], column: str) -> list[bytes]:
    return [(one or {}).get("bytes") or b"" for one in (row.get(column) or [])[:MAX_SHOWN]]


def _film(place: Place, processor: Any, row: Mapping[str, Any], encoded: bytes, page: int) -> SeenFilm | str:
    """By the schedule of the run's recipe, as its own reader of the data has it."""
    sampling = place.run.film_sampling if place.run else None
    tags = [*(row.get("tags") or []), row.get("kind") or ""]
    try:
        schedule = None if sampling is None else sampling.schedule(str(tags[0]))
        return seen_film(processor, encoded, schedule, page)
    except BadInput as why:
        return str(why)


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
        shown: Floats = unpatched(
            pixels, (int(grid[0]), int(grid[1]), int(grid[2])), images.patch_size, merge
        )[0]
        rows, columns = int(grid[1]) // merge, int(grid[2]) // merge
    else:
        shown = pixels.reshape(-1, *pixels.shape[-3:])[0]
        patch = int(getattr(images, "patch_size", 14)) * merge
        rows, columns = shown.shape[1] // patch, shown.shape[2] // patch
    shown = shown_pixels(images, shown)
    return SeenPicture(uri_of(shown), shown.shape[2], shown.shape[1], columns, rows)
