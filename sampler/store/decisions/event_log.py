"""Where decisions about prompts are kept: an append-only file, never edited."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from sampler.atomic_file import write_atomically
from sampler.data.reference import read_reference
from sampler.rows.dataset_rows import CURATION_EVENTS
from sampler.store.decisions.curation import Curation, JudgedBy
from sampler.store.decisions.curation_events import Action, CurationEvent, curation_of, in_force
from verifiers.errors import BadInput

MAX_LINE_BYTES = 2**20


class NotInForce(BadInput):
    """An undo of what is not there, or undone already."""


@dataclass(frozen=True)
class EventLog:
    """The events at ``path``, one line each; a file that is not there has none.

    A line is appended under a lock and is on disk when ``append`` returns. One that a crash cut short was never
    promised: it is passed over, and gone with the next event. Other lines that are no event are errors."""

    path: Path

    @classmethod
    def beside(cls, run_or_set: str | os.PathLike[str]) -> EventLog:
        """Of a run directory (``RUN/curation.jsonl``) or of a prompt file (``F.curation.jsonl`` for ``F.parquet``)."""
        path = Path(run_or_set)
        return cls(path / CURATION_EVENTS if path.is_dir() else path.with_suffix(f".{CURATION_EVENTS}"))

    def append(
        self,
        prompt_id: str,
        action: Action,
        value: Any = None,
        *,
        author: str,
        reason: str = "",
        previous: Any = None,
        verifier: JudgedBy | None = None,
        previous_verifier: JudgedBy | None = None,
        beside: Iterable[Path] = (),
    ) -> CurationEvent:
        """A corrected reference may be any that a data set may hold, numbers too. An undo may also be of an event in a
        file ``beside``: it counts wherever both files do.

        Raises: BadInput for what is no event and for an undo in a damaged file, `NotInForce` for one of nothing."""
        if action == "correct":
            value = read_reference(value)
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        event = CurationEvent(
            secrets.token_hex(8), at, author, prompt_id, action, value, previous, reason, verifier, previous_verifier
        )  # fmt: skip
        line = _line(event)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file, _locked(file):
            if action == "undo":
                files = dict.fromkeys([*beside, self.path])
                self._require_undoable(merged_events(map(EventLog, files)), prompt_id, value)
            self._end_last_line(file)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        return event

    def events(self) -> list[CurationEvent]:
        """All of them, oldest first. Raises: BadInput naming the line that is none."""
        try:
            return list(self._read(self.path.read_bytes()))
        except FileNotFoundError:
            return []

    def curated(self) -> dict[str, Curation]:
        """By prompt id what its events come to. Raises: BadInput as ``events``."""
        return curation_of(self.events())

    def _read(self, content: bytes) -> Iterator[CurationEvent]:
        seen = set()  # where two files were joined, an event may stand twice
        lines = content.split(b"\n")
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                event = _event(line)
            except BadInput as why:
                if number == len(lines):
                    return
                raise BadInput(f"{self.path}, line {number}: {why}: mend or remove the line") from None
            if event.event_id not in seen:
                seen.add(event.event_id)
                yield event

    def _end_last_line(self, file: BinaryIO) -> None:
        """An event without a line's end gets it; a piece of one goes."""
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - MAX_LINE_BYTES))
        rest = file.read().rpartition(b"\n")[2]
        if len(rest) == MAX_LINE_BYTES:
            raise BadInput(
                f"{self.path} is no file of events: its last line has more than {len(rest):,} bytes"
            )
        if rest:
            try:
                _event(rest)
            except BadInput:
                file.truncate(size - len(rest))
            else:
                file.write(b"\n")

    def _require_undoable(self, events: Sequence[CurationEvent], prompt_id: str, event_id: str) -> None:
        undone = next((event for event in events if event.event_id == event_id), None)
        if undone is None or undone.prompt_id != prompt_id:
            raise NotInForce(
                f"{self.path} has no event {event_id[:40]!r} of prompt {prompt_id[:40]!r} to undo"
            )
        if undone not in in_force(events):
            raise NotInForce(f"event {event_id} is undone already: undo that undo to have it back")


_FIELDS = {one.name for one in fields(CurationEvent)}
_REQUIRED = ("event_id", "at", "author", "prompt_id", "action")


def merged_events(logs: Iterable[EventLog]) -> list[CurationEvent]:
    """The events of several files, once each. Those of a file stay in its order, whatever the clocks said; between
    files the times decide. Raises: BadInput as ``events``."""
    files = [log.events() for log in logs]
    known = {event.event_id: event for events in files for event in events}
    times = {event_id: event.at for event_id, event in known.items()}
    for _ in files:  # an event may stand in two, as in a run's copy, and hold up what follows it in both
        for events in files:
            latest = ""
            for event in events:
                latest = times[event.event_id] = max(latest, times[event.event_id])
    return sorted(known.values(), key=lambda event: times[event.event_id])


def write_events(path: Path, events: Sequence[CurationEvent]) -> Path:
    """A file of these events, whole or not at all. Returns its path."""
    write_atomically(path, b"".join(map(_line, events)).decode())
    return path


def _line(event: CurationEvent) -> bytes:
    """In ASCII, so that no text in it can break a line or a terminal. Raises: BadInput where it is too long."""
    values = {name: value for name, value in asdict(event).items() if value is not None}
    try:
        line = json.dumps(values, allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as why:
        raise BadInput(f"an event is plain JSON: {why}") from None
    if len(line) > MAX_LINE_BYTES:
        raise BadInput(f"an event has at most {MAX_LINE_BYTES:,} bytes, got {len(line):,}")
    return line


def _event(line: bytes) -> CurationEvent:
    """Raises: BadInput for a line that is no event."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        raise BadInput("not valid JSON") from None
    if not isinstance(values, dict):
        raise BadInput("an event is a JSON object")
    if missing := [name for name in _REQUIRED if name not in values]:
        raise BadInput(f"it has no {missing[0]!r}")
    # What a later Hone adds is passed over.
    known = {name: value for name, value in values.items() if name in _FIELDS}
    for name in ("verifier", "previous_verifier"):
        if known.get(name) is not None:
            known[name] = _judged_by(known[name])
    return CurationEvent(**known)


def _judged_by(value: Any) -> JudgedBy:
    match value:
        case {"name": str(name), "options": dict(options)} if name:
            return JudgedBy(name, options)
    raise BadInput("a verifier has a name and options")


@contextmanager
def _locked(file: BinaryIO) -> Iterator[None]:
    """Waits for other processes that append."""
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
