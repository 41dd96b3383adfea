"""All weights of one policy version packed into one memory-mapped file, and the manifest that describes it.

The file lies in shared memory, so writer and readers on one machine share its pages. Its name carries the writer's
process id and start time: a segment whose writer was killed is recognised, and removed, by the next writer.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sampler.vllm_pool.process_file import process_file
from verifiers.errors import HoneError

if TYPE_CHECKING:
    import torch

_ALIGNMENT = 64
_CHECKED_AT_A_TIME = 2**24  # elements, 128 MiB as integers
KIND = "weights"


class WeightTransferError(HoneError, ValueError):
    """Weights were not taken over as sent: the sampler must not be used until a sync succeeds."""


@dataclass(frozen=True)
class TensorEntry:
    """Where one tensor lies in the segment: hub-layout name, bytes [offset, offset + num_bytes), their CRC-32."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    num_bytes: int
    crc32: int


@dataclass(frozen=True)
class SegmentManifest:
    """A segment's path and its tensors in order; plain data, so it travels through any remote call."""

    path: str
    entries: tuple[TensorEntry, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain types only; ``from_dict`` gives the same manifest back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> SegmentManifest:
        """Of ``to_dict``, also after JSON, which makes lists of shapes."""
        entries = tuple(
            TensorEntry(**{**entry, "shape": tuple(entry["shape"])}) for entry in plain["entries"]
        )
        return cls(path=plain["path"], entries=entries)


def segment_directories() -> list[Path]:
    """Where a segment may lie: shared memory before the directory for temporary files."""
    candidates = (Path("/dev/shm"), Path(tempfile.gettempdir()))  # noqa: S108 - shared memory
    return [one for one in candidates if one.is_dir() and os.access(one, os.W_OK)]


def segment_directory(num_bytes: int) -> Path:
    """The first that has room for the segment. Raises: WeightTransferError where none has."""
    for candidate in segment_directories():
        if shutil.disk_usage(candidate).free > num_bytes:
            return candidate
    raise WeightTransferError(
        f"no room for {num_bytes / 2**30:.2f} GiB of weights in /dev/shm or the temporary files"
    )


class SegmentWriter:
    """Writes one segment tensor by tensor, so that the sender never holds a second copy of the model.

    `sizes` are the byte counts of all tensors in order; `add` must be called once for each of them, inside the `with`:
    the file of a segment that is not finished there is removed.
    """

    def __init__(self, sizes: Iterable[int], sequence: int) -> None:
        self._offsets: list[int] = []
        end = 0
        for size in sizes:
            self._offsets.append(end)
            end += -(-size // _ALIGNMENT) * _ALIGNMENT
        own = process_file(segment_directory(end), KIND)
        self.path = own.with_name(f"{own.name}-{sequence}")
        self._entries: list[TensorEntry] = []
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # Reserved now: a full file system is an error here, not a bus error in the middle of a copy.
            os.posix_fallocate(descriptor, 0, max(end, _ALIGNMENT))
            self._map = mmap.mmap(descriptor, max(end, _ALIGNMENT))
        except BaseException:
            self.path.unlink()
            raise
        finally:
            os.close(descriptor)

    def add(self, name: str, tensor: torch.Tensor) -> None:
        """Copy the next tensor, from any device, with its checksum; its bytes are as announced."""
        import torch

        plain = tensor.detach().to("cpu").contiguous()
        content = memoryview(plain.reshape(-1).view(torch.uint8).numpy())
        offset = self._offsets[len(self._entries)]
        self._map[offset : offset + content.nbytes] = content
        self._entries.append(
            TensorEntry(
                name,
                _dtype_name(plain.dtype),
                tuple(plain.shape),
                offset,
                content.nbytes,
                zlib.crc32(content),
            )
        )

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.abandon()

    def finish(self) -> SegmentManifest:
        """The manifest; the file stays for readers."""
        assert len(self._entries) == len(self._offsets), "a segment is finished when every tensor was added"
        self._map.close()
        return SegmentManifest(str(self.path), tuple(self._entries))

    def abandon(self) -> None:
        """Remove the file of a segment that will not be finished."""
        self._map.close()
        self.path.unlink(missing_ok=True)


@contextlib.contextmanager
def open_segment(manifest: SegmentManifest) -> Iterator[list[tuple[str, torch.Tensor]]]:
    """The segment's named tensors, checked against their checksums; valid inside the `with` only.

    Raises WeightTransferError when the file is gone, short, or holds other bytes than were sent.
    """
    end = max((entry.offset + entry.num_bytes for entry in manifest.entries), default=0)
    try:
        with Path(manifest.path).open("rb") as file:
            if os.fstat(file.fileno()).st_size < end:
                raise WeightTransferError(f"weight segment {manifest.path} is shorter than its manifest says")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except FileNotFoundError as missing:
        raise WeightTransferError(
            f"weight segment {manifest.path} does not exist here; shared_memory works within one machine"
        ) from missing
    try:
        yield [(entry.name, _read(mapped, entry)) for entry in manifest.entries]
    finally:
        # A tensor that still points into the mapping keeps it; it is unmapped when that tensor goes.
        with contextlib.suppress(BufferError):
            mapped.close()


def _read(mapped: mmap.mmap, entry: TensorEntry) -> torch.Tensor:
    import torch

    dtype = getattr(torch, entry.dtype)
    num_elements = entry.num_bytes // dtype.itemsize
    if torch.Size(entry.shape).numel() != num_elements:
        raise WeightTransferError(f"{entry.name}: {entry.num_bytes} bytes do not make shape {entry.shape}")
    view = memoryview(mapped)[entry.offset : entry.offset + entry.num_bytes]
    if zlib.crc32(view) != entry.crc32:
        raise WeightTransferError(f"{entry.name}: checksum differs from what the trainer sent")
    if num_elements == 0:
        return torch.empty(entry.shape, dtype=dtype)
    return torch.frombuffer(mapped, dtype=dtype, count=num_elements, offset=entry.offset).reshape(entry.shape)


def tensor_checksum(tensor: torch.Tensor) -> int:
    """CRC-32 of the sums of its bits along rows and along columns, found on the tensor's device: one other element, or
    two in each other's place, make it another."""
    import torch

    if not tensor.numel():
        return 0
    integer = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.dtype.itemsize]
    rows = tensor.detach().view(integer).reshape(len(tensor) if tensor.ndim else 1, -1)
    of_rows, of_columns = [], torch.zeros(rows.shape[1], dtype=torch.int64, device=tensor.device)
    for part in rows.split(max(1, _CHECKED_AT_A_TIME // max(1, rows.shape[1]))):
        bits = part.long()
        of_rows.append(bits.sum(1))
        of_columns += bits.sum(0)
    return zlib.crc32(torch.cat([*of_rows, of_columns]).cpu().numpy())


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
