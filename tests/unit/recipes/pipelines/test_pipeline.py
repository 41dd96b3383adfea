"""Pipelines: what each stage keeps, drops and rewrites; files; going on; mistakes in the YAML."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from recipes.cli import main
from recipes.pipelines.pipeline import (
    SHIPPED,
    STAGES,
    Pipeline,
    StageReport,
    load_pipeline,
    report_of,
    run_pipeline,
)
from recipes.pipelines.stage import Outcome, PipelineStage, Profiler
from rl.recipe.profile_config import ProfileConfig
from sampler.data.prompt_dataset import load_prompts, save_prompts
from sampler.prompt import Prompt
from verifiers.errors import BadInput

RECIPE = str(Path(__file__).parents[3] / "data" / "tiny_program.yaml")

Row = Mapping[str, Any]


def asked(text: str, picture: bytes | None = None, **fields: Any) -> Prompt:
    content = [*([{"type": "image"}] if picture else []), {"type": "text", "text": text}]
    given = {"verifier": "math", "reference": "5", "tags": (), **fields}
    return Prompt.build(
        messages=[{"role": "user", "content": content}], images=[picture] if picture else [], **given
    )


def no_profiler(prompts: Sequence[Prompt], config: ProfileConfig) -> Mapping[str, Row]:
    raise AssertionError("a rule samples nothing")


def applied(
    stage: str, prompts: Sequence[Prompt], profiler: Profiler = no_profiler, **options: Any
) -> Outcome:
    return STAGES[stage].model_validate(options).apply(prompts, profiler)


class Told:
    """A profiler that knows decisions and spreads by the question's text, and keeps what it was asked."""

    def __init__(self, **rows: Row) -> None:
        self.rows = rows
        self.configs: list[ProfileConfig] = []

    def __call__(self, prompts: Sequence[Prompt], config: ProfileConfig) -> Mapping[str, Row]:
        self.configs.append(config)
        plain = {"decision": "inside", "spread": 0.5, "dropped": False}
        known = {prompt.prompt_id: {**plain, **self.rows.get(prompt.text, {})} for prompt in prompts}
        return (
            known
            if config.shown == ("whole",)
            else {prompt.prompt_id: known[prompt.prompt_id] for prompt in prompts if prompt.vision_inputs}
        )


def test_choices_are_opened_with_their_history(picture: Callable[..., bytes]) -> None:
    choice = asked(
        "How many?\nA. 3\nB. 5", picture(1), verifier="choice", reference="B", tags=("count",), source="s"
    )
    unfit = asked("Which of these is it?\nA. a\nB. b", verifier="choice", reference="A")
    number = asked("How many dots?")
    outcome = applied("open_ended", [choice, unfit, number])
    opened, other = outcome.kept
    assert (opened.text, opened.reference, opened.verifier) == ("How many?", "5", "math")
    assert (opened.tags, opened.source, opened.images) == (choice.tags, choice.source, choice.images)
    assert opened.messages[0]["content"][0] == {"type": "image"} and other == number
    assert outcome.rewritten == {choice.prompt_id: opened.prompt_id}
    assert outcome.reasons == {"asks about the options": 1}
    assert applied("open_ended", [unfit], keep_others=True).kept == [unfit]


def test_rules_on_questions_and_references() -> None:
    two = asked("(1) What is x? (2) What is y?")
    several = asked("What is it?", reference="5; 6")
    phrase = asked("Why?", verifier="string", reference="because the lines are parallel")
    place = asked("Where?", verifier="bbox_iou", reference="<bbox>1 2 3 4</bbox> and so on it goes")
    general = asked(
        "What is it? And why?", verifier=None, kind="general", reference="It is a cat that sleeps."
    )
    fine = asked("How many?")
    whole = [two, several, phrase, place, general, fine]
    assert applied("one_question", whole).reasons == {
        "numbered sub-questions": 1, "the reference holds several answers": 1,
    }  # fmt: skip
    assert applied("short_answer", whole).dropped == {phrase.prompt_id: "the answer is a phrase"}
    assert applied("short_answer", [phrase], max_words=9).kept == [phrase]
    boxed = applied("boxed", [fine, general, asked("Put it in \\boxed{}.")])
    assert [one.text.endswith("Put the final answer in \\boxed{}.") for one in boxed.kept] == [
        True,
        False,
        False,
    ]
    assert list(boxed.rewritten) == [fine.prompt_id]


