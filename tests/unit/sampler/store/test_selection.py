"""Rules against sets chosen by hand; evenness by its definition; what a selection lost is said."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sampler.data.prompt_dataset import load_prompts, save_prompts
from sampler.store import set_rows
from sampler.store.decisions.event_log import EventLog
from sampler.store.prompt_store import PromptStore, StorePart
from sampler.store.reference_shift import reference_shift
from sampler.store.selection import SelectionRule, select
from verifiers.errors import BadInput

TYPES = {"a": "sum", "b": "sum", "c": "where", "d": "where", "e": "where"}
REFERENCES = {"c": "1", "d": "1", "e": "it's 5%"}
ATTEMPTS = [
    ("a", 1, [1.0] * 8),
    ("b", 1, [1.0, 0.0] * 4),
    ("c", 1, [0.0] * 8),
    ("c", 2, [1.0] * 8),
    ("d", 1, [1.0, 0.0]),
]


@pytest.mark.parametrize(
    ("rule", "ids", "dropped"),
    [
        (SelectionRule(), "abc", {"too few samples": 1, "not tried": 1}),
        (SelectionRule(min_samples=1), "abcd", {"not tried": 1}),
        (SelectionRule((0.1, 0.75)), "bc", {"pass rate": 1, "too few samples": 1, "not tried": 1}),
        (SelectionRule(min_spread=0.1), "b", {"spread": 2, "too few samples": 1, "not tried": 1}),
        (SelectionRule(moves=("newly solved",)), "c", {"move": 2, "too few samples": 1, "not tried": 1}),
        (SelectionRule(question_types=("sum",)), "ab", {"other question type": 3}),
        (
            SelectionRule(standings=("in between",)),
            "bc",
            {"standing": 1, "too few samples": 1, "not tried": 1},
        ),
    ],
)
def test_rules(
    store: Callable[..., PromptStore], rule: SelectionRule, ids: str, dropped: dict[str, int]
) -> None:
    with store(ATTEMPTS) as opened:
        selection = select(opened, "run", rule)
    assert sorted(selection.prompt_ids) == list(ids)
    assert selection.dropped == dropped


def test_a_selection_says_what_it_lost(store: Callable[..., PromptStore]) -> None:
    with store(ATTEMPTS) as opened:
        selection = select(opened, "run", SelectionRule(moves=("newly solved",)))
        one = select(opened, "run", SelectionRule(), num=1)
    # Of three places c, d and e two have the reference 1, which c has too.
    assert selection.moved == {"where": pytest.approx(1 / 3)}
    assert selection.warnings[::-1] == (
        'where: no prompt with the reference "it\'s 5%" is left, which 33% have',
        "sum: no prompt is left, of 2 prompts",
    )
    assert len(one.prompt_ids) == 1 and one.dropped["more than asked for"] == 2


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (SelectionRule(min_samples=17), "17 judged samples .* --min-samples"),
        (SelectionRule(split="heldout"), "no prompts of split 'heldout'"),
        (SelectionRule(moves=("lost",)), "'lost' is no move"),
    ],
)
def test_evidence_that_is_missing_is_refused(
    store: Callable[..., PromptStore], rule: SelectionRule, words: str
) -> None:
    with store(ATTEMPTS) as opened, pytest.raises(BadInput, match=words):
        select(opened, "run", rule)


def test_moves_need_two_policies(store: Callable[..., PromptStore]) -> None:
    with store([("a", 1, [1.0] * 4)]) as opened, pytest.raises(BadInput, match="tried by two policies"):
        select(opened, "run", SelectionRule(moves=("forgotten",)))


def blind(store_part: StorePart, rewards: dict[str, list[float]]) -> StorePart:
    """The same run with answers that were given without the picture."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"stage": "03-blind", "policy_version": 2, "prompt_id": name, "kind": "verifiable", "verifier": "math",
         "tags": [TYPES[name]], "reward": reward, "blind": True}
        for name, given in rewards.items() for reward in given
    ]  # fmt: skip
    file = Path(store_part.rollout_files[0]).with_name("blind.parquet")
    pq.write_table(pa.Table.from_pylist(rows), file)
    return replace(store_part, rollout_files=[*store_part.rollout_files, file])


