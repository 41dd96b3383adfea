"""`hone prompts mark, fix, rejudge, suspects, review, export` on a run made by hand, as somebody would use them."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recipes.cli import main
from sampler.data.prompt_dataset import load_prompts, save_prompts
from sampler.prompt import Prompt
from sampler.store.decisions.event_log import EventLog
from sampler.store.prompt_store import PromptStore
from sampler.vision_input import VisionInput

HOSTILE = "\x1b[2J<script>`|\u202e"
# What two policies answer; the reference is 1. Twenty other prompts they answer rightly, but for two slips each.
ANSWERS = {"a": ["7", "7", "7", "9"], "b": ["1", "1", "2", "3"], "c": ["5", "6", "0", "8"]}


def prompt_of(name: str, picture: bytes) -> Prompt:
    parts = [{"type": "image"}, {"type": "text", "text": f"What is {name}?{HOSTILE}"}]
    message = {"role": "user", "content": parts}
    shown = (VisionInput.of("image", picture),)
    return Prompt(
        name, (message,), shown, tags=(f"sum{HOSTILE}",), verifier="number", reference="1", source=HOSTILE
    )


@pytest.fixture
def run(tmp_path: Path, picture: Callable[..., bytes]) -> Path:
    path = tmp_path / "r"
    data = path / "stages" / "00-prepare" / "data"
    data.mkdir(parents=True)
    prompts = [prompt_of(name, picture(i)) for i, name in enumerate("abcd")]
    save_prompts(data / "train.parquet", prompts)
    policy = {"version": 0, "hub": "base", "stage": "00-prepare"}
    result = {"paths": {"train": "stages/00-prepare/data/train.parquet"}, "policy": policy}
    manifest = {"kind": "prepare", "result_version": 1, "result": result}
    (data.parent / "manifest.json").write_text(json.dumps(manifest))
    rows = [
        {
            "rollout_id": f"{version}-{name}-{index}", "stage": f"0{version}-rl", "step": 0, "policy_version": version,
            "prompt_id": name, "kind": "verifiable", "tags": [f"sum{HOSTILE}"], "verifier": "number", "reference": "1",
            "revision": prompts[0].revision, "index": index, "answer": answer, "answer_status": "ok",
            "verdict_extracted": answer, "reward": float(answer == "1"),
        }
        for name, answers in ANSWERS.items() for version in (1, 2) for index, answer in enumerate(answers)
    ]  # fmt: skip
    rows += [
        {**rows[0], "rollout_id": f"other-{name}-{index}", "prompt_id": f"other-{name}", "index": index,
         "reference": str(name % 10), "answer": answer, "verdict_extracted": answer, "reward": float(not slip)}
        for name in range(20) for index, slip in enumerate((0, 0, 0, 0, 0, 0, 2, 5))
        for answer in [str((name + slip) % 10)]
    ]  # fmt: skip
    (path / "rollouts" / "01-rl").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), path / "rollouts" / "01-rl" / "step-00000.parquet")
    return path


@pytest.fixture
def hone(run: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs `hone prompts` with these words, in which RUN is the run; what it printed, as one line."""

    def call(*words: str, status: int = 0) -> str:
        assert main(["prompts", *(str(run) if word == "RUN" else word for word in words)]) == status
        printed = capsys.readouterr()
        assert not {"\x1b[2J", "\u202e"} & {printed.out, printed.err} and "\x1b[2J" not in printed.out
        return " ".join((printed.out + printed.err).split())

    return call


def decided(run: Path) -> list[tuple[str, str, object]]:
    return [(event.prompt_id, event.action, event.value) for event in EventLog.beside(run).events()]


def test_a_text_replaces_the_answer_of_a_question_with_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = Prompt.build(
        messages=[{"role": "user", "content": [{"type": "text", "text": "Which? A. red B. blue"}]}],
        verifier="choice",
        reference={"answer": "A", "options": ["red", "blue"]},
    )
    path = str(save_prompts(tmp_path / "set.parquet", [asked]))
    assert main(["prompts", "fix", asked.prompt_id, path, "--reference", "Z"]) == 2
    assert "cannot be used" in capsys.readouterr().err
    assert main(["prompts", "fix", asked.prompt_id, path, "--reference", "B"]) == 0
    now = EventLog.beside(path).curated()[asked.prompt_id].applied(asked)
    assert now.reference == {"answer": "B", "options": ["red", "blue"]}


