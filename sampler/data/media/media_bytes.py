"""A picture's or a video's file content, wherever a data set has put it, and where to read it again."""

from __future__ import annotations

import base64
import binascii
import difflib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sampler.data.prompt_messages import held_media
from sampler.rows.row import DatasetRow, RowAddress
from sampler.rows.tar_rows import TarMember
from sampler.vision_input import MediaSource, VisionKind, media_type
from verifiers.errors import BadInput

MAX_BYTES: Mapping[VisionKind, int] = {"image": 256 * 2**20, "video": 2**30}
_WORD: Mapping[VisionKind, str] = {"image": "picture", "video": "video"}
_ADDRESS = re.compile(r"\w+://")
_DATA_URI = re.compile(r"data:[\w.+-]*/?[\w.+-]*(;[\w.=+-]*)*,", re.ASCII)


class MediaFile(NamedTuple):
    """A picture or a video that is a file."""

    path: str

    def __str__(self) -> str:
        return self.path

    def read(self, kind: VisionKind) -> bytes:
        """The encoded bytes as they are now. Raises `BadInput`."""
        return encoded_bytes(self.path, None, kind)


class MediaCell(NamedTuple):
    """A picture or a video inside a row of a data set: the column's value, where that is a list one of its items, of
    messages what one of their parts holds."""

    row: RowAddress
    column: str
    item: int

    def __str__(self) -> str:
        return f"{self.row}, column {self.column!r}"

    def read(self, kind: VisionKind) -> bytes:
        """The encoded bytes as they are now. Raises `BadInput`."""
        value = self.row.value(self.column)
        try:
            return encoded_bytes((held_media(value, kind) or media_items(value))[self.item], None, kind)
        except (BadInput, IndexError) as why:
            raise BadInput(f"{self}: {why}") from None


def media_items(value: Any) -> list[Any]:
    """What a column holds: a list of pictures or videos, or a single one, whose bytes may be a list of numbers."""
    single = not isinstance(value, list) or (len(value) > 8 and isinstance(value[0], int))
    return [value] if single else value


def media_source(value: Any, row: DatasetRow, column: str, index: int) -> MediaSource | None:
    """Where to read again what `encoded_bytes` reads of a row's value; None where it lies in memory only."""
    if isinstance(value, TarMember):
        return value
    if (name := _named_file(value)) is not None:
        return MediaFile(str(Path(row.folder or "", name).absolute()))
    return None if row.address is None else MediaCell(row.address, column, index)


def refuse_name(value: Any, kind: VisionKind) -> None:
    """Raises `BadInput` where a row of the hub holds a path: whose file that would be, its author cannot say."""
    if (name := _named_file(value)) is not None:
        raise BadInput(
            f"a set of the hub holds its {kind}s, and {name[:60]!r} is a name: download the set, and give its folder"
        )


def encoded_bytes(value: Any, folder: Path | None, kind: VisionKind) -> bytes:
    """The bytes of `value`: bytes, `{"bytes": ..., "path": ...}` (how `datasets` stores its `Image` and `Video`
    features), bytes as a list of numbers, a base64 data URI, or a path, relative to `folder`. Raises `BadInput` with
    the reason."""
    word, max_bytes = _WORD[kind], MAX_BYTES[kind]
    if isinstance(value, Mapping):
        value = _held(value, word)
    if isinstance(value, list):
        try:
            value = bytes(value)
        except (TypeError, ValueError):
            raise BadInput(
                f"a {word} that is a list of numbers has one from 0 to 255 for each byte"
            ) from None
    if isinstance(value, TarMember):
        if value.size > max_bytes:
            raise BadInput(f"{value} has {value.size / 2**20:.0f} MiB, more than {max_bytes // 2**20}")
        encoded = value.read(kind)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        encoded = bytes(value)
    elif not isinstance(value, str):
        raise BadInput(f"a {word} is bytes, a path or a base64 data URI, got {type(value).__name__}")
    elif value.startswith("data:"):
        encoded = _from_data_uri(value, kind)
    elif _ADDRESS.match(value):
        if value.startswith("file://"):
            raise BadInput(f"a {word} file is named by its path, without file://: {value[:80]!r}")
        raise BadInput(f"{word}s are not fetched over the network: download {value[:80]!r} first")
    elif (held := _held_as_base64(value)) is not None:
        raise BadInput(f"this is the {word} itself as base64: write data:{held};base64, before it")
    else:
        encoded = _from_file(value, folder, word, max_bytes)
    if not encoded:
        raise BadInput(f"the {word} is empty (0 bytes)")
    if len(encoded) > max_bytes:
        raise BadInput(f"the {word} has {len(encoded) / 2**20:.0f} MiB, more than {max_bytes // 2**20}")
    return encoded