@pytest.mark.parametrize(("stage", "shown"), [("blind", "blind"), ("caption", "caption")])
def test_what_needs_no_picture_goes(picture: Callable[..., bytes], stage: str, shown: str) -> None:
    seen, guessed, bare = asked("seen", picture(1)), asked("guessed", picture(2)), asked("bare")
    told = Told(seen={"decision": "below"}, guessed={"decision": "inside"})
    outcome = applied(stage, [seen, guessed, bare], told, max_pass_frac=0.4)
    assert list(outcome.kept) == [seen] and len(outcome.reasons) == 2
    assert (told.configs[0].shown, told.configs[0].band) == ((shown,), (0.4, 1.0))
    assert applied(stage, [seen, bare], told, drop_without_picture=False).kept == [seen, bare]
    assert applied(stage, [bare], Told(), drop_without_picture=False).kept == [bare]


def test_the_band_and_the_spread() -> None:
    names = ("hard", "fair", "easy", "odd", "long")
    whole = [asked(name) for name in names]
    told = Told(
        hard={"decision": "below", "spread": 0.0}, easy={"decision": "above", "spread": 0.05},
        odd={"decision": "undecided", "spread": None}, long={"decision": "undecided", "dropped": True},
    )  # fmt: skip
    band = applied("band", whole, told)
    assert [one.text for one in band.kept] == ["fair"]
    assert list(band.dropped.values()) == [
        "never solved", "solved above 75%", "not judged", "too long for the sampler",
    ]  # fmt: skip
    spread = applied("spread", whole, told, samples=6)
    assert [one.text for one in spread.kept] == ["fair"]
    assert spread.reasons == {"spread under 0.1": 2, "not judged": 1, "too long for the sampler": 1}
    assert (told.configs[-1].samples, told.configs[-1].pass_samples) == (
        6,
        6,
    )  # the best of few is no measure


def test_tags_and_strata() -> None:
    texts = [
        "How many cats?",
        "What colour is it?",
        "Read the sign.",
        "hm",
        *(f"How many of {i}?" for i in range(20)),
    ]
    tagged = applied("tag", [*map(asked, texts), asked("How many?", tags=("own",))]).kept
    assert [one.question_type for one in tagged[:4]] == ["counting", "colour", "text", "other"]
    assert tagged[-1].tags == ("own",)
    assert applied("tag", tagged[-1:], keep_own=False).kept[0].tags == ("counting", "own")
    even = applied("stratify", tagged, num=8)
    types = [one.question_type for one in even.kept]
    assert len(types) == 8 and types.count("counting") == 4 and {"own", "colour", "text", "other"} < {*types}
    assert applied("stratify", tagged, num=8, max_share=0.25).reasons == {
        "more of its tag than asked for": 19
    }
    assert [one.prompt_id for one in applied("stratify", tagged, num=8).kept] == [
        one.prompt_id for one in even.kept
    ]
    again = applied("stratify", tagged, num=8, seed=1)
    assert {one.prompt_id for one in again.kept} != {one.prompt_id for one in even.kept}


def test_strata_are_even_over_references() -> None:
    rare = [asked(f"q{i}", tags=("count",), reference="1") for i in range(3)]
    often = [asked(f"r{i}", tags=("count",), reference="2") for i in range(30)]
    kept = applied("stratify", [*often, *rare], num=6).kept
    assert sorted(one.reference_text for one in kept) == ["1"] * 3 + ["2"] * 3


