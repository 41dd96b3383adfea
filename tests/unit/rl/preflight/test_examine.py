"""The whole preflight of a recipe, without engines: what it asks, in which order, and what it leaves behind."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from recipes import cli
from rl.data.run_data import RunData
from rl.preflight.check import Check, Finding
from rl.preflight.engines import _pictures_matter
from rl.preflight.examine import examine
from rl.preflight.tokens import check_tokens
from rl.recipe.recipe import Recipe
from rl.run.results.stage_result import PolicyState
from sampler.prompt import Prompt
from verifiers.errors import HoneError


def recipe(**sections: Any) -> Recipe:
    data = {"train_prompts": "train.jsonl", "heldout_prompts": "heldout.jsonl", **sections.pop("data", {})}
    return Recipe.model_validate({"name": "x", "data": data, **sections})


def write_rows(path: Path, *references: str) -> None:
    rows = [
        {"messages": f"What is {one}?", "verifier": "number", "reference": one, "note": ""}
        for one in references
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_data_that_cannot_be_read_ends_it_before_the_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(Path("train.jsonl"), "1", "many")
    write_rows(Path("heldout.jsonl"), "3")
    findings = {
        check.name: check.run() for check in examine(recipe(), tmp_path / "scratch", tmp_path, quick=True)
    }
    assert list(findings)[:4] == ["disk", "data", "train prompts", "held-out prompts"]
    assert "policy to start from" not in findings
    assert [one.summary for one in findings.values()][-1] == "not asked: train prompts cannot be read"
    assert findings["train prompts"].outcome == "failed"
    assert findings["train prompts"].details[0].startswith("train.jsonl, line 2, column 'reference'")
    assert findings["held-out prompts"].summary == "1 of heldout.jsonl; not read: note"


def test_a_full_disk_is_told_where_nothing_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 2**30))
    findings = {check.name: check.run() for check in examine(recipe(), tmp_path, tmp_path, quick=True)}
    assert "prompts fit" not in findings  # there are no data files
    assert findings["disk"].outcome == "warning" and findings["disk"].summary.startswith("3 GiB free")


def test_doctor_tells_each_check_and_removes_a_run_directory_in_which_nothing_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(Path("train.jsonl"), "1", "many")
    write_rows(Path("heldout.jsonl"), "3")
    Path("own.yaml").write_text(
        "name: own\ndata: {train_prompts: train.jsonl, heldout_prompts: heldout.jsonl}"
    )
    assert cli.main(["doctor", "own.yaml", "--quick"]) == 1
    shown = capfd.readouterr().out
    assert shown.count("train prompts  ") == 1  # each check once, where no terminal shows it at work
    assert "1 row cannot be read" in shown and "train.jsonl, line 2" in shown
    assert not Path("runs").exists()


@pytest.fixture
def asked(hub: Path, prompt: Callable[..., Any], tmp_path: Path) -> Callable[..., dict[str, Finding]]:
    """The checks that need a tokenizer, of two prompts with places, one of them general."""
    general = replace(prompt("g", reference="ok " * 20), kind="general", verifier=None)
    data = RunData(
        [prompt("v"), general], [], [], locations={"train": {"v": "a.jsonl, line 1", "g": "a.jsonl, line 2"}}
    )

    def findings(changed: Recipe, data: RunData = data) -> dict[str, Finding]:
        checks: list[Check] = list(check_tokens(changed, data, PolicyState(0, hub, "x"), tmp_path))
        return {check.name: check.run() for check in checks}

    return findings


def test_a_comparison_must_fit_the_reward_model(asked: Callable[..., dict[str, Finding]]) -> None:
    def found(room: int, **judge: Any) -> Finding:
        sections = {"sampler": {"max_model_len": 400}, "rl": {"max_response_tokens": 100}}
        model = {
            "path": None,
            "training": {"data": {"builder": "a:b"}, **judge},
            "sampler": {"max_model_len": room},
        }
        return asked(recipe(judging={"reward_model": model}, **sections))["comparisons fit the reward model"]

    enough, tight, none = found(400), found(150), found(30)
    assert [one.outcome for one in (enough, tight, none)] == ["ok", "warning", "failed"]
    assert "judging.reward_model.sampler.max_model_len=150; what is longer has no reward" in tight.summary
    assert "no answer fits" in none.summary
    assert found(150, kind="scalar").outcome == "ok"  # one answer at a time


def test_what_is_wrong_is_named_by_file_and_line(
    asked: Callable[..., dict[str, Finding]], prompt: Callable[..., Any]
) -> None:
    sections = {"sampler": {"max_model_len": 400}, "rl": {"max_response_tokens": 100}}
    assert asked(recipe(**sections))["prompts fit"].outcome == "ok"
    short = asked(recipe(data={"max_prompt_tokens": 1}, **sections))["prompts fit"]
    assert (
        short.outcome == "failed"
        and "a.jsonl, line 1; a.jsonl, line 2; raise data.max_prompt_tokens" in short.summary
    )


def test_pictures_that_the_processor_shrinks_are_counted(
    asked: Callable[..., dict[str, Finding]], picture: Callable[..., bytes]
) -> None:
    """The tiny processor takes 64 patches of 16 x 16 pixels."""

    def png(width: int, height: int) -> bytes:
        file = io.BytesIO()
        Image.new("RGB", (width, height), "navy").save(file, "PNG")
        return file.getvalue()

    def found(*images: bytes) -> Finding:
        parts = [*({"type": "image"} for _ in images), {"type": "text", "text": "the sum?"}]
        one = Prompt.build(messages=[{"role": "user", "content": parts}], images=images)
        return asked(recipe(), RunData([one], [], []))["pictures are in the prompt"]

    assert found(png(128, 128), png(40, 24), png(9, 90)).outcome == "ok"
    shrunk = found(png(512, 256), png(128, 128), png(256, 128))
    assert shrunk.outcome == "warning"
    words = re.search(r"2 of 3 pictures shrunk .* from 512 x 256 to (\d+) x (\d+) pixels", shrunk.summary)
    assert words is not None, shrunk.summary
    width, height = map(int, words.groups())
    assert width * height <= 128 * 128 and width == pytest.approx(2 * height, abs=1)


def test_a_template_that_forgets_pictures_is_told_with_the_row(
    hub: Path, tmp_path: Path, picture: Callable[..., bytes]
) -> None:
    shutil.copytree(hub, tmp_path / "blind")
    template = tmp_path / "blind" / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|image_pad|>", ""))
    parts = [{"type": "image"}, {"type": "text", "text": "the sum?"}]
    one = Prompt.build(messages=[{"role": "user", "content": parts}], images=[picture(0)])
    data = RunData([one], [], [], locations={"train": {one.prompt_id: "a.jsonl, line 1"}})
    base = PolicyState(0, tmp_path / "blind", "x")
    checks = {check.name: check for check in check_tokens(recipe(), data, base, tmp_path)}
    found = checks["pictures are in the prompt"].run()
    assert found.outcome == "failed"
    assert (
        found.summary.startswith("a.jsonl, line 1: ") and "must write <|image_pad|> for each" in found.summary
    )


class SeeingSampler:
    """Stands where a run's engines stand: the log-probability it gives hangs on the pictures, or it is blind."""

    def __init__(self, *, blind: bool) -> None:
        self.sampler = self
        self.blind = blind
        self.asked: list[str] = []

    def plan(self, **settings: Any) -> None:
        return None

    def sample(self, prompts: list[Prompt], plan: None) -> Iterator[Any]:
        for one in prompts:
            self.asked.append(one.prompt_id)
            seen = 0.0 if self.blind else -float(sum(one.images[0].read()))
            yield SimpleNamespace(prompt=one, rollouts=[SimpleNamespace(sample_logprobs=[seen])])


def test_a_blind_sampler_is_found(prompt: Callable[..., Prompt], picture: Callable[..., bytes]) -> None:
    """Each prompt gets the pictures of the next, where there are as many; two with the same picture teach nothing."""
    shown = [picture(0)], [picture(1)], [picture(2), picture(3)], [], [picture(4)], [picture(4)]
    prompts = [prompt(f"p{i}", images=images) for i, images in enumerate(shown)]
    seeing = SeeingSampler(blind=False)
    assert _pictures_matter(seeing, prompts).summary == "2 of 2 prompts answer differently to another picture"
    assert seeing.asked == ["p0", "p5", "p0-swapped", "p5-swapped"]
    with pytest.raises(HoneError, match="does not see them"):
        _pictures_matter(SeeingSampler(blind=True), prompts)
    alone = SeeingSampler(blind=True)
    assert "nothing to compare" in _pictures_matter(alone, prompts[1:3]).summary
    assert not alone.asked
