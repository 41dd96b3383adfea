"""From a slice of a batch to the tensors of one forward pass: pads or packs tokens, processes each visual once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from rl.data.batch import Batch, offsets
from rl.families.family import ModelFamily, VisionTensors
from rl.trainer.models.policy_model import MicroBatch
from sampler.data.media.video import clip_of
from sampler.vision_input import VisionInput


class Collator:
    """Builds micro-batches for one family on one device.

    ``always_picture`` gives a micro-batch without visuals a blank picture that no token looks at. The vision tower must
    run on every rank or on none: under ZeRO-3 because its parameters are gathered, below because gradients are
    reduced in the order in which they come.
    """

    def __init__(
        self,
        family: ModelFamily,
        processor: Any,
        *,
        placeholder_ids: Sequence[int],
        pad_token_id: int,
        packed: bool,
        always_picture: bool,
        cache_bytes: int,
        device: torch.device,
    ) -> None:
        self.family = family
        self.vision_inputs = VisionCache(processor, family, cache_bytes)
        self.placeholder_ids = tuple(placeholder_ids)
        self.pad_token_id = pad_token_id
        self.packed = packed
        self.device = device
        self.blank = family.blank(processor) if always_picture else None

    def __call__(self, batch: Batch) -> MicroBatch:
        """Tensors for ``batch``, which must hold at least one sequence."""
        of_sequence = list(zip(batch.prompt_ids, batch.vision_inputs, strict=True))
        keys = [key for key in dict.fromkeys(of_sequence) if key[1]]
        vision_inputs = dict(zip(keys, self.vision_inputs.get([shown for _, shown in keys]), strict=True))
        num_runs = {key: vision_inputs[key].num_runs for key in keys}
        first_run = dict(zip(keys, np.cumsum([0, *num_runs.values()]), strict=False))
        sequences = np.split(batch.token_ids, np.cumsum(batch.lengths)[:-1])
        positions = [
            self._positions(tokens, vision_inputs.get(key))
            for tokens, key in zip(sequences, of_sequence, strict=True)
        ]
        input_ids, position_ids, starts = (self._pack if self.packed else self._pad)(sequences, positions)
        vision_rows = [
            first_run[key] + i for key in of_sequence if key in vision_inputs for i in range(num_runs[key])
        ]
        loss_lengths, learnt = batch.loss_lengths, np.flatnonzero(batch.learnt)
        rows = np.repeat(np.arange(len(batch)), loss_lengths)
        columns = np.arange(len(rows)) - offsets(loss_lengths)[rows]
        predictors = starts[rows] + learnt - offsets(batch.lengths)[rows] - 1

        def tensor(array: Any) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64)).to(self.device)

        fed = [vision_inputs[key] for key in keys] or ([self.blank] if self.blank else [])
        return MicroBatch(
            input_ids=tensor(input_ids),
            position_ids=tensor(position_ids),
            predictors=tensor(predictors),
            targets=tensor(batch.token_ids[learnt]),
            rows=tensor(rows),
            columns=tensor(columns),
            shape=(len(batch), max(1, int(loss_lengths.max()))),
            vision=self.family.joined(fed).to(self.device) if fed else None,
            vision_rows=tensor(vision_rows) if keys else None,
        )

    def _positions(self, tokens: np.ndarray, vision: VisionTensors | None) -> np.ndarray:
        """[1 + axes, length], text positions first."""
        axes = self.family.positions(tokens, vision, placeholder_ids=self.placeholder_ids)
        return np.concatenate([np.arange(len(tokens))[None], axes])

    def _pad(
        self, sequences: list[np.ndarray], positions: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Right padding, seen by nobody behind causal attention; positions go on so that no row looks packed."""
        longest = max(len(tokens) for tokens in sequences)
        input_ids = np.full((len(sequences), longest), self.pad_token_id, np.int64)
        position_ids = np.empty((len(positions[0]), len(sequences), longest), np.int64)
        for row, (tokens, index) in enumerate(zip(sequences, positions, strict=True)):
            length = len(tokens)
            input_ids[row, :length] = tokens
            position_ids[:, row, :length] = index
            position_ids[:, row, length:] = index[:, -1:] + 1 + np.arange(longest - length)
        return input_ids, position_ids, np.arange(len(sequences)) * longest

    def _pack(
        self, sequences: list[np.ndarray], positions: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One row without padding; text positions restart at 0 where a sequence begins."""
        lengths = np.array([len(tokens) for tokens in sequences], np.int64)
        return np.concatenate(sequences)[None], np.concatenate(positions, axis=1)[:, None], offsets(lengths)


class VisionCache:
    """Processed pictures and videos by what is shown, least recently used dropped beyond ``limit_bytes``."""

    def __init__(self, processor: Any, family: ModelFamily, limit_bytes: int) -> None:
        self._processor = processor
        self._family = family
        self._limit_bytes = limit_bytes
        self._held: OrderedDict[tuple[VisionInput, ...], VisionTensors] = OrderedDict()
        self._bytes = 0

    def get(self, wanted: Sequence[tuple[VisionInput, ...]]) -> list[VisionTensors]:
        """Tensors of what each prompt shows, in its order; missing pictures are processed in one call.

        Raises: BadInput for what does not decode.
        """
        found = {shown: self._held[shown] for shown in wanted if shown in self._held}
        missing = [shown for shown in dict.fromkeys(wanted) if shown not in found]
        if missing:
            pictures = iter(self._pictures([one for shown in missing for one in shown]))
            for shown in missing:
                found[shown] = self._family.joined(
                    [next(pictures) if one.kind == "image" else self._video(one) for one in shown]
                )
                self._keep(shown, found[shown])
        for shown in wanted:
            if shown in self._held:
                self._held.move_to_end(shown)
        return [found[shown] for shown in wanted]

    def _pictures(self, vision_inputs: Sequence[VisionInput]) -> list[VisionTensors]:
        decoded = [one.pil_image() for one in vision_inputs if one.kind == "image"]
        return self._family.images(self._processor, decoded) if decoded else []

    def _video(self, video: VisionInput) -> VisionTensors:
        return self._family.video(self._processor, clip_of(video, self._processor.video_processor))

    def _keep(self, shown: tuple[VisionInput, ...], vision: VisionTensors) -> None:
        self._held[shown] = vision
        self._bytes += vision.nbytes
        while self._bytes > self._limit_bytes and self._held:
            _, dropped = self._held.popitem(last=False)
            self._bytes -= dropped.nbytes