def test_a_reference_that_a_stage_takes_away_is_named() -> None:
    """As when "right without the picture" takes the reference that is guessed out of a question type."""
    whole = [asked(f"q{i}", tags=("where",), reference=str(i % 4)) for i in range(40)]
    outcome = Outcome(
        [one for one in whole if one.reference != "1"], {one.prompt_id: "x" for one in whole[1::4]}
    )
    report = report_of("05-blind", whole, outcome)
    assert report.moved == {"where": pytest.approx(0.25)}
    assert report.warnings == ("where: no prompt with the reference '1' is left, which 25% have",)
    assert not report_of("01-boxed", whole, Outcome(whole)).warnings


def pipeline_of(tmp_path: Path, *stages: str) -> Pipeline:
    file = tmp_path / "own.yaml"
    file.write_text("name: own\nstages:\n" + "".join(f"  - {stage}\n" for stage in stages))
    return load_pipeline(str(file))


def test_a_pipeline_counts_and_keeps_history(tmp_path: Path, picture: Callable[..., bytes]) -> None:
    whole = [
        asked("How many?\nA. 3\nB. 5", picture(1), verifier="choice", reference="B"),
        asked(
            "How many?\nA. 5\nB. 7", picture(1), verifier="choice", reference="A"
        ),  # the same once it is opened
        asked("What is x? What is y?", picture(2)),
        asked("hard", picture(3)),
        asked("fair", picture(4)),
    ]
    stages = ("open_ended: {}", "one_question:", "band: {samples: 8}")
    out, told, reports = tmp_path / "out", Told(hard={"decision": "below"}), list[StageReport]()
    names: list[str] = []

    def profiler_of(name: str) -> Profiler:
        names.append(name)
        return told

    pipeline = pipeline_of(tmp_path, *stages)
    left = run_pipeline(pipeline, whole, out, profiler_of, reports.append)
    assert [one.text for one in left] == ["How many?", "fair"] and names == [
        "01-open_ended", "02-one_question", "03-band",
    ]  # fmt: skip
    assert [(one.num_in, one.num_kept, one.num_rewritten) for one in reports] == [
        (5, 4, 1),
        (4, 3, 0),
        (3, 2, 0),
    ]
    written = load_prompts(out / "prompts.parquet")
    assert [one.prompt_id for one in written] == [one.prompt_id for one in left] and written[0].images[
        0
    ].read()
    funnel = json.loads((out / "pipeline.json").read_text())
    assert (funnel["num_in"], funnel["num_out"]) == (5, 2)
    assert [stage["reasons"] for stage in funnel["stages"]] == [
        {"the same as another once rewritten": 1}, {"several question marks": 1}, {"never solved": 1},
    ]  # fmt: skip
    history = pq.read_table(out / "history.parquet").to_pylist()
    assert {row["what"] for row in history} == {"dropped", "rewritten"} and len(history) == 4
    first = (out / "prompts.parquet").read_bytes()
    run_pipeline(pipeline, whole, out, profiler_of)
    assert (out / "prompts.parquet").read_bytes() == first
    with pytest.raises(BadInput, match="holds the work of another pipeline"):
        run_pipeline(pipeline_of(tmp_path, *stages[:2]), whole, out, profiler_of)


