"""The Ray actor around one `RolloutEngine`: a thread owns the engine, remote calls talk to that thread."""

from __future__ import annotations

import functools
import gc
import os
import pickle
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sampler.rollout import DroppedPrompt, Rollout, SamplingPlan
from sampler.vllm_pool.sampler_config import SamplerConfig

if TYPE_CHECKING:
    from sampler.prompt import Prompt
    from sampler.vllm_pool.rollout_engine import RolloutEngine

T = TypeVar("T")


@dataclass(frozen=True)
class WorkerInfo:
    """Who a worker is, once its engine runs."""

    pid: int


@dataclass(frozen=True)
class WorkerResults:
    """What one `exchange` brings back: finished groups (rollouts in index order) and prompts dropped by rule."""

    groups: tuple[tuple[Rollout, ...], ...]
    dropped: tuple[DroppedPrompt, ...]


@dataclass(frozen=True)
class WeightState:
    """The weights a worker serves: its checkpoint's, unless there are the calls that brought it to newer ones."""

    policy_version: int
    init_info: dict[str, Any] | None = None
    update_info: Any = None


class RolloutWorker:
    """One vLLM replica.

    `exchange` is the only call a sampling step needs: it hands over new prompts, waits until at least one group is
    finished, and returns everything finished so far. The engine works on while no call is under way. Prompts are
    rendered in the calling thread; all else that touches the engine runs in the engine's thread, between two steps.
    An error of the engine is raised by every later call: the worker is then of no further use.
    """

    def __init__(self, model_path: str, config: SamplerConfig, log_path: str, pooling: bool = False) -> None:
        redirect_output(log_path)
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._state = threading.Condition()
        self._finished: list[tuple[Rollout, ...]] = []
        self._num_in_flight = 0
        self._failure: BaseException | None = None
        self._weights = WeightState(policy_version=0)
        self._engine: RolloutEngine | None = None
        self._checkpoint_is_there = threading.Event()
        self._started: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._own_engine, args=(model_path, config, pooling), daemon=True
        )
        self._thread.start()

    def start(self, weights: WeightState) -> WorkerInfo:
        """Wait for the engine and bring it to `weights`; raises what its construction raised."""
        self._checkpoint_is_there.set()
        self._started.result()
        self._in_engine_thread(lambda: self._running_engine().set_policy_version(weights.policy_version))
        self._weights = WeightState(weights.policy_version)
        if weights.init_info is not None:
            self.init_weight_transfer_engine(weights.init_info)
        if weights.update_info is not None:
            self.start_weight_update()
            self.update_weights(weights.update_info)
            self.finish_weight_update(weights.policy_version)
        return WorkerInfo(os.getpid())

    def exchange(self, prompts: Sequence[Prompt], plan: SamplingPlan) -> WorkerResults:
        """Take `prompts`, wait for a finished group if any group is in flight, return all that are finished."""
        engine = self._running_engine()
        dropped = []
        for prompt in prompts:
            rendered = engine.render(prompt)
            reason = engine.why_dropped(rendered, plan)
            if reason is not None:
                dropped.append(reason)
                continue
            with self._state:
                self._num_in_flight += 1
            # One at a time: the engine starts on the first prompt while the second is rendered.
            self._commands.put(functools.partial(engine.add, rendered, plan, plan.indices_for(prompt)))
        with self._state:
            self._state.wait_for(
                lambda: self._finished or self._failure or not self._num_in_flight or dropped
            )
            self._raise_failure()
            groups, self._finished = tuple(self._finished), []
            self._num_in_flight -= len(groups)
        return WorkerResults(groups, tuple(dropped))

    def cancel(self) -> None:
        """Forget all prompts handed over; used when a sampling call is given up half-way."""

        def forget() -> None:
            self._running_engine().abort_all()
            with self._state:
                self._finished.clear()
                self._num_in_flight = 0
                self._state.notify_all()

        self._in_engine_thread(forget)

    # vLLM's weight-sync calls, as `VLLMWeightSyncClient` names them

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        self._in_engine_thread(lambda: self._running_engine().init_weight_transfer_engine(init_info))
        self._weights = WeightState(self._weights.policy_version, init_info, self._weights.update_info)

    def start_weight_update(self) -> None:
        self._in_engine_thread(lambda: self._running_engine().start_weight_update())

    def update_weights(self, update_info: Any) -> None:
        self._in_engine_thread(lambda: self._running_engine().update_weights(update_info))
        self._weights = WeightState(self._weights.policy_version, self._weights.init_info, update_info)

    def finish_weight_update(self, policy_version: int) -> None:
        self._in_engine_thread(lambda: self._running_engine().finish_weight_update(policy_version))
        self._weights = WeightState(policy_version, self._weights.init_info, self._weights.update_info)

    def weight_state(self) -> WeightState:
        return self._weights

    def weight_checksums(self, dtype: str) -> list[dict[str, int]]:
        return self._in_engine_thread(lambda: self._running_engine().weight_checksums(dtype))

    def stop(self) -> None:
        self._in_engine_thread(lambda: self._running_engine().shutdown())

    # The engine's thread

    def _own_engine(self, model_path: str, config: SamplerConfig, pooling: bool) -> None:
        try:
            gc.disable()  # it would take a fifth of the time of these imports
            # They import vLLM: the environment must be complete by now.
            from sampler.vllm_pool.pooling_engine import PoolingEngine
            from sampler.vllm_pool.rollout_engine import RolloutEngine, import_vllm

            import_vllm()
            self._checkpoint_is_there.wait()
            self._engine = (PoolingEngine if pooling else RolloutEngine)(model_path, config)
            gc.freeze()  # what start-up left behind is never garbage: keep the collector out of it
            gc.enable()
        except BaseException as error:  # noqa: BLE001 - kept, and raised by the call that waits for it
            self._failure = travelling(error)
            self._started.set_exception(self._failure)
            return
        self._started.set_result(None)
        try:
            while True:
                self._run_commands(self._engine)
                if self._engine.has_unfinished and (groups := self._engine.step()):
                    with self._state:
                        self._finished += groups
                        self._state.notify_all()
        except BaseException as error:
            with self._state:
                self._failure = error
                self._state.notify_all()
            raise

    def _run_commands(self, engine: RolloutEngine) -> None:
        """Run what was asked in the meantime; with nothing to sample, wait for it."""
        while True:
            try:
                command = self._commands.get(block=not engine.has_unfinished)
            except queue.Empty:
                return
            command()
            if self._commands.empty():
                return

    def _in_engine_thread(self, function: Callable[[], T]) -> T:
        """Call `function` between two steps and return its result or raise its error here."""
        self._running_engine()
        outcome: Future[T] = Future()

        def run() -> None:
            try:
                outcome.set_result(function())
            except Exception as error:  # noqa: BLE001 - raised in the calling thread
                outcome.set_exception(error)

        self._commands.put(run)
        return outcome.result()

    def _running_engine(self) -> RolloutEngine:
        self._started.result()
        self._raise_failure()
        assert self._engine is not None
        return self._engine

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise RuntimeError(f"the rollout engine failed: {self._failure!r}") from self._failure


def travelling(error: BaseException) -> BaseException:
    """The error, or its words in one that pickles: some of vLLM's and pydantic's would not reach the caller."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - its own words
    except Exception:  # noqa: BLE001 - whatever its own __reduce__ raises
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def redirect_output(log_path: str) -> None:
    """Send everything this process prints, C++ included, to the end of a log file."""
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
