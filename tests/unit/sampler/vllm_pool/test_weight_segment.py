"""Weights through a memory-mapped file: whole, checked, and never left behind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from sampler.vllm_pool.process_file import process_file
from sampler.vllm_pool.transfer.shared_memory_transfer import (
    SharedMemoryTrainerEngine,
    SharedMemoryTrainerInitInfo,
)
from sampler.vllm_pool.transfer.weight_segment import (
    KIND,
    SegmentManifest,
    SegmentWriter,
    WeightTransferError,
    open_segment,
    tensor_checksum,
)

TENSORS = {
    "a.weight": torch.randn(3, 5),
    "b.half": torch.randn(7).to(torch.bfloat16),
    "c.scalar": torch.tensor(2.5),
    "d.transposed": torch.randn(4, 6).T,
    "e.empty": torch.zeros(0, 3),
    "f.ids": torch.arange(9),
}


def written(tensors: dict[str, torch.Tensor] = TENSORS) -> SegmentManifest:
    writer = SegmentWriter([tensor.nbytes for tensor in tensors.values()], sequence=os.getpid())
    for name, tensor in tensors.items():
        writer.add(name, tensor)
    return writer.finish()


@pytest.fixture
def manifest() -> Iterator[SegmentManifest]:
    made = written()
    yield made
    Path(made.path).unlink(missing_ok=True)


def test_tensors_come_back_as_they_were(manifest: SegmentManifest) -> None:
    travelled = SegmentManifest.from_dict(json.loads(json.dumps(manifest.to_dict())))
    assert travelled == manifest
    with open_segment(travelled) as tensors:
        assert [name for name, _ in tensors] == list(TENSORS)
        for name, tensor in tensors:
            assert tensor.dtype == TENSORS[name].dtype and torch.equal(tensor, TENSORS[name])


def test_readers_cannot_change_what_others_read(manifest: SegmentManifest) -> None:
    with open_segment(manifest) as tensors:
        dict(tensors)["a.weight"].zero_()
    with open_segment(manifest) as tensors:
        assert torch.equal(dict(tensors)["a.weight"], TENSORS["a.weight"])


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_damage_is_an_error(manifest: SegmentManifest, damage: str) -> None:
    path = Path(manifest.path)
    if damage == "flip":
        content = bytearray(path.read_bytes())
        content[manifest.entries[3].offset] ^= 1
        path.write_bytes(content)
        message = "d.transposed: checksum differs"
    elif damage == "truncate":
        os.truncate(path, 64)
        message = "shorter than its manifest"
    else:
        path.unlink()
        message = "within one machine"
    with pytest.raises(WeightTransferError, match=message), open_segment(manifest):
        pass


def test_a_segment_that_cannot_fit_is_an_error_before_anything_is_written() -> None:
    with pytest.raises(WeightTransferError, match="no room for"):
        SegmentWriter([2**60], sequence=0)


@pytest.mark.parametrize("name", TENSORS)
def test_a_checksum_is_of_every_bit_in_its_place(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bit flipped anywhere, or any two elements exchanged, give another; how a tensor lies in memory does not."""
    tensor = TENSORS[name]
    checksum = tensor_checksum(tensor)
    assert tensor_checksum(tensor.clone(memory_format=torch.contiguous_format)) == checksum
    monkeypatch.setattr("sampler.vllm_pool.transfer.weight_segment._CHECKED_AT_A_TIME", 2)  # a row at a time
    assert tensor_checksum(tensor) == checksum
    for index in range(tensor.numel()):
        flipped = tensor.clone(memory_format=torch.contiguous_format)
        flipped.view(-1).view(torch.uint8)[index * tensor.itemsize] ^= 1
        assert tensor_checksum(flipped) != checksum
        exchanged = tensor.clone(memory_format=torch.contiguous_format)
        other = (index + 1 + index % 3) % tensor.numel()
        exchanged.view(-1)[[index, other]] = exchanged.view(-1)[[other, index]]
        assert index == other or tensor_checksum(exchanged) != checksum


class Source:
    """As a ZeRO-3 source: each step of the iteration is a collective, which every rank must take."""

    def __init__(self, tensors: dict[str, torch.Tensor], declared: dict[str, torch.Tensor]) -> None:
        self.tensors, self.declared, self.num_taken = tensors, declared, 0

    def metadata(self) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(name=name, dtype=tensor.dtype, shape=list(tensor.shape))
            for name, tensor in self.declared.items()
        ]

    def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
        for item in self.tensors.items():
            self.num_taken += 1
            yield item


LESS = dict(list(TENSORS.items())[:3])


@pytest.mark.parametrize(
    ("tensors", "declared", "message"),
    [
        (
            TENSORS,
            {**TENSORS, "a.weight": torch.zeros(3, 4)},
            "yielded .'a.weight'.* where its metadata says",
        ),
        (TENSORS, LESS, "yielded d.transposed, which its metadata lacks"),
        (LESS, TENSORS, "yielded .'nothing more'"),
        (TENSORS, {**TENSORS, "g.huge": torch.empty(2**60, device="meta")}, "no room for"),
    ],
)
def test_after_a_mistake_the_source_is_drained_and_no_file_left(
    tensors: dict[str, torch.Tensor], declared: dict[str, torch.Tensor], message: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("sampler.vllm_pool.transfer.weight_segment.segment_directories", lambda: [tmp_path])
    source: Any = Source(tensors, declared)
    engine = SharedMemoryTrainerEngine(client=cast(Any, None), source=source, is_sender=True)
    with pytest.raises(WeightTransferError, match=message):
        engine.send_weights()
    assert source.num_taken == len(tensors) and not list(tmp_path.iterdir())


def test_what_a_killed_writer_left_is_swept_wherever_it_lay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the directory for temporary files too, where shared memory had no room."""
    both = [tmp_path / "shm", tmp_path / "tmp"]
    for directory in both:
        directory.mkdir()
        own = process_file(directory, KIND).name.rsplit("-", 2)[0]
        (directory / f"{own}-4194305-1-0").touch()  # no process has this id
    monkeypatch.setattr("sampler.vllm_pool.transfer.shared_memory_transfer.segment_directories", lambda: both)
    client: Any = SimpleNamespace(init_weight_transfer_engine=lambda _: None)
    source: Any = Source(TENSORS, TENSORS)
    SharedMemoryTrainerEngine.trainer_init(SharedMemoryTrainerInitInfo(rank=0), client=client, source=source)
    assert [list(directory.iterdir()) for directory in both] == [[], []]
