"""How much of a reward model's scoring hides behind generation: scored as rollouts finish, beside scored afterwards.

The policy, the reward model and the prompts are those of a finished hybrid run. Policy and reward model have workers of
their own, as on a cluster; on a machine where they share cores, nothing can hide: give each as many threads as it has.

    hone bench scoring runs/hybrid_cpu
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from recipes.benchmarks.hybrid_run import HybridRun
from rl.engines.engines import Engines
from rl.experience.judge import Judge, judging_order
from rl.experience.prompt_source import UniformSource
from sampler.rollout import RolloutGroup


@dataclass(frozen=True)
class OneStep:
    """Seconds until the last rollout, seconds that judging then took, and how many judgements were still out."""

    generate_s: float
    wait_s: float
    num_late: int
    num_scored: int


@dataclass(frozen=True)
class Scoring:
    """Interleaved steps of either kind, and the latency of one comparison alone in seconds."""

    apart: list[OneStep]
    together: list[OneStep]
    alone_s: float

    @property
    def hidden_frac(self) -> float:
        """(generation + scoring - both at once) / scoring, of medians: 1 when scoring costs no time at all."""
        generate, score = (_median(self.apart, name) for name in ("generate_s", "wait_s"))
        return (generate + score - self.step_s) / score

    @property
    def step_s(self) -> float:
        """Median seconds of a step that scores while it generates."""
        return statistics.median(one.generate_s + one.wait_s for one in self.together)

    def __str__(self) -> str:
        apart, together = self.apart, self.together
        scored = statistics.median(one.num_scored for one in together)
        late = statistics.median(one.num_late for one in together)
        return (
            f"Scoring behind generation: medians of {len(together)} steps of each kind, {scored:.0f} scores a step\n"
            f"  one after the other   generation {_median(apart, 'generate_s'):6.3f} s, "
            f"then scoring {_median(apart, 'wait_s'):6.3f} s\n"
            f"  at the same time      generation {_median(together, 'generate_s'):6.3f} s, "
            f"then waiting {_median(together, 'wait_s'):6.3f} s for {late:.0f} judgements\n"
            f"  hidden: {self.hidden_frac:.0%} of the scoring; one comparison alone takes {self.alone_s:.3f} s"
        )


def _median(steps: list[OneStep], name: str) -> float:
    return statistics.median(getattr(one, name) for one in steps)


def measure_scoring(run: HybridRun, *, num_runs: int, log_dir: Path) -> Scoring:
    """Steps of RL's size with the run's prompts, each other prompts, in turn one way and the other."""
    with run.engines(log_dir) as engines:
        engines.start({"sampler", "judge"})
        judge, steps = engines.judge, _steps(run, engines)
        for warming_up in (False, True):
            _step(judge, next(steps), together=warming_up)
        apart, together = [], []
        for _ in range(num_runs):
            apart.append(_step(judge, next(steps), together=False))
            together.append(_step(judge, next(steps), together=True))
        return Scoring(apart, together, _alone(judge, list(next(steps)), num_runs))


def _steps(run: HybridRun, engines: Engines) -> Iterator[Iterator[RolloutGroup]]:
    """The rollouts of one step after the other, not yet begun."""
    config = run.recipe.rl
    source = UniformSource.of(run.data.train, config, seed="bench scoring")
    for step in count():
        prompts = source.draw(config.rollouts_per_step or config.prompts_per_step)
        plan = engines.plan(
            num_samples=config.samples_per_prompt,
            num_samples_by_kind={"general": config.samples_per_general_prompt},
            max_response_tokens=config.max_response_tokens,
            step=step,
            stage="bench scoring",
        )
        yield engines.sampler.sample(judging_order(prompts), plan)


def _step(judge: Judge, groups: Iterator[RolloutGroup], *, together: bool) -> OneStep:
    start = time.perf_counter()
    generated_s = 0.0
    if not together:
        finished = list(groups)
        generated_s = time.perf_counter() - start
        groups = iter(finished)
    judged = judge.judge(groups)
    seconds = time.perf_counter() - start
    num_scored = sum(one.reward.score is not None for one in judged.rollouts)
    generate_s = generated_s or seconds - judged.wait_s
    return OneStep(generate_s, seconds - generate_s, judged.num_late, num_scored)


def _alone(judge: Judge, groups: list[RolloutGroup], num_runs: int) -> float:
    """Median seconds from handing in one rollout to its score, with nothing else under way."""
    general = [group for group in groups if group.prompt.verifier is None][:num_runs]
    return statistics.median(_step(judge, iter([group]), together=False).wait_s for group in general)
