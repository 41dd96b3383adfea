"""From a slice of a batch to the tensors of one forward pass: pads or packs tokens, processes pictures once."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from rl.batch import TrainBatch, offsets
from rl.families.family import ModelFamily
from rl.policy_model import MicroBatch

Picture = tuple[torch.Tensor, torch.Tensor]  # pixel_values [patches, features], grid_thw [images, 3]


class PictureCache:
    """Processed pictures by prompt, least recently used dropped beyond ``limit_bytes``."""

    def __init__(self, image_processor: Any, limit_bytes: int) -> None:
        self._process = image_processor
        self._limit_bytes = limit_bytes
        self._held: OrderedDict[str, Picture] = OrderedDict()
        self._bytes = 0

    def get(self, wanted: Sequence[tuple[str, tuple[bytes, ...]]]) -> list[Picture]:
        """Pictures of each (prompt id, encoded images); the missing ones are processed in one call."""
        from PIL import Image

        found = {key: self._held[key] for key, _ in wanted if key in self._held}
        missing = [(key, images) for key, images in wanted if key not in found]
        if missing:
            decoded = [
                Image.open(io.BytesIO(data)).convert("RGB") for _, images in missing for data in images
            ]
            output = self._process(images=decoded, return_tensors="pt")
            grids = output["image_grid_thw"].split([len(images) for _, images in missing])
            pixels = output["pixel_values"].split([int(grid.prod(-1).sum()) for grid in grids])
            for (key, _), pixel_values, grid in zip(missing, pixels, grids, strict=True):
                found[key] = (pixel_values.clone(), grid)
                self._keep(key, found[key])
        for key, _ in wanted:
            if key in self._held:
                self._held.move_to_end(key)
        return [found[key] for key, _ in wanted]

    def _keep(self, key: str, picture: Picture) -> None:
        self._held[key] = picture
        self._bytes += picture[0].nbytes
        while self._bytes > self._limit_bytes and self._held:
            _, dropped = self._held.popitem(last=False)
            self._bytes -= dropped[0].nbytes


class Collator:
    """Builds micro-batches for one family on one device.

    ``always_picture`` gives a micro-batch without pictures a blank one that no token looks at. The vision tower must
    run on every rank or on none: under ZeRO-3 because its parameters are gathered, below because gradients are
    reduced in the order in which they come.
    """

    def __init__(
        self,
        family: ModelFamily,
        processor: Any,
        *,
        image_token_id: int,
        pad_token_id: int,
        packed: bool,
        always_picture: bool,
        cache_bytes: int,
        device: torch.device,
    ) -> None:
        self.family = family
        self.pictures = PictureCache(processor.image_processor, cache_bytes)
        self.merge_size = int(processor.image_processor.merge_size)
        self.image_token_id = image_token_id
        self.pad_token_id = pad_token_id
        self.packed = packed
        self.device = device
        self.blank = _blank_picture(processor.image_processor) if always_picture else None

    def __call__(self, batch: TrainBatch) -> MicroBatch:
        """Tensors for ``batch``, which must hold at least one sequence."""
        keys = list(dict.fromkeys(batch.prompt_ids))
        keys = [key for key in keys if key in batch.images]
        pictures = dict(zip(keys, self.pictures.get([(key, batch.images[key]) for key in keys]), strict=True))
        first_image = dict(zip(keys, np.cumsum([0, *(len(pictures[key][1]) for key in keys)]), strict=False))
        sequences = np.split(batch.token_ids, np.cumsum(batch.lengths)[:-1])
        positions = [
            self._positions(tokens, pictures.get(prompt_id))
            for tokens, prompt_id in zip(sequences, batch.prompt_ids, strict=True)
        ]
        input_ids, position_ids, starts = (self._pack if self.packed else self._pad)(sequences, positions)
        image_rows = [
            first_image[prompt_id] + i
            for prompt_id in batch.prompt_ids
            if prompt_id in pictures
            for i in range(len(pictures[prompt_id][1]))
        ]
        response_lengths = batch.response_lengths
        rows = np.repeat(np.arange(len(batch)), response_lengths)
        columns = np.arange(len(rows)) - np.repeat(offsets(response_lengths), response_lengths)
        predictors = np.repeat(starts + batch.prompt_lengths - 1, response_lengths) + columns
        targets = np.concatenate(
            [tokens[prompt:] for tokens, prompt in zip(sequences, batch.prompt_lengths, strict=True)]
        )

        def tensor(array: Any) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64)).to(self.device)

        fed = [pictures[key] for key in keys] or ([self.blank] if self.blank else [])
        return MicroBatch(
            input_ids=tensor(input_ids),
            position_ids=tensor(position_ids),
            predictors=tensor(predictors),
            targets=tensor(targets),
            rows=tensor(rows),
            columns=tensor(columns),
            shape=(len(batch), int(response_lengths.max())),
            pixel_values=torch.cat([pixels for pixels, _ in fed]).to(self.device) if fed else None,
            grid_thw=torch.cat([grid for _, grid in fed]).to(self.device) if fed else None,
            image_rows=tensor(image_rows) if keys else None,
        )

    def _positions(self, tokens: np.ndarray, picture: Picture | None) -> np.ndarray:
        """[1 + axes, length], text positions first."""
        grids = [] if picture is None else picture[1].tolist()
        axes = self.family.positions(
            tokens, grids, image_token_id=self.image_token_id, merge_size=self.merge_size
        )
        return np.concatenate([np.arange(len(tokens))[None], axes])

    def _pad(
        self, sequences: list[np.ndarray], positions: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Right padding, seen by nobody behind causal attention; positions go on so that no row looks packed."""
        longest = max(len(tokens) for tokens in sequences)
        input_ids = np.full((len(sequences), longest), self.pad_token_id, np.int64)
        position_ids = np.empty((len(positions[0]), len(sequences), longest), np.int64)
        for row, (tokens, place) in enumerate(zip(sequences, positions, strict=True)):
            length = len(tokens)
            input_ids[row, :length] = tokens
            position_ids[:, row, :length] = place
            position_ids[:, row, length:] = place[:, -1:] + 1 + np.arange(longest - length)
        return input_ids, position_ids, np.arange(len(sequences)) * longest

    def _pack(
        self, sequences: list[np.ndarray], positions: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One row without padding; text positions restart at 0 where a sequence begins."""
        lengths = np.array([len(tokens) for tokens in sequences], np.int64)
        return np.concatenate(sequences)[None], np.concatenate(positions, axis=1)[:, None], offsets(lengths)


def _blank_picture(image_processor: Any) -> Picture:
    from PIL import Image

    side = image_processor.patch_size * image_processor.merge_size
    output = image_processor(images=[Image.new("RGB", (side, side))], return_tensors="pt")
    return output["pixel_values"], output["image_grid_thw"]