@pytest.mark.parametrize("is_open", [False, True])
def test_history_names_each_of_several_that_became_one(tmp_path: Path, is_open: bool) -> None:
    """The first is kept, or the one that was so before."""
    copies = [
        asked("How many?\nA. 3\nB. 5", verifier="choice", reference="B"),
        asked("How many?\nA. 5\nB. 3", verifier="choice", reference="A"),
        asked("How many?\nA. 5\nB. 4", verifier="choice", reference="A"),
    ]
    opened = [asked("How many?", reference="5")] if is_open else []
    run_pipeline(
        pipeline_of(tmp_path, "open_ended: {}"), [*copies, *opened], tmp_path / "out", lambda name: Told()
    )
    (left,) = load_prompts(tmp_path / "out" / "prompts.parquet")
    history = pq.read_table(tmp_path / "out" / "history.parquet").to_pylist()
    ids = [one.prompt_id for one in copies]
    dropped = [row["prompt_id"] for row in history if row["what"] == "dropped"]
    origins = [(row["prompt_id"], row["origin_id"]) for row in history if row["what"] == "rewritten"]
    assert (dropped, origins) == ((ids, []) if is_open else (ids[1:], [(left.prompt_id, ids[0])]))


def test_what_is_shipped_loads() -> None:
    names = sorted(file.stem for file in SHIPPED.glob("*.yaml"))
    assert names == ["general", "visual_stem"]
    stem = [name.partition("-")[2] for name, _ in load_pipeline("visual_stem").stages]
    assert stem == ["open_ended", "one_question", "short_answer", "boxed", "blind", "caption", "band"]
    band = load_pipeline("visual_stem").stages[-1][1]
    assert band.model_dump()["band"] == (0.0, 0.75) and band.model_dump()["samples"] == 16
    assert all(issubclass(stage, PipelineStage) and stage.__doc__ for stage in STAGES.values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\nstages: [{band: {sample: 3}}]", "stage band: sample: Extra inputs are not permitted"),
        ("name: x\nstages: [{bend: {}}]", "no stage 'bend': there are open_ended"),
        ("name: x\nstages: [{band: {}, tag: {}}]", "stage 1 is one name with its options, got band, tag"),
        ("name: x\nstages: []", "stages: List should have at least 1 item"),
        ("name: x\nstages: [{tag: {patterns: {a: '('}}}]", "the pattern of tag 'a' is no regular expression"),
        ("name: [", "not valid YAML"),
        ("- 3", "should be a valid dictionary"),
    ],
)  # fmt: skip
def test_mistakes_in_the_yaml(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text)
    with pytest.raises(BadInput) as told:
        load_pipeline(str(file))
    assert words in str(told.value)
    with pytest.raises(BadInput, match=r"no pipeline 'visual-stem'.*did you mean 'visual_stem'"):
        load_pipeline("visual-stem")


def test_the_command(
    tmp_path: Path, picture: Callable[..., bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = [asked("What is x? What is y?"), asked("How many\x1b[2J?", picture(1), reference="5")]
    save_prompts(tmp_path / "set.parquet", whole)
    (tmp_path / "own.yaml").write_text("name: own\nstages: [one_question: , tag: ]")
    given = ["prompts", "pipeline", str(tmp_path / "own.yaml"), str(tmp_path / "set.parquet"), "--out"]
    out = tmp_path / "out"
    assert main([*given, str(out), "--dry-run"]) == 0 and not out.exists()
    assert main([*given, str(out)]) == 0
    said = capsys.readouterr().out
    assert "01-one_question: 2 in, 1 kept" in said and "dropped, several question marks: 1" in said
    assert "1 of 2 prompts of set.parquet" in said and "\x1b" not in said
    assert [one.tags for one in load_prompts(out / "prompts.parquet")] == [("counting",)]
    command = [
        "prompts",
        "pipeline",
        "visual_stem",
        str(tmp_path / "set.parquet"),
        "--out",
        str(tmp_path / "stem"),
    ]
    assert main([*command, "--dry-run"]) == 0
    assert "at most 1 prompt x 16 samples" in " ".join(capsys.readouterr().out.split())
    assert main(command) == 2
    assert "samples a policy: give --recipe and --policy" in capsys.readouterr().err
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "config.json").write_text("{}")
    assert main([*command, "--recipe", RECIPE, "--policy", str(tmp_path / "policy")]) == 2
    assert "stage 06-caption: caption_tokens=512 leaves no room" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "stem" / "runs").exists()
