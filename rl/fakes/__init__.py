"""Engines that compute nothing: stages, programs, algorithms and judges are tested with them in milliseconds.

They keep the contracts of the real ones, so what a test of yours finds holds there too: rollouts come in another order
than asked for, depend on the seed of their plan alone and carry the policy's version; a checkpoint that is loaded
brings back what was saved; weights are worth nothing but differ as soon as one update does.

    engines = fake_engines(sampler=FakeSampler(answers={"p1": "<think>1+1</think>2"}))
    run_program(recipe, run, display, program, make_engines=engines)
"""

from rl.fakes.engines import FakeEngines, fake_engines
from rl.fakes.judging import FakeJudge, FakeScorer, longer_wins
from rl.fakes.sampler import FakeSampler, Respond, half_right
from rl.fakes.trainer import WEIGHTS_FILE, FakeHeldBatch, FakeTrainer

__all__ = [
    "WEIGHTS_FILE",
    "FakeEngines",
    "FakeHeldBatch",
    "FakeJudge",
    "FakeSampler",
    "FakeScorer",
    "FakeTrainer",
    "Respond",
    "fake_engines",
    "half_right",
    "longer_wins",
]