def test_ids_are_looked_up_once_and_never_in_the_log(
    hone: Callable[..., str], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    query = PromptStore.query
    monkeypatch.setattr(
        PromptStore, "query", lambda self, sql, *more: asked.append(sql) or query(self, sql, *more)
    )
    hone("mark", "a", "b", "c", "d", "RUN", "--accept")
    assert len(asked) == 2 and not any("rollouts" in sql for sql in asked)
    assert "several prompts have" in hone("mark", "a", "other-1", "other-", "RUN", "--accept", status=2)


def test_marks_and_their_undoing(hone: Callable[..., str], run: Path) -> None:
    told = hone(
        "mark", "a", "b", "RUN", "--reject", "--tag", "odd", "--author", "me", "--reason", "ambiguous"
    )
    assert "4 events in" in told
    hone("mark", "a", "RUN", "--undo", "--author", "you")
    curated = EventLog.beside(run).curated()
    assert (curated["a"].accepted, curated["a"].tags_added) == (None, ("odd",))
    assert (curated["b"].accepted, curated["b"].tags_added) == (False, ("odd",))
    first = EventLog.beside(run).events()[0]
    assert (first.author, first.reason) == ("me", "ambiguous")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("mark", "a", "RUN"), "say what"),
        (("mark", "a", "RUN", "--accept", "--reject"), "not both"),
        (("mark", "x", "RUN", "--accept"), "no prompt has an id that begins with 'x'"),
        (("mark", "a", "RUN", "--undo"), "no such decision"),
        (("mark", "a", "RUN", "--tag", " "), "needs a tag"),
        (("fix", "a", "RUN"), "say what is right"),
        (("fix", "a", "RUN", "--reference", "1"), "judged so already"),
        (("fix", "a", "RUN", "--reference", " "), "the reference is empty"),
        (("fix", "a", "RUN", "--reference", "seven"), "cannot be used"),
        (("fix", "a", "RUN", "--reference", "7", "--reference-json", "7"), "not both"),
        (("fix", "a", "RUN", "--reference-json", "{"), "not valid JSON"),
        (("fix", "a", "RUN", "--verifier", "numbr"), "number"),
        (("fix", "a", "RUN", "--undo"), "no such decision"),
        (("stats", __file__), "give run directories"),
        (("query", "SELECT 1", __file__), "give run directories"),
        (("mark", "a", "nowhere.parquet", "--accept"), "no run and no prompt set"),
        (("export", "RUN", "--out", "x", "--where", "mean <"), "cannot be answered"),
        (("export", "RUN", "--out", "x", "--where", "false"), "no prompt is left"),
        (("export", "RUN", "--out", "x", "--split", "heldout"), "no prompts of split"),
        (("rejudge", "RUN", "--verifier", "bbox_iou"), "no prompt of run r is judged by"),
    ],
)
def test_refusals_write_nothing(
    hone: Callable[..., str], run: Path, words: tuple[str, ...], why: str
) -> None:
    assert why in hone(*words, status=2)
    assert not EventLog.beside(run).path.exists()


def test_a_correction_judged_again(hone: Callable[..., str], run: Path) -> None:
    told = hone("fix", "a", "RUN", "--reference", "7", "--author", "me")
    assert "was '1', judged by number" in told and "now '7', judged by number" in told
    assert "would judge 8 answers of 1 prompt" in hone("rejudge", "RUN", "--dry-run")
    assert "6 now right, 0 now wrong, 2 as before" in hone("rejudge", "RUN")
    assert "no answer is left" in hone("rejudge", "RUN")
    shown = hone("show", "a", "RUN")
    assert "corrected to '7'" in shown and "believed pass rate 7" in shown and "judged again" not in shown
    assert "logged" in shown and "counts" in shown
    assert "its reference is '1'" in hone("fix", "a", "RUN", "--undo")
    assert "number" in hone("fix", "a", "RUN", "--verifier", "math")
    event = EventLog.beside(run).events()[-1]
    assert event.verifier is not None and event.previous_verifier is not None
    assert (event.value, event.verifier.name, event.previous_verifier.name) == ("1", "math", "number")


