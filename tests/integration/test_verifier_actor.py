"""Judging on the nodes of a Ray cluster: right ids, bounded queues, and a dead actor costs no verdict."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
import ray

from rl.experience.judge import verifier_service
from rl.experience.verifier_actor import ActorPool, judge_in_actor
from rl.recipe.judging_config import JudgingConfig
from verifiers.answer import FinalAnswer
from verifiers.case import Case
from verifiers.service.service import VerifierService


@pytest.fixture
def service(ray_session: None) -> Iterator[VerifierService]:
    with VerifierService.over(ActorPool(num_workers=1, timeout_s=20)) as running:
        yield running


def case(index: int, answer: str | None = None) -> Case:
    return Case(f"case {index}", "math", {}, str(index), FinalAnswer(answer or f"\\boxed{{{index}}}"))


def test_every_case_comes_back_under_its_id(service: VerifierService) -> None:
    cases = [case(i, None if i % 3 else "\\boxed{-1}") for i in range(1, 500)]
    verdicts = service.judge_many(cases)
    assert {name: verdict.score for name, verdict in verdicts.items()} == {
        f"case {i}": float(i % 3 != 0) for i in range(1, 500)
    }


def test_a_killed_actor_is_restarted_and_its_cases_are_judged(service: VerifierService) -> None:
    assert service.judge_many([case(1)])["case 1"].score == 1.0
    workers = service.worker_pids()
    actor = service._pool._nodes[0].actor
    verdicts: dict = {}
    judging = threading.Thread(
        target=lambda: verdicts.update(service.judge_many(case(i) for i in range(3000)))
    )
    judging.start()
    time.sleep(0.2)
    ray.kill(actor, no_restart=False)
    judging.join(120)
    assert len(verdicts) == 3000
    assert {verdict.score: verdict.reason for verdict in verdicts.values()}.keys() == {1.0}
    deadline = time.monotonic() + 30
    while any(_alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_alive(pid) for pid in workers), "the dead actor's workers outlived it"


def test_cases_wait_until_a_killed_actor_is_back(service: VerifierService) -> None:
    service.judge_many([case(1)])
    ray.kill(service._pool._nodes[0].actor, no_restart=False)
    verdicts = service.judge_many(case(i) for i in range(200))
    assert [name for name, verdict in verdicts.items() if verdict.score != 1.0] == []


def test_a_killed_worker_costs_only_its_own_case(service: VerifierService) -> None:
    service.judge_many([case(1)])
    os.kill(service.worker_pids()[0], signal.SIGKILL)
    verdicts = service.judge_many(case(i) for i in range(50))
    assert sum(verdict.score == 1.0 for verdict in verdicts.values()) == 50


def test_what_is_not_json_and_what_is_unknown_are_errors_not_scores(service: VerifierService) -> None:
    odd = Case("odd", "math", {}, object(), FinalAnswer("1"))
    unknown = Case("unknown", "mth", {}, "1", FinalAnswer("1"))
    verdicts = service.judge_many([odd, unknown])
    assert [verdicts[name].code for name in ("odd", "unknown")] == ["not_json", "bad_verifier"]
    assert all(verdict.score is None for verdict in verdicts.values())


def test_closing_ends_the_processes(ray_session: None) -> None:
    service = VerifierService.over(ActorPool(num_workers=1, timeout_s=20))
    service.judge_many([case(1)])
    pids = service.worker_pids()
    service.close()
    deadline = time.monotonic() + 30
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_alive(pid) for pid in pids)
    with pytest.raises(RuntimeError, match="closed"):
        service.submit(case(2))


def test_a_recipe_chooses_it_and_the_conformance_kit_uses_it(ray_session: None) -> None:
    with verifier_service(JudgingConfig(per_node=True)) as service:
        assert service.judge_many([case(7)])["case 7"].score == 1.0
    assert judge_in_actor(case(8)).score == 1.0


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