def test_needs_the_picture(part: Callable[..., StorePart], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sampler.store.set_rows._PROMPTS_OF_FILE", WITH_A_PICTURE)
    made = part("run", [(name, 1, [1.0, 0.0] * 4) for name in "abcd"])
    rule = SelectionRule(needs_picture=True)
    with (
        PromptStore([made]) as store,
        pytest.raises(BadInput, match="no run that is given sampled a prompt without its picture"),
    ):
        select(store, "run", rule)
    other = replace(blind(made, {"a": [0.0] * 8, "b": [1.0, 0.0] * 4, "c": [0.0] * 2}), run="blind")
    with PromptStore([replace(other, rollout_files=other.rollout_files[1:]), made]) as store:
        selection = select(store, "run", rule)
        assert select(store, "run", SelectionRule()).prompt_ids  # what was seen blind is no attempt
    assert selection.prompt_ids == ("a",)
    assert selection.dropped == {
        "too few samples without the picture": 2, "right without the picture": 1, "not tried": 1,
    }  # fmt: skip


WITH_A_PICTURE = set_rows._PROMPTS_OF_FILE.replace("len(images)", "1")


def test_a_prompt_without_a_picture_needs_none(part: Callable[..., StorePart]) -> None:
    made = blind(part("run", [("a", 1, [1.0, 0.0] * 4)]), {"a": [0.0] * 8})
    with PromptStore([made]) as store:
        assert select(store, "run", SelectionRule(needs_picture=True)).dropped == {
            "no picture or film": 1,
            "not tried": 4,
        }


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_a_film_is_needed_as_a_picture_is(
    part: Callable[..., StorePart], video_file: Callable[..., bytes], suffix: str
) -> None:
    """Of a set in Hone's Parquet, and of one that is read."""
    made = blind(part("run", [("a", 1, [1.0, 0.0] * 4)]), {"a": [0.0] * 8})
    path = Path(made.prompt_sets["train"]).with_suffix(suffix)
    film = path.with_suffix(".avi")
    film.write_bytes(video_file(np.zeros((4, 32, 32, 3), np.uint8)))
    row = {
        "prompt_id": "a",
        "messages": "<video>What?",
        "videos": film.name,
        "verifier": "math",
        "reference": "1",
    }
    rows = path.with_suffix(".jsonl")
    rows.write_text(json.dumps(row) + "\n")
    if suffix == ".parquet":
        save_prompts(path, load_prompts(rows))
    with PromptStore([replace(made, prompt_sets={"train": str(path)})]) as store:
        assert select(store, "run", SelectionRule(needs_picture=True)).prompt_ids == ("a",)


def test_a_reference_that_nearly_went_is_named() -> None:
    """Of four in ten one in twenty is left; what fell to a half is not named."""
    before, after = Counter({"1": 40, "2": 30, "3": 30}), Counter({"1": 1, "2": 4, "3": 15})
    moved, warnings = reference_shift({"count": before}, {"count": after})
    assert moved == {"count": pytest.approx(0.45)}
    assert warnings == ("count: 5.0% have the reference '1', where 40% had it",)


@pytest.mark.parametrize("keep", [False, True])
def test_what_people_decided_goes_before_the_rule(
    part: Callable[..., StorePart], tmp_path: Path, keep: bool
) -> None:
    log = EventLog(tmp_path / "curation.jsonl")
    log.append("b", "reject", author="me")
    log.append("e", "accept", author="me")
    with PromptStore([part("run", ATTEMPTS).with_events(log)]) as store:
        selection = select(store, "run", SelectionRule(keep_accepted=keep))
        assert sorted(selection.prompt_ids) == list("ace" if keep else "ac")
        assert selection.dropped["rejected"] == 1
        if keep:
            assert select(store, "run", SelectionRule(keep_accepted=True), num=1).prompt_ids == ("e",)


def test_the_question_type_is_the_first_tag_as_people_left_it(
    part: Callable[..., StorePart], tmp_path: Path
) -> None:
    log = EventLog(tmp_path / "curation.jsonl")
    attempts = [(name, 1, [1.0, 0.0] * 2) for name in "cd"]
    log.append("c", "untag", "where", author="me")
    log.append("c", "tag", "place", author="me")
    with PromptStore([part("run", attempts).with_events(log)]) as store:
        selection = select(store, "run", SelectionRule(question_types=("all",)))
    assert selection.prompt_ids == ("c",)  # its first tag is now the one that was second


def profile_of(made: StorePart, shown: str, decisions: dict[str, str]) -> StorePart:
    """The same run, of which a profile decided about 10 to 75%."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = Path(made.rollout_files[0]).with_name(f"profile {shown}.parquet")
    pq.write_table(pa.table({"prompt_id": list(decisions), "decision": list(decisions.values())}), file)
    return replace(made, profiles={**made.profiles, shown: (file, (0.1, 0.75))})


def test_what_a_profile_decided_is_evidence_enough(
    part: Callable[..., StorePart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 of 2 are believed to be 17%, but were decided to be under the band; a number of one's own goes before."""
    monkeypatch.setattr("sampler.store.set_rows._PROMPTS_OF_FILE", WITH_A_PICTURE)
    attempts = [("a", 1, [0.0] * 2), ("b", 1, [1.0, 0.0]), ("c", 1, [1.0, 0.0]), ("d", 1, [1.0, 0.0])]
    made = blind(part("run", attempts), {"b": [0.0] * 2})
    made = profile_of(made, "whole", {"a": "below", "b": "inside", "c": "inside", "d": "undecided"})
    made = profile_of(made, "blind", {"b": "below"})
    log = EventLog(tmp_path / "curation.jsonl")
    with PromptStore([made.with_events(log)]) as store:
        assert sorted(select(store, "run", SelectionRule((0.1, 0.75))).prompt_ids) == ["b", "c"]
        assert sorted(select(store, "run", SelectionRule((0.1, 0.8))).prompt_ids) == ["a", "b", "c"]
        assert select(store, "run", SelectionRule((0.1, 0.75), needs_picture=True)).prompt_ids == ("b",)
        with pytest.raises(BadInput, match="--min-samples"):
            select(store, "run", SelectionRule(min_samples=4))
    log.append("c", "correct", "7", author="me")
    with PromptStore(
        [made.with_events(log)]
    ) as store:  # what was decided by another reference counts no more
        assert select(store, "run", SelectionRule((0.1, 0.75))).prompt_ids == ("b",)


@pytest.mark.parametrize(("status", "warned"), [("no_thought", True), ("ok", False)])
def test_blind_answers_without_a_form_say_nothing_of_the_picture(
    part: Callable[..., StorePart], monkeypatch: pytest.MonkeyPatch, status: str, warned: bool
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setattr("sampler.store.set_rows._PROMPTS_OF_FILE", WITH_A_PICTURE)
    made = blind(part("run", [("a", 1, [1.0, 0.0] * 4)]), {"a": [0.0] * 8})
    file = made.rollout_files[-1]
    table = pq.read_table(file)
    pq.write_table(table.append_column("answer_status", pa.array([status] * table.num_rows)), file)
    with PromptStore([made]) as store:
        warnings = select(store, "run", SelectionRule(needs_picture=True)).warnings
    assert (
        any("8 of 8 answers without the picture have no readable form" in one for one in warnings) is warned
    )


def test_a_type_that_is_scarce_is_counted_and_shares_can_be_kept_equal(
    store: Callable[..., PromptStore],
) -> None:
    with store([(name, 1, [1.0, 0.0] * 2) for name in "abcde"]) as opened:
        uneven, even = (
            select(opened, "run", SelectionRule(), num=5 + equal, equal=equal) for equal in (False, True)
        )
        few = select(opened, "run", SelectionRule(), num=2, equal=True)
    assert (uneven.types, uneven.asked) == ({"sum": 2, "where": 3}, 2)
    assert (even.types, even.asked) == ({"sum": 2, "where": 2}, 3)
    assert few.types == {"sum": 1, "where": 1}


def test_held_against_another_split(part: Callable[..., StorePart]) -> None:
    made = part("run", ATTEMPTS)
    heldout = replace(made, prompt_sets={**made.prompt_sets, "heldout": made.prompt_sets["train"]})
    with PromptStore([heldout]) as store:
        selection = select(store, "run", SelectionRule(moves=("newly solved",)), against="heldout")
        with pytest.raises(BadInput, match="no prompts of split 'test'"):
            select(store, "run", SelectionRule(), against="test")
    assert selection.apart == selection.moved == {"where": pytest.approx(1 / 3)}
    assert "heldout: sum: no prompt is left, of 2 prompts" in selection.warnings


def test_evenly(store: Callable[..., PromptStore]) -> None:
    """However many are taken: no type has two more than another with prompts left, nor a reference within a type."""
    with store([(name, 1, [1.0, 0.0] * 2) for name in "abcde"]) as opened:
        whole = select(opened, "run", SelectionRule()).prompt_ids
        for num in range(1, 6):
            taken = select(opened, "run", SelectionRule(), num=num).prompt_ids
            assert taken == whole[:num]
            counts = Counter(TYPES[name] for name in taken)
            assert num == 5 or abs(counts["sum"] - counts["where"]) <= 1
            if counts["where"] > 1:
                assert {REFERENCES[name] for name in taken if TYPES[name] == "where"} == {"1", "it's 5%"}
        others = {select(opened, "run", SelectionRule(), seed=seed).prompt_ids for seed in range(8)}
    assert sorted(whole) == list("abcde") and len(others) > 3