def test_words_for_a_number_are_warned_of(hone: Callable[..., str], run: Path) -> None:
    hone("fix", "a", "RUN", "--verifier", "math")
    assert "no number any more" not in hone("fix", "a", "RUN", "--reference", "seven")  # read as 7
    assert "! no number any more" in hone("fix", "a", "RUN", "--reference", "quite a few")
    assert "no number any more" not in hone("fix", "a", "RUN", "--reference", "several of them")


def test_what_could_not_be_read_is_corrected_without_a_warning(
    hone: Callable[..., str], tmp_path: Path, picture: Callable[..., bytes]
) -> None:
    """By words or a number: nothing was right before."""
    file = tmp_path / "set.parquet"
    unread = replace(prompt_of("a", picture(1)), verifier="math", reference="\\frac{")
    save_prompts(file, [unread])
    for reference in ("quite a few", "7"):
        told = hone("fix", unread.prompt_id, str(file), "--reference", reference)
        assert f"now '{reference}'" in told and "no number" not in told
        hone("fix", unread.prompt_id, str(file), "--undo")


def test_a_prompt_file_has_its_own_decisions(hone: Callable[..., str], run: Path) -> None:
    file = run / "stages" / "00-prepare" / "data" / "train.parquet"
    hone("fix", "b", str(file), "--reference", "2", "--author", "me")
    hone("mark", "c", str(file), "--reject")
    assert set(EventLog(file.with_name("train.curation.jsonl")).curated()) == {"b", "c"}
    assert not EventLog.beside(run).path.exists()


def test_suspects(hone: Callable[..., str], run: Path, tmp_path: Path) -> None:
    told = hone("suspects", "RUN")
    assert "6 of 8" in told and " b " not in told
    assert "1 suspect in" in hone("suspects", "RUN", "--out", str(tmp_path / "s.parquet"))
    (row,) = pq.read_table(tmp_path / "s.parquet").to_pylist()
    assert (row["prompt_id"], row["answer"], row["num_agree"], row["num_answers"]) == ("a", "7", 6, 8)
    assert (row["num_right"], row["num_policies"], row["is_usual"]) == (0.0, 2, False) and row["ratio"] > 3
    hone("mark", "a", "RUN", "--accept")
    assert "no reference is suspect" in hone("suspects", "RUN")


def test_an_answer_that_the_policy_always_gives_speaks_against_no_reference(
    hone: Callable[..., str], run: Path, tmp_path: Path
) -> None:
    """Of seven prompts with the same wrong answer and one with its own, the one is left, and the seven are counted; the
    policy is right elsewhere."""
    log = run / "rollouts" / "01-rl" / "step-00000.parquet"
    (row, *_) = pq.read_table(log).slice(0, 1).to_pylist()
    said = {**{f"p{i}": "9" for i in range(7)}, "a": "7", **{f"right{i}": str(i % 9) for i in range(20)}}
    rows = [
        {**row, "prompt_id": name, "rollout_id": f"{name}-{i}", "answer": answer, "verdict_extracted": answer,
         "reward": float(name.startswith("right")),
         "reference": answer if name.startswith("right") else "1"}
        for name, answer in said.items() for i in range(4)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), log)
    told = " ".join(hone("suspects", "RUN", "--out", str(tmp_path / "s.parquet")).split())
    assert "8 suspects in" in told and "7 more where the policy is as likely to be wrong" in told
    marked = {one["prompt_id"]: one["is_usual"] for one in pq.read_table(tmp_path / "s.parquet").to_pylist()}
    assert marked == {name: name != "a" for name in said if not name.startswith("right")}
    assert " p0 " not in hone("suspects", "RUN") and " p0 " in hone("suspects", "RUN", "--usual")
    out = tmp_path / "chosen.parquet"
    hone("select", "RUN", "--suspects", "--out", str(out))
    assert [prompt.prompt_id for prompt in load_prompts(out)] == ["a"]


def test_a_corrected_prompt_is_suspect_only_by_new_verdicts(hone: Callable[..., str]) -> None:
    hone("fix", "a", "RUN", "--reference", "8")
    assert "no reference is suspect" in hone("suspects", "RUN")
    hone("rejudge", "RUN")
    assert "6 of 8" in hone("suspects", "RUN", "--usual")


