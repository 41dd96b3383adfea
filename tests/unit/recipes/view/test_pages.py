"""Flips, curves, rollouts, tokens and what the model sees."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recipes.view.opened import Opened
from recipes.view.pages.patches import unpatched
from recipes.view.pages.rollout_page import PAGE_SIZE, RolloutFilter, rollout_page
from recipes.view.pages.token_page import token_page

NumFound = Callable[[str], int]


def badges(page: str) -> set[str]:
    return {words.split(maxsplit=1)[1] for words in re.findall(r'<span class="badge">([^<]*)</span>', page)}


def test_rollouts_open_at_the_best_policy(whole: Any, num_found: NumFound) -> None:
    page = whole.show("/rollouts")
    assert num_found(page) == 24 * 4 and "<option selected>10-evaluate-r1</option>" in page
    assert page.count("<article") == PAGE_SIZE == page.count('src="data:image/png;base64,')


def test_paging_shows_every_rollout_once(whole: Any) -> None:
    seen: list[str] = []
    path = "/rollouts?stage=03-evaluate-r0"
    while path:
        status, page, _ = whole.ask(path)
        assert status == 200
        seen += re.findall(r"attempt (\d+) · \d+ tokens", page)
        following = re.search(r'href="([^"]*)">next →', page)
        path = following[1].replace("&amp;", "&") if following else ""
    assert len(seen) == 24 * 4
    assert {seen.count(index) for index in "0123"} == {24}


def test_rollout_filters_narrow_and_add_up(whole: Any, num_found: NumFound) -> None:
    def num(**query: object) -> int:
        return num_found(whole.show("/rollouts", stage="03-evaluate-r0", **query))

    assert [num(type=name) for name in ("sum", "largest", "count", "where")] == [24] * 4
    assert badges(whole.show("/rollouts", verdict="right")) == {"right"}
    assert num(verdict="right") == num(min_reward=1) == num(min_reward=0.5)
    assert num(verdict="right") + num(max_reward=0) == 24 * 4
    groups = {how: num(attempts=how) for how in ("sometimes", "always", "never")}
    assert sum(groups.values()) == 24 * 4 and all(count % 4 == 0 for count in groups.values())
    assert "right" not in badges(whole.show("/rollouts", stage="03-evaluate-r0", attempts="never"))


@pytest.mark.parametrize(
    "names", [["step-00000", "step-00001", "step-00002"], ["step-00000-00001", "step-00002"]]
)
def test_a_step_is_found_in_compacted_shards_too(run_maker: Any, names: list[str]) -> None:
    folder = run_maker.run / "rollouts" / "02-rl-r0"
    folder.mkdir(parents=True)
    for name in names:
        first, last = int(name.split("-")[1]), int(name.split("-")[-1])
        rows = [run_maker.row(step=step, index=i) for step in range(first, last + 1) for i in range(step + 1)]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    snapshot = Opened([run_maker.run]).snapshot()
    place = snapshot.places["digits"]
    assert rollout_page(snapshot, place, RolloutFilter()).num == 6
    assert [rollout_page(snapshot, place, RolloutFilter(step=step)).num for step in range(4)] == [1, 2, 3, 0]


def test_a_point_of_a_curve_leads_to_its_rollouts(whole: Any) -> None:
    page = whole.show("/curves")
    assert '<a href="/rollouts?run=digits&amp;stage=05-evaluate-r0"><rect class="hit"' in page
    assert "10-evaluate-r1 (best)" in page


def test_of_an_sft_the_validated_steps_alone_lead_to_rollouts(
    run_maker: Any, browse: Callable[..., Any]
) -> None:
    stage = run_maker.next_name("sft")
    folder = run_maker.run / "rollouts" / stage
    folder.mkdir(parents=True)
    for step in range(4):
        validated = {"validation__pass_at_1": 0.5} if step % 2 else {}
        run_maker.metrics(stage, 0, step, train__loss=1.0 - step / 10, **validated)
        if validated:
            pq.write_table(
                pa.Table.from_pylist([run_maker.row(stage=stage, step=step)]),
                folder / f"step-{step:05}.parquet",
            )
    with browse(run_maker.run) as browser:
        page = browser.show("/curves")
        linked = re.findall(rf'<a href="/rollouts\?run=digits&amp;stage={stage}&amp;step=(\d+)">', page)
        assert "SFT loss" in page and set(linked) == {"1", "3"}


def test_flips_go_both_ways(whole: Any) -> None:
    def counted(page: str) -> tuple[int, ...]:
        found = re.search(
            r"(\d+) prompts? that .*? (\d+) the other way; (\d+) stayed right, (\d+) wrong", page
        )
        assert found is not None
        return tuple(map(int, found.groups()))

    forth = whole.show("/flips")  # from the cold start to the best policy
    assert "exact McNemar test" in forth and "round 0 SFT" in forth
    lost, gained, right, wrong = counted(forth)
    assert lost + gained + right + wrong == 24 and gained > lost
    back = whole.show("/flips", before="10-evaluate-r1", after="03-evaluate-r0")
    assert counted(back) == (gained, lost, right, wrong)
    assert whole.show("/flips", way="gained").count("<article") == min(gained, 12)
    assert "Two evaluated policies are needed" in whole.show("/flips", before="10-evaluate-r1")


def test_tokens_show_what_the_log_keeps(run_maker: Any) -> None:
    numbers = {
        "sample_logprobs": [-1.0, -2.0],
        "trainer_logprobs": [-1.5, -2.0],
        "advantages": [0.5, float("nan")],
    }
    row = run_maker.row(rollout_id="a/b", prompt_id="p", response="ab", **numbers, tags=["t"], reward=1.0)
    folder = run_maker.run / "rollouts" / "02-rl-r0"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([row]), folder / "step-00000.parquet")
    snapshot = Opened([run_maker.run]).snapshot()
    place = snapshot.places["digits"]
    page = token_page(snapshot, place, "p", "a/b")
    assert page is not None and [token.text for token in page.tokens] == ["[0]", "[1]"]
    assert [token.values["difference"] for token in page.tokens] == [-0.5, 0.0]
    assert page.tokens[0].strength("difference") == -1.0 and page.tokens[1].values["advantages"] is None
    assert "No tokenizer" in page.note
    assert token_page(snapshot, place, "p", "another") is None


def test_patches_are_put_together_as_the_processor_took_them_apart() -> None:
    from PIL import Image
    from transformers import Qwen2VLImageProcessor

    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    processor = Qwen2VLImageProcessor(
        patch_size=4, merge_size=2, temporal_patch_size=2, do_resize=False, do_normalize=False
    )
    output = processor(images=[Image.fromarray(pixels)], return_tensors="np")
    grid = output["image_grid_thw"][0]
    shown = unpatched(output["pixel_values"], (int(grid[0]), int(grid[1]), int(grid[2])), 4, 2)
    assert np.abs(shown[0] * 255 - pixels.transpose(2, 0, 1)).max() < 1e-2


def test_without_a_policy_nothing_can_be_seen(whole: Any) -> None:
    page = whole.show("/prompts", run="digits")
    found = re.search(r'data-id="(\w+)"', page)
    assert found is not None
    assert "no policy of this run has its processor" in whole.show("/seen", run="digits", id=found[1])


def test_a_film_has_a_time_line(
    run_maker: Any, browse: Any, write_prompts: Any, video_file: Callable[..., bytes]
) -> None:
    from sampler.prompt import Prompt

    parts = [{"type": "video"}, {"type": "text", "text": "When?"}]
    asked = Prompt(
        "film", ({"role": "user", "content": parts},), verifier="temporal_iou", reference="0.1 - 0.3"
    )
    train = run_maker.run / "stages" / "00-prepare" / "data" / "train.parquet"
    write_prompts(train, [asked], videos=[video_file(np.zeros((11, 32, 32, 3), np.uint8))])
    row = run_maker.row(
        prompt_id="film", verifier="temporal_iou", answer="0.2 - 0.3", reward=0.5, policy_version=1
    )
    folder = run_maker.run / "rollouts" / "02-rl-r0"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([row | {"tags": ["t"]}]), folder / "step-00000.parquet")
    with browse(run_maker.run) as browser:
        page = browser.show("/prompt", of="digits", id="film")
        assert 'class="film-line"' in page and "0.1 to 0.3 s" in page
        assert "0.2 to 0.3 s: IoU 0.50" in page
        assert browser.bytes("/picture?run=digits&id=film&kind=video").startswith(b"\x89PNG")
