"""WebDataset: a tar whose neighbouring files of one name are one row, its pictures read from where they lie in it."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from sampler.rows.row import DatasetRow, one_line
from sampler.vision_input import VisionKind
from verifiers.errors import BadInput

MAX_TEXT_BYTES = 64 * 2**20  # of a member that is read as text or JSON
_IMAGES = ("png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff")
_VIDEOS = ("mp4", "mov", "webm", "mkv", "avi")


class TarMember(NamedTuple):
    """A file inside a tar that is not compressed."""

    tar: str
    name: str
    start: int
    size: int

    def __str__(self) -> str:
        return f"{self.tar}, {self.name}"

    def read(self, kind: VisionKind) -> bytes:
        """The bytes as they are now. Raises `BadInput`."""
        try:
            with Path(self.tar).open("rb") as file:
                file.seek(self.start)
                return file.read(self.size)
        except OSError as why:
            raise BadInput(f"{self}: cannot be read: {one_line(why)}") from None


def tar_rows(file: Path) -> Iterator[DatasetRow]:
    """A row for each name before the first dot of neighbouring members: what ``.json`` holds are its columns, pictures
    are its `images`, films its `videos`, other texts columns called as they end (``txt``, ``cls``). Raises
    `BadInput`."""
    try:
        with tarfile.open(file, "r:") as tar:
            members = ((member, *_parted(member.name)) for member in tar if member.isreg())
            for key, group in groupby(members, key=lambda one: one[1]):
                location, fault = f"{file}, sample {key!r}", None
                values: dict[str, Any] = {}
                try:
                    for member, _, suffix in group:
                        _take(values, tar, member, suffix, file)
                except BadInput as why:
                    fault = BadInput(f"{location}: {why}")
                yield DatasetRow(location, values, file.parent, fault=fault)
    except (tarfile.TarError, OSError, EOFError) as why:
        hint = "; unpack a .gz first" if _is_compressed(file) else ""
        raise BadInput(f"{file}: not a readable tar{hint}: {one_line(why)}") from None


def _parted(name: str) -> tuple[str, str]:
    """The sample's name, its folder in front, and how the member's name goes on after the first dot."""
    folder, slash, last = name.rpartition("/")
    key, _, suffix = last.partition(".")
    return f"{folder}{slash}{key}", suffix.casefold()


def _take(
    values: dict[str, Any], tar: tarfile.TarFile, member: tarfile.TarInfo, suffix: str, file: Path
) -> None:
    """Put what a member holds into the row. Raises `BadInput`."""
    kind = suffix.rpartition(".")[2]
    for column, suffixes in (("images", _IMAGES), ("videos", _VIDEOS)):
        if kind in suffixes:
            held = TarMember(str(file.absolute()), member.name, member.offset_data, member.size)
            values[column] = [*(one for one in values.get(column) or () if type(one) is TarMember), held]
            values.pop(column.removesuffix("s"), None)  # names of the same files, in the JSON
            return
    if member.size > MAX_TEXT_BYTES:
        raise BadInput(
            f"{member.name} has {member.size / 2**20:.0f} MiB, more than {MAX_TEXT_BYTES // 2**20}"
        )
    reader = tar.extractfile(member)
    text = b"" if reader is None else reader.read()
    if kind != "json":
        values[suffix] = text.decode("utf-8", "replace")
        return
    try:
        found = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as why:
        raise BadInput(f"{member.name} is not valid JSON: {one_line(why)}") from None
    if not isinstance(found, dict):
        raise BadInput(f"{member.name}: a row is a JSON object, got {type(found).__name__}")
    shown = [column for column in ("images", "videos") if column in values]
    values |= {name: value for name, value in found.items() if f"{name}s" not in shown and name not in shown}


def _is_compressed(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(2) == b"\x1f\x8b"
    except OSError:
        return False
