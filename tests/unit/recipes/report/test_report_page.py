"""The whole page: what a reader must find in it, what it must not fetch, and what a hostile model may not do."""

from __future__ import annotations

import base64
import html
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recipes.report.page import write_report
from recipes.report.prompts.told import VIEWER
from verifiers.errors import BadInput

VOID = {"meta", "img", "br", "link", "input", "hr", "source", "wbr", "col"}


class Page(HTMLParser):
    """Every tag with its attributes, the visible text, and whether the tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def page(whole_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    out = write_report(whole_run, tmp_path_factory.mktemp("page") / "report.html")
    return Page(out.read_text())


def test_the_page_says_what_changed(page: Page, whole_run: Path) -> None:
    import json

    before = json.loads((whole_run / "stages/03-evaluate-r0/manifest.json").read_text())["result"][
        "pass_at_1"
    ]
    after = json.loads((whole_run / "stages/10-evaluate-r1/manifest.json").read_text())["result"]["pass_at_1"]
    assert f"{100 * before:.1f}%" in page.text
    assert f"{100 * (after - before):+.1f} points held-out pass@1" in page.text
    assert "2 rounds: SFT → RL → harvest → SFT → RL" in page.text
    assert "round 0 SFT (cold start)" in page.text
    assert "round 1 RL (final)" in page.text
    assert "Still running" not in page.text
    assert "the change from the cold start" in page.text


def test_a_run_is_named_so_that_a_command_finds_it(
    whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(whole_run.parents[0])
    assert f"hone compare {whole_run.name} " in Page(write_report(whole_run, tmp_path / "a").read_text()).text
    monkeypatch.chdir(tmp_path)
    assert f"hone compare {whole_run} " in Page(write_report(whole_run, tmp_path / "a").read_text()).text


def test_without_a_cold_start_changes_are_from_the_first_evaluation(run_maker: Any, tmp_path: Path) -> None:
    for after, skill in (("prepare", 0.2), ("rl", 0.8)):
        run_maker.evaluate(0, after, skill)
    text = Page(write_report(run_maker.run, tmp_path / "a").read_text()).text
    assert "the change from the first evaluation" in text and "cold start" not in text


@pytest.mark.parametrize(
    "words",
    [
        *("sum", "largest", "count", "where", "how responses end"),
        *("Reward per RL step", "SFT loss", "mismatch_kl", "Response length, tokens", "Tokens per second"),
        *("prompts tried", "over length 1", "policy version 30"),
        *("generate", "sync", "other", "round 0 · evaluate at start", "round 1 · evaluate after RL"),
        *("torch", "2.13.0+cpu", "learning_rate: 2.0e-4"),
    ],
)
def test_the_page_holds(page: Page, words: str) -> None:
    assert words in page.text


def test_the_page_stands_alone(page: Page) -> None:
    assert page.open == []
    assert {tag for tag, _ in page.tags}.isdisjoint(
        {"script", "link", "iframe", "object", "embed", "form", "base"}
    )
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            value = attributes.get(name)
            within = tag == "a" and str(value).startswith(VIEWER)  # a link is no fetch
            assert value is None or value.startswith("data:image/") or within, (tag, value)
    policy = [attrs for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in str(policy[0]["content"])


def test_the_same_prompts_stand_side_by_side_with_their_pictures(page: Page) -> None:
    articles = [
        attrs for tag, attrs in page.tags if tag == "article" and "pair" in (attrs.get("class") or "")
    ]
    assert len(articles) == 16  # four question types, four of each
    pictures = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(pictures) == 16 + 8  # and the harvest's
    assert all(str(picture["src"]).startswith("data:image/png;base64,") for picture in pictures)
    assert len(re.findall(r"\d of 4 right", page.text)) == 32


HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">{{ 7 * 7 }}</div></main>&lt;b&gt;'


def hostile_rows(maker: Any, stage: str, **fields: Any) -> list[dict[str, Any]]:
    from_rows = []
    for prompt, question in maker.heldout:
        row = {
            "rollout_id": HOSTILE,
            "stage": stage,
            "round": 0,
            "step": 0,
            "policy_version": 0,
            "prompt_id": prompt.prompt_id,
            "kind": "verifiable",
            "tags": list(prompt.tags),
            "verifier": prompt.verifier,
            "reference": question.reference,
            "index": 0,
            "response": HOSTILE,
            "thought": HOSTILE,
            "answer": HOSTILE,
            "answer_status": "ok",
            "finish_reason": "stop",
            "num_prompt_tokens": 1,
            "num_response_tokens": 1,
            "reward": 0.0,
            "verdict_status": "scored",
            "verdict_score": 0.0,
            "verdict_code": "different",
            "verdict_reason": HOSTILE,
            "verdict_extracted": HOSTILE,
            "judge_s": 0.0,
        }
        from_rows.append({**row, **fields})
    return from_rows


def evaluate_with(maker: Any, write_rollouts: Any, **fields: Any) -> Page:
    """The page of a run whose one evaluation holds these rollouts."""
    stage = maker.next_name("evaluate")
    write_rollouts(maker.run, stage, hostile_rows(maker, stage, **fields))
    maker.stage(
        "evaluate",
        0,
        f"evaluate {HOSTILE}",
        {"generate": 1.0},
        after="sft",
        pass_at_1=0.0,
        by_tag={HOSTILE: {"pass_at_1": 0.1}},
    )
    return Page(write_report(maker.run).read_text())


def test_model_output_never_becomes_markup(run_maker: Any, write_rollouts: Any) -> None:
    page = evaluate_with(run_maker, write_rollouts)
    assert page.open == []
    assert not [tag for tag, attrs in page.tags if tag == "script" or "onerror" in attrs]
    assert html.unescape(HOSTILE) != HOSTILE
    assert HOSTILE in "".join(page.words)  # shown as it is, once parsed
    assert page.text.count("<script>alert(1)</script>") >= 3


def test_a_megabyte_of_response_is_cut_and_says_so(run_maker: Any, write_rollouts: Any) -> None:
    page = evaluate_with(run_maker, write_rollouts, thought="3+" * 600_000)
    assert "cut here: 1,198,800 more characters" in page.text
    assert (run_maker.run / "report.html").stat().st_size < 200_000


def test_characters_that_hide_or_reorder_text_are_made_visible(run_maker: Any, write_rollouts: Any) -> None:
    page = evaluate_with(run_maker, write_rollouts, answer="9\u202e\x00\x1b[31m")
    assert "9\ufffd\ufffd\ufffd[31m" in page.text
    assert not set("\u202e\x00\x1b") & set("".join(page.words))


@pytest.mark.parametrize("status", ["timeout", "error"])
def test_an_error_of_the_judge_is_named_and_is_not_a_wrong_answer(
    run_maker: Any, write_rollouts: Any, status: str
) -> None:
    rows = {"reward": None, "verdict_score": None, "verdict_status": status, "verdict_reason": "took 2 s"}
    stage = run_maker.next_name("evaluate")
    judged = hostile_rows(run_maker, stage)
    unjudged = hostile_rows(run_maker, stage, index=1, **rows)
    write_rollouts(run_maker.run, stage, judged + unjudged)
    run_maker.stage("evaluate", 0, "evaluate", {}, after="sft", pass_at_1=0.0, by_tag={})
    page = Page(write_report(run_maker.run).read_text())
    assert f"– {status} not counted" in page.text
    classes = [attrs.get("class") for _, attrs in page.tags]
    assert "attempt unjudged" in classes


def test_a_run_in_progress_gives_what_there_is(run_maker: Any) -> None:
    run_maker.sft(0, 6)
    page = Page(write_report(run_maker.run).read_text())
    assert "Still running." in page.text
    assert "No held-out evaluation yet." in page.text
    run_maker.evaluate(0, "sft", 0.5)
    (run_maker.run / "stages" / "03-rl-r0").mkdir()
    page = Page(write_report(run_maker.run).read_text())
    assert "under way: 03-rl-r0." in page.text
    run_maker.metrics("03-rl-r0", 0, 17, rollout__reward_mean=0.5)
    assert "under way: 03-rl-r0, step 17." in Page(write_report(run_maker.run).read_text()).text
    assert "round 0 SFT (cold start)" in page.text
    assert "→" not in page.text.split("Before and after")[0].split("pass@1 on")[0].split("round 0 SFT")[1]


def test_an_empty_run_still_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    assert "No held-out evaluation yet." in Page(write_report(tmp_path).read_text()).text


def test_what_is_no_run_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no run directory at .*nowhere"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="neither summary"):
        write_report(tmp_path)


def test_a_run_directory_with_odd_characters(run_maker: Any) -> None:
    odd = run_maker.run.parent / "it's [a] *run*?"
    run_maker.run.rename(odd)
    run_maker.run = odd
    run_maker.evaluate(0, "sft", 0.5)
    assert "8 held-out prompts" in Page(write_report(odd).read_text()).text
    assert "of 4 right" in (odd / "report.html").read_text()


def test_a_picture_that_does_not_decode_is_named(run_maker: Any, write_prompts: Any) -> None:
    prompts = [prompt for prompt, _ in run_maker.heldout]
    write_prompts(
        run_maker.run / "stages" / "00-prepare" / "data" / "heldout.parquet",
        prompts,
        images=[b"\x89PNG no picture"],
    )
    run_maker.evaluate(0, "sft", 0.5)
    assert "a picture or video that does not decode" in Page(write_report(run_maker.run).read_text()).text


def test_a_video_is_shown_by_some_of_its_frames(run_maker: Any, write_prompts: Any, video_file: Any) -> None:
    """Six of eleven frames, the first and the last among them; a video that does not decode is named."""
    film = np.repeat(np.arange(11, dtype=np.uint8) * 20, 40 * 60 * 3).reshape(11, 40, 60, 3)
    prompts = [prompt for prompt, _ in run_maker.heldout]
    data = run_maker.run / "stages" / "00-prepare" / "data" / "heldout.parquet"
    write_prompts(data, prompts, videos=[video_file(film), b"no video"])
    run_maker.evaluate(0, "sft", 0.5)
    page = write_report(run_maker.run).read_text()
    sheet = re.search(r'<div class="picture film"><img src="data:image/png;base64,([^"]+)" alt="frames', page)
    assert sheet is not None
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet[1]))))
    assert pixels.shape == (3 * 42 - 2, 2 * 62 - 2, 3)
    assert pixels[20::42, 30::62, 0].tolist() == [[0, 40], [80, 120], [160, 200]]
    assert "a picture or video that does not decode" in Page(page).text


def test_the_command_writes_the_page(
    run_maker: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from recipes.cli import main

    run_maker.evaluate(0, "sft", 0.5)
    out = tmp_path / "elsewhere" / "page.html"
    assert main(["report", str(run_maker.run), "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert out.read_text().startswith("<!DOCTYPE html>")
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert "no run directory" in capsys.readouterr().err
