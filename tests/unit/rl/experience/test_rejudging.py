"""Stored answers judged again: what is, what is not, how it changed, and that nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rl.experience import rejudging
from rl.experience.rejudging import Rejudging, VerdictChanges
from sampler.data.prompt_dataset import save_prompts
from sampler.prompt import Prompt
from sampler.store.belief import believed
from sampler.store.decisions.event_log import EventLog
from sampler.store.prompt_store import PromptStore, StorePart
from verifiers.errors import BadInput
from verifiers.service.service import VerifierService

ANSWERS = ["7", "8", "7.0", "no idea"]


def prompt_of(name: str, verifier: str | None = "number") -> Prompt:
    message = {"role": "user", "content": [{"type": "text", "text": f"What is {name}?"}]}
    return Prompt(
        name, (message,), verifier=verifier, reference="8", kind="verifiable" if verifier else "general"
    )


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., None]:
    """Two policies, each with four answers to `a` and `b` and one in a broken format."""
    save_prompts(tmp_path / "train.parquet", [prompt_of("a"), prompt_of("b"), prompt_of("c", None)])

    def write(**more: Any) -> None:
        rows = [
            {
                "rollout_id": f"{version}-{name}-{index}", "stage": f"{version:02d}-rl", "step": 1,
                "policy_version": version, "prompt_id": name, "kind": "verifiable", "tags": ["sum"],
                "verifier": "number", "reference": "8", "revision": prompt_of(name).revision, "index": index,
                "answer": answer, "answer_status": "ok" if index < 4 else "empty",
                "reward": float(answer == "8" and index < 4),
            } | more
            for version in (1, 2) for name in "ab" for index, answer in enumerate([*ANSWERS, "7"])
        ]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "log.parquet")

    write()
    return write


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[], PromptStore]:
    return lambda: PromptStore([
        StorePart(
            "run", [tmp_path / "log.parquet"], {"train": str(tmp_path / "train.parquet")}, 0.5, None,
            sorted((tmp_path / "rejudged").glob("*.parquet")),
        ).with_events(events(tmp_path))
    ])  # fmt: skip


def events(tmp_path: Path) -> EventLog:
    return EventLog(tmp_path / "curation.jsonl")


def judged_again(
    opened: Callable[[], PromptStore], tmp_path: Path, *again: str
) -> tuple[int, VerdictChanges]:
    with opened() as store, VerifierService(num_workers=0) as service:
        work = Rejudging(store, "run", again)
        return sum(work.judge(service, tmp_path / "rejudged")), work.changes


@pytest.mark.parametrize("revision", [{}, {"revision": None}])
def test_a_correction_is_judged_once(
    log: Callable[..., None], opened: Callable[[], PromptStore], tmp_path: Path, revision: dict[str, Any]
) -> None:
    log(**revision)
    assert judged_again(opened, tmp_path)[0] == 0
    before = (tmp_path / "log.parquet").read_bytes()
    events(tmp_path).append("a", "correct", "7", author="me")
    with opened() as store:
        assert Rejudging(store, "run").num_pending == {"a": 10}
    num, changes = judged_again(opened, tmp_path)
    assert num == 10
    # Of two times seven, eight, seven, neither, and a broken format.
    assert changes == VerdictChanges(4, 2, 0, 4, 0, {"a": 6})  # type: ignore[arg-type]
    assert judged_again(opened, tmp_path)[0] == 0
    assert (tmp_path / "log.parquet").read_bytes() == before
    with opened() as store:
        beliefs = {row["prompt_id"]: row for row in believed(store, "run", half_life=1e9).to_pylist()}
        moves = store.query("SELECT count(*) AS num FROM turnover WHERE prompt_id = 'a'").to_pylist()
    assert (beliefs["a"]["n"], round(beliefs["a"]["num_right"], 3)) == (10, 4.0)
    assert (beliefs["b"]["n"], round(beliefs["b"]["num_right"], 3)) == (10, 2.0)
    assert moves == [{"num": 2}]


def test_an_undone_correction_needs_nothing(
    log: Callable[..., None], opened: Callable[[], PromptStore], tmp_path: Path
) -> None:
    event = events(tmp_path).append("a", "correct", "7", author="me")
    judged_again(opened, tmp_path)
    events(tmp_path).append("a", "undo", event.event_id, author="me")
    assert judged_again(opened, tmp_path)[0] == 0
    events(tmp_path).append("a", "correct", "9", author="me")
    assert judged_again(opened, tmp_path)[0] == 10


def test_what_came_after_is_judged_with_the_rest_of_its_prompt(
    log: Callable[..., None], opened: Callable[[], PromptStore], tmp_path: Path
) -> None:
    """A stage that goes on adds answers: then all of the prompt's of that stage are judged, and count once."""
    events(tmp_path).append("a", "correct", "7", author="me")
    judged_again(opened, tmp_path)
    table = pq.read_table(tmp_path / "log.parquet")
    more = table.filter(pa.compute.equal(table["rollout_id"], "2-a-0")).to_pylist()[0] | {"rollout_id": "new"}
    pq.write_table(
        pa.concat_tables([table, pa.Table.from_pylist([more], schema=table.schema)]), tmp_path / "log.parquet"
    )
    assert judged_again(opened, tmp_path)[0] == 6
    with opened() as store:
        rows = store.query(
            "SELECT policy_version, n FROM attempts_in_force WHERE prompt_id = 'a' ORDER BY 1"
        ).to_pylist()
    assert [row["n"] for row in rows] == [5, 6]


