"""Prompts of a run: where they are found again, which are left out, what must never overlap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rl.data.prompt_encoder import PromptEncoder
from rl.data.run_data import RunData, build_data, leaks, load, long_prompts, refuse_leaks, without
from rl.data.token_limits import longest_prompt
from rl.recipe.recipe import Recipe
from sampler.data.prompt_dataset import save_prompts
from sampler.data.sft_row import SftRow
from verifiers.errors import BadInput


def recipe(**sections: Any) -> Recipe:
    data = {"train_prompts": "a", "heldout_prompts": "b", **sections.pop("data", {})}
    return Recipe.model_validate({"name": "t", "data": data, **sections})


def test_a_held_out_prompt_is_never_trained_on(prompt: Callable[..., Any]) -> None:
    a, b, c = prompt("a"), prompt("b"), prompt("c")
    refuse_leaks(RunData([a], [b], [SftRow(c, "x")]))
    with pytest.raises(
        BadInput, match="1 held-out prompt also trained on, first prompt b, which is a train prompt"
    ):
        refuse_leaks(RunData([a, b], [b], []))
    with pytest.raises(BadInput, match="first prompt c, which is a cold-start row"):
        refuse_leaks(RunData([a], [b, c], [SftRow(c, "x")]))
    unjudged = replace(c, prompt_id="row 7", verifier=None, reference="", kind="general")
    with pytest.raises(BadInput, match="first prompt c, which is a cold-start row"):
        refuse_leaks(RunData([a], [b, c], [SftRow(unjudged, "x")]))


def test_long_prompts_are_left_out(hub: Path, prompt: Callable[..., Any]) -> None:
    short, long = prompt("short"), prompt("a much longer question than the other one " * 5)
    encoder = PromptEncoder(hub)
    limit = len(encoder(short))
    assert long_prompts([long, short], encoder, limit) == [long.prompt_id]
    assert not encoder.is_longer(short, limit + 11 * limit)  # no tokenizer is asked
    kept = without(RunData([short, long], [short], []), [long.prompt_id])
    assert (list(kept.train), list(kept.heldout)) == ([short], [short])
    with pytest.raises(BadInput, match="all 1 train prompt too long"):
        without(RunData([long], [short], []), [long.prompt_id])


def test_large_sets_are_looked_at_by_several_processes(
    hub: Path, prompt: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rl.data.run_data.PART_SIZE", 2)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    prompts = [prompt(f"p{i}" if i != 3 else "a much longer question " * 9) for i in range(7)]
    encoder = PromptEncoder(hub)
    assert long_prompts(prompts, encoder, len(encoder(prompts[0]))) == [prompts[3].prompt_id]
    assert leaks(RunData(prompts, [prompts[4], prompt("other")], [])) == {
        prompts[4].prompt_id: "a train prompt"
    }


def test_room_for_a_prompt() -> None:
    fits = recipe(sampler={"max_model_len": 300}, rl={"max_response_tokens": 100})
    assert longest_prompt(fits) == 200
    assert (
        longest_prompt(
            recipe(
                sampler={"max_model_len": 300},
                rl={"max_response_tokens": 100},
                data={"max_prompt_tokens": 150},
            )
        )
        == 150
    )
    with pytest.raises(BadInput, match="leaves no room for a prompt"):
        longest_prompt(recipe(sampler={"max_model_len": 300}, rl={"max_response_tokens": 300}))


def test_paths_hold_from_any_directory_and_after_a_move(
    tmp_path: Path, prompt: Callable[..., Any], picture: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's file keeps its place; what the run made moves with it."""
    monkeypatch.chdir(tmp_path)
    save_prompts("given.parquet", [prompt("a", images=[picture(1)])])
    paths = build_data(
        recipe(data={"train_prompts": "given.parquet", "heldout_prompts": "org/hub-id"}), tmp_path / "x"
    )
    assert paths == {"train": str(tmp_path / "given.parquet"), "heldout": "org/hub-id"}

    (tmp_path / "old" / "stages").mkdir(parents=True)
    save_prompts(tmp_path / "old" / "stages" / "made.parquet", [prompt("b")])
    (tmp_path / "old").rename(tmp_path / "new")
    monkeypatch.chdir("/")
    read = load({"train": paths["train"], "heldout": "stages/made.parquet"}, tmp_path / "new")
    assert [one.prompt_id for one in read.train] == ["a"]
    assert read.train[0].images[0].read() == picture(1)
    assert [one.prompt_id for one in read.heldout] == ["b"]
    assert list(read.cold_start) == []
