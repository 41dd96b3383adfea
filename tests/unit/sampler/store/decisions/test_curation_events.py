"""Events written, read back and folded; crashes, several writers, and hostile text."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from sampler.prompt import Prompt
from sampler.rows.dataset_rows import dataset_files
from sampler.store.decisions.curation import Curation, JudgedBy
from sampler.store.decisions.curation_events import CurationEvent, in_force
from sampler.store.decisions.curation_table import Decisions
from sampler.store.decisions.event_log import (
    MAX_LINE_BYTES,
    EventLog,
    NotInForce,
    merged_events,
    write_events,
)
from verifiers.errors import BadInput

Append = Callable[..., str]


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    return EventLog(tmp_path / "curation.jsonl")


@pytest.fixture
def append(log: EventLog) -> Append:
    """Appends for prompt `a`, and gives the event's id."""
    return lambda action, value=None, **more: log.append("a", action, value, author="me", **more).event_id


def test_what_events_come_to(log: EventLog, append: Append) -> None:
    append("reject", reason="ambiguous")
    append("accept")
    for action, tag in (("tag", "x"), ("tag", "y"), ("untag", "x"), ("untag", "sum"), ("tag", "y")):
        append(action, tag)
    append("correct", "12", previous="11")
    log.append("b", "correct", [3, {"unit": "cm"}], author="you")
    assert log.curated() == {
        "a": Curation(True, ("y",), ("x", "sum"), "12", None, 1),
        "b": Curation(reference=[3, {"unit": "cm"}], revision=1),
    }
    first = log.events()[0]
    assert (first.author, first.prompt_id, first.action, first.reason) == ("me", "a", "reject", "ambiguous")
    assert log.events()[-2].previous == "11"


def test_a_number_becomes_the_text_that_a_set_holds(log: EventLog, append: Append) -> None:
    append("correct", 3.0)
    assert log.curated()["a"].reference == "3"


def test_undo_of_an_undo(log: EventLog, append: Append) -> None:
    append("correct", "1")
    second = append("correct", "2", verifier=JudgedBy("text_match", {"ignore_case": True}))
    assert log.curated()["a"].verifier == JudgedBy("text_match", {"ignore_case": True})
    undo = append("undo", second)
    assert log.curated()["a"] == Curation(reference="1", revision=1)
    append("undo", undo)
    assert (log.curated()["a"].reference, log.curated()["a"].revision) == ("2", 2)
    append("undo", second)
    append("correct", "4")
    assert (log.curated()["a"].reference, log.curated()["a"].revision) == ("4", 3)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_in_force_by_its_definition(seed: int) -> None:
    """An event counts where no undo that counts names it, in whatever order they stand."""
    draw, events = random.Random(seed), list[CurationEvent]()
    for index in range(30):
        undone = draw.choice(events).event_id if events and draw.random() < 0.6 else None
        given = ("tag", "x") if undone is None else ("undo", undone)
        events.append(CurationEvent(str(index), "", "me", "a", *given))

    def counts(event: CurationEvent) -> bool:
        return not any(one.action == "undo" and one.value == event.event_id and counts(one) for one in events)

    assert in_force(events) == [event for event in events if counts(event)]
    draw.shuffle(events)
    assert in_force(events) == [event for event in events if counts(event)]


def test_an_undo_of_itself_takes_nothing_else_back() -> None:
    """No Hone writes one."""
    ring = [CurationEvent(*one) for one in (
        ("1", "", "me", "a", "undo", "2"), ("2", "", "me", "a", "undo", "1"), ("3", "", "me", "a", "reject"),
    )]  # fmt: skip
    assert in_force(ring) == ring[2:]


def test_undo_refuses_what_is_not_in_force(log: EventLog, append: Append) -> None:
    rejected = append("reject")
    append("undo", rejected)
    assert log.curated() == {"a": Curation()}
    with pytest.raises(BadInput, match="undone already"):
        append("undo", rejected)
    with pytest.raises(BadInput, match="no event 'nothing'"):
        append("undo", "nothing")
    other = log.append("b", "reject", author="me").event_id
    with pytest.raises(BadInput, match="of prompt 'a'"):
        append("undo", other)
    assert len(log.events()) == 3


def test_an_undo_reads_each_file_once(
    log: EventLog, append: Append, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rejected, beside = append("reject"), [log.path, tmp_path / "beside.jsonl"]
    read, read_bytes = list[Path](), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or read_bytes(path))
    append("undo", rejected, beside=beside)
    assert read == beside


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_passed_over_and_never_joined(log: EventLog, append: Append, cut: int) -> None:
    append("tag", "kept")
    whole = log.path.read_bytes()
    append("tag", "torn")
    log.path.write_bytes(log.path.read_bytes()[: len(whole) + cut])
    assert [event.value for event in log.events()] == ["kept"]
    append("tag", "next")
    assert [event.value for event in log.events()] == ["kept", "next"]