def _named_file(value: Any) -> str | None:
    """The path of a row's value that holds no bytes itself."""
    if isinstance(value, Mapping):
        value = next((value[key] for key in ("bytes", "path") if value.get(key) is not None), None)
    return value if isinstance(value, str) and not value.startswith("data:") else None


def _held(value: Mapping[Any, Any], word: str) -> Any:
    for key in ("bytes", "path"):
        if value.get(key) is not None:
            return value[key]
    raise BadInput(f"a {word} has neither bytes nor path (keys: {', '.join(map(str, value)) or 'none'})")


def _from_data_uri(uri: str, kind: VisionKind) -> bytes:
    head = _DATA_URI.match(uri[:200])
    if head is None or not head.group().endswith(";base64,"):
        raise BadInput(f"a data URI must read data:{kind}/...;base64,...")
    try:
        return base64.b64decode(uri[head.end() :], validate=True)
    except (binascii.Error, ValueError) as why:
        raise BadInput(f"the base64 of a data URI is broken: {why}") from None


def _from_file(name: str, folder: Path | None, word: str, max_bytes: int) -> bytes:
    # Not by pathlib, which takes longer than the system does: sets of pictures are read by the million.
    path = os.path.join(folder or "", name)  # noqa: PTH118
    shown = name if len(name) <= 120 else name[:120] + "…"
    try:
        try:
            found = os.stat(path)  # noqa: PTH116
        except FileNotFoundError:
            raise BadInput(f"no such {word} file: {shown!r}{_near_file(Path(path))}") from None
        if stat.S_ISDIR(found.st_mode):
            raise BadInput(
                f"no such {word} file: {shown!r} is a directory; name a file in it{_first_in(Path(path), name)}"
            )
        if not stat.S_ISREG(found.st_mode):  # a device and a pipe are no pictures either
            raise BadInput(f"no such {word} file: {shown!r}{_near_file(Path(path))}")
        if found.st_size > max_bytes:
            raise BadInput(f"the {word} file {shown!r} is larger than {max_bytes // 2**20} MiB")
        if not found.st_size:
            return b""  # files of the kernel say 0, and some are read without end
        file = os.open(path, os.O_RDONLY)
        try:
            return b"".join(iter(lambda: os.read(file, found.st_size), b""))
        finally:
            os.close(file)
    except (OSError, ValueError) as why:
        if isinstance(why, BadInput):
            raise
        reason = why.strerror if isinstance(why, OSError) else why
        raise BadInput(f"the {word} file {shown!r} cannot be read: {reason}") from None


def _held_as_base64(text: str) -> str | None:
    """The media type of base64 that lacks the head of a data URI, or None."""
    if len(text) < 48 or not re.fullmatch(r"[A-Za-z0-9+/\s]+=*\s*", text):
        return None
    return media_type(base64.b64decode("".join(text[:60].split())[:24]))


def _first_in(folder: Path, shown: str) -> str:
    first = min((entry.name for entry in folder.iterdir() if entry.is_file()), default=None)
    return "" if first is None else f", such as {str(Path(shown, first))!r}"


def _near_file(path: Path) -> str:
    """What is there under nearly this name; of a path whose folder is missing, under nearly the folder's name."""
    if path.exists():
        return " is no regular file"
    if "\\" in path.name and Path(path.parent, path.name.replace("\\", "/")).is_file():
        return "; folders are parted by / and not by \\"
    missing = next(one for one in (*reversed(path.parents), path) if not one.exists())
    names = {entry.name.casefold(): entry.name for entry in missing.parent.iterdir()}
    close = difflib.get_close_matches(missing.name.casefold(), names, n=1, cutoff=0.6)
    where = "" if missing == path else f": there is no folder {str(missing)!r}"
    if not close:
        return where
    found = names[close[0]]
    only_case = " (large and small letters differ)" if close[0] == missing.name.casefold() else ""
    return f"{where}; did you mean {found!r}?{only_case}"
