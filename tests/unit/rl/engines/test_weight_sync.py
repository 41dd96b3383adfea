"""What a proof of a weight sync lets pass and what it stops, by dtype."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recipes.settings.recipe_file import load_recipe
from rl.engines.probe_pictures import odd_pictures
from rl.engines.weight_sync import BFLOAT16, FLOAT32, SyncError, Tolerance, WeightSync
from rl.experience.step_metrics import Mismatch
from rl.recipe.run_config import SyncConfig
from sampler.prompt import Prompt
from verifiers.errors import HoneError

NUM_TOKENS = 128  # what the recipe's default probe compares


def apart(difference: Any) -> Mismatch:
    sampled = np.full(len(difference), -3.0, np.float32)
    return Mismatch.between(sampled, sampled + np.asarray(difference, np.float32))


def noise(scale: float, num: int = NUM_TOKENS, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0.0, scale, num)


def test_the_tolerance_is_the_dtype_s_unless_the_recipe_gives_one() -> None:
    assert Tolerance.of(SyncConfig(), "float32", "float32") == FLOAT32
    assert Tolerance.of(SyncConfig(), "bfloat16", "bfloat16") == BFLOAT16
    assert Tolerance.of(SyncConfig(), "float32", "bfloat16") == BFLOAT16
    given = Tolerance.of(SyncConfig(tolerance=1e-4), "bfloat16", "bfloat16")  # as recipes before wrote it
    assert given == Tolerance(max_difference=1e-4)
    seed_vl = load_recipe("seed_vl")
    assert Tolerance.of(seed_vl.sync, seed_vl.model.dtype, seed_vl.sampler.dtype) == BFLOAT16


def test_float32_lets_rounding_pass_and_no_more() -> None:
    assert not FLOAT32.exceeded_by(apart(noise(2e-5)))
    assert "largest" in FLOAT32.exceeded_by(apart([0.0] * (NUM_TOKENS - 1) + [2e-4]))


@pytest.mark.parametrize("seed", range(20))
def test_bfloat16_lets_rounding_and_changed_experts_pass(seed: int) -> None:
    """As measured (see `Tolerance`): median 0.05 at 48 layers, and a token in a hundred with other experts."""
    rounded = noise(0.05 / 0.6745, seed=seed)  # the median of a normal variable's size
    assert not BFLOAT16.exceeded_by(apart(rounded))
    rounded[:2] += [1.0, -1.5]
    assert not BFLOAT16.exceeded_by(apart(rounded))


@pytest.mark.parametrize("seed", range(20))
def test_bfloat16_stops_a_sync_that_did_not_arrive(seed: int) -> None:
    """As measured on weights that moved by 3% of their spread and were not sent: median 0.16."""
    assert "median" in BFLOAT16.exceeded_by(apart(noise(0.16 / 0.6745, seed=seed)))


def test_not_a_number_is_too_large() -> None:
    for tolerance in (FLOAT32, BFLOAT16):
        assert tolerance.exceeded_by(apart([float("nan")] * 4))


def sync_of(both: Any, probe: list[Prompt]) -> WeightSync:
    """``both`` stands for trainer and sampler."""
    return WeightSync(
        SyncConfig(prove="every_stage"),
        both,
        both,
        probe,
        tolerance=FLOAT32,
        dtype="float32",
        forbidden_token_ids=(),
        seed=1,
    )


@pytest.mark.parametrize(
    ("num_deaths", "num_dead", "sends"),
    [(0, 1, 1), (1, 1, 2), (2, 1, 3), (3, 1, 3), (1, 0, 1)],
    ids=["none", "once", "twice", "always", "a fault that killed nobody"],
)
def test_a_sync_is_done_again_while_workers_die(num_deaths: int, num_dead: int, sends: int) -> None:
    class Pool:
        num_inference_ranks, config = 1, SimpleNamespace(weight_transfer_backend="shared_memory")
        sent, committed = 0, 0

        def weight_sync_client(self, policy_version: int) -> None: ...

        def send_weights(self, *_: Any) -> None:
            self.sent += 1
            if self.sent <= num_deaths:
                raise HoneError("every rollout worker died during the weight sync")

        def commit_weights(self, policy_version: int) -> None:
            self.committed = policy_version

        def revive(self) -> int:
            return num_dead

    pool = Pool()
    if num_deaths == sends:
        with pytest.raises(HoneError, match="every rollout worker died"):
            sync_of(pool, []).sync(7)
    else:
        sync_of(pool, []).sync(7)
        assert pool.committed == 7
    assert pool.sent == sends


def test_the_proof_before_a_run_asks_for_odd_pictures_too() -> None:
    """And is asked of the sampler beside the probe, each under an id of its own."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 4), "red").save(buffer, "PNG")
    shown = Prompt.build(
        messages=[{"role": "user", "content": [{"type": "image"}]}], images=[buffer.getvalue()]
    )
    asked: list[Prompt] = []

    class Sampler:
        def sample(self, prompts: list[Prompt], plan: Any) -> list[Any]:
            asked.extend(prompts)
            return []

        def weight_checksums(self, *_: str) -> dict[str, int]:
            return {}

    sync = sync_of(Sampler(), [shown])
    with pytest.raises(SyncError, match="no probe prompt fits"):
        sync.prove(*odd_pictures([shown]))
    named = [prompt.prompt_id.removeprefix(shown.prompt_id) for prompt in asked]
    assert named == ["", "-turned", "-clear", "-16-bit"]
    assert {prompt.pil_images()[0].size for prompt in asked} == {(8, 4)}