def test_a_last_line_that_lacks_only_its_end_counts(log: EventLog, append: Append) -> None:
    append("tag", "first")
    log.path.write_bytes(log.path.read_bytes().removesuffix(b"\n"))
    append("tag", "second")
    assert [event.value for event in log.events()] == ["first", "second"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("7", "JSON object"),
        ("{}", "no 'event_id'"),
        ({"action": "delete"}, "'delete' is no action"),
        ({"action": ["tag"]}, "is no action"),
        ({"action": "tag"}, "needs a tag"),
        ({"action": "tag", "value": {"a": 1}}, "needs a tag"),
        ({"action": "tag", "value": "\ud800"}, "surrogate"),
        ({"action": "accept", "prompt_id": 3}, "prompt_id is text"),
        ({"action": "accept", "author": " "}, "author is empty"),
        ({"action": "correct", "value": " "}, "corrected reference"),
        ({"action": "correct", "value": "1", "verifier": "math"}, "name and options"),
        ({"action": "reject", "verifier": {"name": "math", "options": {}}}, "with a correction"),
    ],
)
def test_a_damaged_line_is_named(log: EventLog, append: Append, line: Any, why: str) -> None:
    event = {"event_id": "e", "at": "2026-11-29", "author": "me", "prompt_id": "a"}
    append("accept")
    with log.path.open("a") as file:
        file.write((line if isinstance(line, str) else json.dumps(event | line)) + "\n")
    append("reject")
    with pytest.raises(BadInput, match=f"curation.jsonl, line 2: .*{why}"):
        log.events()


def test_a_column_of_a_later_hone_is_passed_over(log: EventLog, append: Append) -> None:
    append("accept")
    log.path.write_text(json.dumps(json.loads(log.path.read_text()) | {"mood": "good"}) + "\n")
    assert log.curated()["a"].accepted


def _append_many(path: Path, author: str) -> None:
    for index in range(60):
        EventLog(path).append("a", "tag", f"{author} {index}", author=author, reason="x" * 5000)