def test_a_changed_verifier_judges_all_its_answers(
    log: Callable[..., None],
    opened: Callable[[], PromptStore],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert judged_again(opened, tmp_path, "number")[0] == 20
    assert judged_again(opened, tmp_path, "number")[0] == 0
    with opened() as store:
        assert {row["n"] for row in store.query("SELECT n FROM attempts").to_pylist()} == {5}
    monkeypatch.setattr(rejudging, "_verifier_code", lambda name, options: "changed")
    assert judged_again(opened, tmp_path, "number")[0] == 20
    with pytest.raises(BadInput, match="no prompt of run run is judged by 'bbox_iou'"):
        judged_again(opened, tmp_path, "bbox_iou")


def test_the_log_is_read_once_for_many_parts(
    log: Callable[..., None],
    opened: Callable[[], PromptStore],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events(tmp_path).append("a", "correct", "7", author="me")
    events(tmp_path).append("b", "correct", "7", author="me")
    read: list[str] = []
    keep = PromptStore.keep
    monkeypatch.setattr(PromptStore, "keep", lambda self, name, *more, **tables: read.append(name) or keep(
        self, name, *more, **tables
    ))  # fmt: skip
    monkeypatch.setattr(rejudging, "PART_ANSWERS", 5)
    monkeypatch.setattr(rejudging, "HELD_PARTS", 3)
    num, changes = judged_again(opened, tmp_path)
    assert num == 20 and changes.by_prompt == {"a": 6, "b": 6}
    assert read.count("held") == 2
    parts = [pq.read_table(file) for file in sorted((tmp_path / "rejudged").glob("*.parquet"))]
    assert [(len(part), len(set(part["prompt_id"].to_pylist()))) for part in parts] == [(5, 1)] * 4


def test_it_goes_on_after_a_kill(
    log: Callable[..., None],
    opened: Callable[[], PromptStore],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rejudging, "PART_ANSWERS", 5)
    with opened() as store, VerifierService(num_workers=0) as service:
        work = Rejudging(store, "run", ["number"]).judge(service, tmp_path / "rejudged")
        assert next(work) == 5
        work.close()
    assert judged_again(opened, tmp_path, "number")[0] == 15
    assert len(list((tmp_path / "rejudged").glob("*.parquet"))) == 4


def test_one_process_at_a_time(
    log: Callable[..., None], opened: Callable[[], PromptStore], tmp_path: Path
) -> None:
    events(tmp_path).append("a", "correct", "7", author="me")
    with opened() as store, VerifierService(num_workers=0) as service:
        first = Rejudging(store, "run").judge(service, tmp_path / "rejudged")
        next(first)
        with opened() as other, pytest.raises(BadInput, match="another process"):
            next(Rejudging(other, "run").judge(service, tmp_path / "rejudged"))


def test_prompts_of_a_reward_model_are_named(
    log: Callable[..., None], opened: Callable[[], PromptStore], tmp_path: Path
) -> None:
    events(tmp_path).append("c", "correct", "a better answer", author="me")
    with opened() as store:
        work = Rejudging(store, "run")
        assert (work.skipped, work.num_pending) == (["c"], {})


def test_a_log_without_names_is_refused(
    log: Callable[..., None], opened: Callable[[], PromptStore], tmp_path: Path
) -> None:
    log(rollout_id=None)
    events(tmp_path).append("a", "correct", "7", author="me")
    with opened() as store, pytest.raises(BadInput, match="too old"):
        Rejudging(store, "run")


def test_a_judge_that_fails_decides_nothing() -> None:
    changes = VerdictChanges()
    for before, after in ((0.0, None), (None, 1.0), (0.2, 0.3), (1.0, 0.4), (0.0, 0.0)):
        changes.count("a", before, after, 0.5)
    assert str(changes) == "1 now right, 1 now wrong, 1 as before, 1 got another score, 1 undecided"