def answer(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_a_review_by_keys(hone: Callable[..., str], run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "t", "odd", "c", "seven", "c", "7")
    told = hone("review", "RUN", "--author", "me")
    assert "6 of 8 answers say '7'" in told and "cannot be used" in told
    assert "2 decided" in told and "1 corrected" in told
    assert decided(run) == [("a", "tag", "odd"), ("a", "correct", "7")]
    hone("rejudge", "RUN")
    answer(monkeypatch, "a", "r", "blurred", "u", "a", "n")
    told = hone("review", "RUN", "--what", "unreviewed")
    assert "3 of 3" in told
    accepted = {name for name, one in EventLog.beside(run).curated().items() if one.accepted}
    assert len(accepted) == 2 and "undone: reject" in told and "a" not in accepted
    assert [event.reason for event in EventLog.beside(run).events() if event.action == "reject"] == [
        "blurred"
    ]


def test_a_review_warns_of_words_for_a_number(
    hone: Callable[..., str], tmp_path: Path, picture: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "set.parquet"
    save_prompts(file, [replace(prompt_of(name, picture(1)), verifier="math") for name in "ab"])
    answer(monkeypatch, "c", "seven", "c", "quite a few")  # the one is read as 7
    told = hone("review", str(file), "--what", "unreviewed")
    before, _, after = told.partition("2 of 2")
    assert "no number any more" not in before and "! no number any more" in after and "2 corrected" in after


def test_a_review_can_be_left_and_narrowed(
    hone: Callable[..., str], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "u", "x", "q")
    told = hone("review", "RUN")
    assert "nothing was decided yet" in told and "'x' is no key of these" in told
    answer(monkeypatch)
    assert "1 of 1" in hone("review", "RUN", "--what", "unreviewed", "--where", "prompt_id = 'c'")
    assert "all is decided" in hone("review", "RUN", "--what", "unreviewed", "--where", "false")
    assert decided(run) == []


def test_a_review_goes_through_all_there_are(
    hone: Callable[..., str], tmp_path: Path, picture: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = prompt_of("one", picture(1))
    save_prompts(tmp_path / "set.parquet", [replace(one, prompt_id=f"p{number}") for number in range(1200)])
    answer(monkeypatch, "n", "q")
    assert "2 of 1,200" in hone("review", str(tmp_path / "set.parquet"), "--what", "unreviewed")


def test_a_prompt_file_is_reviewed_without_answers(
    hone: Callable[..., str], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = run / "stages" / "00-prepare" / "data" / "train.parquet"
    answer(monkeypatch, "a", "r", "", "q")
    assert "3 of 4" in hone("review", str(file), "--what", "unreviewed")
    assert sorted(str(one.accepted) for one in EventLog.beside(file).curated().values()) == ["False", "True"]
    assert "no judged answer" in hone("review", str(file), status=2)


def test_a_prompt_file_is_reviewed_by_the_answers_of_a_run(
    hone: Callable[..., str], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "chosen.parquet"
    save_prompts(file, load_prompts(run / "stages" / "00-prepare" / "data" / "train.parquet"))
    answer(monkeypatch, "a")
    told = hone("review", str(file), "--history", "RUN")
    assert "6 of 8 answers say '7'" in told and "6 x 7" in told
    assert [event.prompt_id for event in EventLog.beside(file).events()] == ["a"]
    assert not EventLog.beside(run).events()


def test_pictures_are_opened_where_there_is_a_screen(
    hone: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("typer.launch", opened.append)
    for display, num in (("", 0), (":0", 1)):
        monkeypatch.setenv("DISPLAY", display)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        answer(monkeypatch, "o", "q")
        assert "0.png" in hone("review", "RUN").replace("\n", "")
        assert len(opened) == num


def test_selected_as_curated(hone: Callable[..., str], run: Path, tmp_path: Path) -> None:
    hone("mark", "b", "RUN", "--reject")
    hone("mark", "c", "RUN", "--accept", "--tag", "kept")
    hone("fix", "a", "RUN", "--reference", "7")
    hone("rejudge", "RUN")
    out = tmp_path / "hard.parquet"
    told = hone("select", "RUN", "--out", str(out), "--pass-rate", "0.5", "1", "--keep-accepted")
    assert "left out, rejected: 1" in told
    chosen = {prompt.prompt_id: prompt for prompt in load_prompts(out)}
    assert {name: one.reference for name, one in chosen.items()} == {"a": "7", "c": "1"}
    assert chosen["c"].tags == (f"sum{HOSTILE}", "kept")
    assert len(json.loads(out.with_suffix(".selection.json").read_text())["curation_events"]) == 4


def test_what_was_accepted_is_kept_of_a_run_that_sampled_nothing(
    hone: Callable[..., str], run: Path, tmp_path: Path
) -> None:
    later, out = tmp_path / "later", tmp_path / "kept.parquet"
    shutil.copytree(run / "stages", later / "stages")
    hone("mark", "b", str(later), "--accept")
    hone("select", "RUN", str(later), "--out", str(out), "--keep-accepted")
    assert [prompt.prompt_id for prompt in load_prompts(out)] == ["b"]
    assert json.loads(out.with_suffix(".selection.json").read_text())["newest_rollouts_sha256"] is None


def test_an_export_loads_with_datasets(
    hone: Callable[..., str], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    hone("mark", "b", "RUN", "--reject")
    hone("fix", "d", "RUN", "--reference", "9")
    out = tmp_path / "out"
    told = hone("export", "RUN", "--out", str(out), "--name", f"digits {HOSTILE}")
    assert "3 prompts in 1 Parquet file" in told
    loaded = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded["prompt_id"] == ["a", "c", "d"]
    assert loaded[0]["images"][0].size == load_prompts(out)[0].pil_images()[0].size
    rates = [loaded[0][name] for name in ("pass_rate_low", "pass_rate", "pass_rate_high")]
    assert loaded[0]["num_samples"] == 8 and 0 <= rates[0] < rates[1] < rates[2] < 0.5
    assert loaded[2]["reference"] == "9" and loaded[2]["pass_rate"] is None
    assert [one.prompt_id for one in load_prompts(out)] == ["a", "c", "d"]
    card = (out / "README.md").read_text()
    assert (
        "3 prompts with 3 pictures" in card and "| `number` | 3 |" in card and "# license: say which" in card
    )
    assert not {"\x1b", "\u202e"} & set(card)
    # Each text of the data stands in code, and breaks out of no cell.
    assert all(
        line.count("|") == 3 for line in card.splitlines() if line.startswith("| `") and "<script>" in line
    )
    assert "is there already" in hone("export", "RUN", "--out", str(out), status=2)


def test_an_export_keeps_the_order_of_the_set(
    hone: Callable[..., str], run: Path, tmp_path: Path, picture: Callable[..., bytes]
) -> None:
    names = [f"p{7 * number % 50:02d}" for number in range(50)]
    one = prompt_of("one", picture(1))
    save_prompts(
        run / "stages" / "00-prepare" / "data" / "train.parquet",
        [replace(one, prompt_id=name) for name in names],
    )
    (shard,) = (run / "rollouts" / "01-rl").iterdir()
    row = pq.read_table(shard).to_pylist()[0]
    tried = [
        {**row, "prompt_id": name, "rollout_id": name} for name in (*names, *(f"q{i}" for i in range(150)))
    ]
    pq.write_table(pa.Table.from_pylist(tried), shard)
    hone("export", "RUN", "--out", str(tmp_path / "out"))
    assert [prompt.prompt_id for prompt in load_prompts(tmp_path / "out")] == names


def test_an_export_of_a_selection_says_its_rule(hone: Callable[..., str], run: Path, tmp_path: Path) -> None:
    hone("select", "RUN", "--out", str(tmp_path / "hard.parquet"), "--pass-rate", "0.1", "0.9", "--seed", "3")
    hone(
        "export",
        str(tmp_path / "hard.parquet"),
        "--out",
        str(tmp_path / "out"),
        "--where",
        "prompt_id <> 'c'",
    )
    card = (tmp_path / "out" / "README.md").read_text()
    assert (
        '"pass_rate": [0.1, 0.9]' in card and "- seed: `3`" in card and "filter: `prompt_id <> 'c'`" in card
    )
    assert "pass_rate_low" not in card