def test_two_processes_append_at_once(log: EventLog) -> None:
    writers = [
        get_context("fork").Process(target=_append_many, args=(log.path, name)) for name in ("me", "you")
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    tags = [event.value for event in log.events()]
    for name in ("me", "you"):
        assert [tag for tag in tags if tag.startswith(name)] == [f"{name} {index}" for index in range(60)]


def _append_and_tell(path: Path, told: Connection) -> None:
    for index in range(10_000):
        EventLog(path).append("a", "tag", str(index), author="me")
        told.send(index)


def test_what_was_promised_survives_a_kill(log: EventLog) -> None:
    """Killed at once or a little later, again and again: every event that was told of is there, in order, and none is
    torn."""
    promised: list[int] = []
    for kill in range(8):
        here, there = Pipe()
        writer = get_context("fork").Process(target=_append_and_tell, args=(log.path, there))
        writer.start()
        there.close()
        here.recv()
        sleep(0.003 * kill)
        writer.kill()
        writer.join()
        first = len(log.events())
        num_told = 1
        with suppress(EOFError):
            while here.recv() is not None:
                num_told += 1
        promised.append(num_told)
        assert first >= sum(promised)
        promised[-1] += first - sum(promised)  # one may be on disk and not told of
        assert promised[-1] - num_told <= 1
    values = [int(event.value) for event in log.events()]
    assert values == [index for num in promised for index in range(num)]


HOSTILE = [
    "<script>alert(1)</script>", "\x1b[31mred\x1b[0m", "'; DROP TABLE prompts; --", "../../etc/passwd",
    "line\nbreak\r\x85\u2028", "\u202ereversed", '"quote\\', "\x00", "[bold]markup[/bold]", "{}",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_every_field(log: EventLog, text: str) -> None:
    event = log.append(text, "tag", f"{text}!", author=f"a{text}", reason=text)
    log.append(text, "correct", {text: [f"{text}!"]}, author="me", previous=text)
    assert log.events()[0] == event
    assert log.curated()[text] == Curation(None, (f"{text}!",), (), {text: [f"{text}!"]}, None, 1)
    written = log.path.read_bytes()
    assert written.count(b"\n") == 2
    assert all(byte == 10 or 32 <= byte < 127 for byte in written)


@pytest.mark.parametrize("field", ["prompt_id", "author", "reason", "value"])
def test_half_a_surrogate_pair_is_refused(log: EventLog, field: str) -> None:
    given = {"prompt_id": "a", "author": "me", "reason": "", "value": "t"} | {field: "\ud800"}
    with pytest.raises(BadInput, match="surrogate"):
        log.append(given.pop("prompt_id"), "tag", **given)  # type: ignore[arg-type]
    assert not log.events()


def test_an_event_too_long_is_refused(log: EventLog, append: Append) -> None:
    with pytest.raises(BadInput, match="at most"):
        append("tag", "x" * MAX_LINE_BYTES)


def write(path: Path, *events: tuple[str, str, str, str | None]) -> EventLog:
    """Events of prompt `a`: id, minute, action, value."""
    rows = [
        CurationEvent(name, f"2026-11-30T10:{minute}:00.000+00:00", "me", "a", action, value)  # type: ignore[arg-type]
        for name, minute, action, value in events
    ]
    return EventLog(write_events(path, rows))


def order(*logs: EventLog) -> list[str]:
    return [event.event_id for event in merged_events(logs)]


def test_a_clock_that_lags_changes_no_decision(tmp_path: Path) -> None:
    """A file says in which order its events came; all that reads them goes by it."""
    log = write(tmp_path / "a.jsonl", ("no", "12", "reject", None), ("yes", "10", "accept", None))
    assert log.curated() == Decisions.of([log.path]).curated == {"a": Curation(True)}
    log = write(tmp_path / "b.jsonl", ("no", "12", "reject", None), ("undo", "10", "undo", "no"))
    assert log.curated() == Decisions.of([log.path]).curated == {"a": Curation()}


def test_an_undo_counts_though_the_clock_of_another_file_ran_ahead(tmp_path: Path) -> None:
    ahead = write(tmp_path / "set.jsonl", ("no", "59", "reject", None))
    ahead.path.write_text(ahead.path.read_text().replace("2026", "2999"))
    own = EventLog(tmp_path / "run.jsonl")
    files = [ahead.path, own.path]
    undo = own.append("a", "undo", "no", author="me", beside=files)
    assert Decisions.of(files).curated == {"a": Curation()}
    with pytest.raises(NotInForce, match="undone already"):
        own.append("a", "undo", "no", author="me", beside=files)
    own.append("a", "undo", undo.event_id, author="me", beside=files)
    assert Decisions.of(files).curated == {"a": Curation(False)}


def test_events_of_several_files_are_merged_by_their_times(tmp_path: Path) -> None:
    one = write(
        tmp_path / "1.jsonl", *((name, name[1:], "tag", name) for name in ("a10", "a14", "a12", "a18"))
    )
    two = write(tmp_path / "2.jsonl", *((name, name[1:], "tag", name) for name in ("b11", "b13", "b16")))
    assert order(one, two) == ["a10", "b11", "b13", "a14", "a12", "b16", "a18"]
    assert order(two, one) == order(one, two)
    copy = EventLog(write_events(tmp_path / "copy.jsonl", merged_events([one, two])))
    one = write(tmp_path / "1.jsonl", *(  # a later one, whose clock lags
        (name, name[1:], "tag", name) for name in ("a10", "a14", "a12", "a18", "a09")
    ))  # fmt: skip
    assert order(copy, one, two) == order(one, two, copy) == [*order(copy), "a09"]


def test_where_events_lie(tmp_path: Path) -> None:
    run, file = tmp_path / "run", tmp_path / "train.v2.parquet"
    run.mkdir()
    assert EventLog.beside(run).path == run / "curation.jsonl"
    assert EventLog.beside(file).path == tmp_path / "train.v2.curation.jsonl"


def test_events_are_no_rows_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{}\n")
    for log in (EventLog.beside(tmp_path), EventLog.beside(tmp_path / "a.jsonl")):
        log.append("a", "accept", author="me")
    assert dataset_files(tmp_path) == [tmp_path / "a.jsonl"]


def test_a_corrected_prompt_is_the_same_prompt() -> None:
    prompt = Prompt.build(
        messages=[{"role": "user", "content": [{"type": "text", "text": "1 + 1?"}]}],
        verifier="math", reference="3", tags=("sum", "easy"),
    )  # fmt: skip
    curation = Curation(
        True, ("checked", "easy"), ("sum",), "2", JudgedBy("text_match", {"ignore_case": True}), 1
    )
    curated = curation.applied(prompt)
    assert (curated.prompt_id, curated.messages) == (prompt.prompt_id, prompt.messages)
    assert (curated.tags, curated.reference) == (("easy", "checked"), "2")
    assert (curated.verifier, curated.verifier_options) == ("text_match", {"ignore_case": True})
    assert Curation().applied(prompt) == prompt
