"""A tiny model, a batch that has everything in it, and trainers whose ranks are processes of this session."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Listener, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rl.data.batch import Batch
from rl.data.token_sequence import TokenSequence
from rl.families.family import load_family
from rl.recipe.trainer_config import ModelConfig, TrainerConfig
from rl.run.ray_session import free_port
from rl.trainer.rank_work import TrainerSetup
from sampler.vision_input import VisionInput

KEY = b"hone-tests"
ANSWER_WITHIN_S = 120.0  # ranks that wait for each other never answer
AFTER_AN_ERROR_S = 20.0  # the other ranks have so long to fail too, or to come to an end
EACH_ITS_OWN = (
    "logprobs",
    "values",
    "update",
)  # methods whose list arguments are handed out one element a rank


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights four times their usual size: logits that differ, pictures that matter, uneven routing."""
    from safetensors.torch import load_file, save_file

    path = tmp_path_factory.mktemp("tiny")
    load_family("qwen3_vl_moe").build_tiny(path, seed=3, corpus=["Which digit is the largest?"], sizes={})
    generator = torch.Generator().manual_seed(5)
    weights = {
        name: tensor * 4 if tensor.ndim > 1 else tensor + 0.1 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in load_file(path / "model.safetensors").items()
    }
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    return path


@dataclass(frozen=True)
class Sample:
    """One sequence as the reference implementation sees it: transformers' own inputs beside Hone's arrays."""

    inputs: dict[str, Any]
    learnt: torch.Tensor  # positions of the tokens learnt from
    index: slice  # where these lie in a flat column

    @property
    def token_ids(self) -> torch.Tensor:
        """[L]"""
        ids: torch.Tensor = self.inputs["input_ids"][0]
        return ids

    @property
    def targets(self) -> torch.Tensor:
        """The tokens learnt from."""
        return self.token_ids[self.learnt]

    def predictions(self, model: Any) -> torch.Tensor:
        """Logits that predict them, [tokens learnt from, vocabulary]."""
        logits: torch.Tensor = model(**self.given(model.dtype)).logits
        return logits[0, self.learnt - 1].clone()

    def given(self, dtype: torch.dtype) -> dict[str, Any]:
        """The inputs with pixels in ``dtype``."""
        return {
            name: value.to(dtype) if name.startswith("pixel_values") else value
            for name, value in self.inputs.items()
        }


def joined(*parts: dict[str, Any]) -> dict[str, Any]:
    """Inputs of parts of one sequence as inputs of the whole; a part may be tokens alone."""
    inputs: dict[str, Any] = {}
    for part in parts:
        text_only = {"mm_token_type_ids": torch.zeros_like(part["input_ids"])}
        for name, value in (text_only | part).items():
            along = 1 if value.ndim == 2 and name.endswith("_ids") else 0
            inputs[name] = torch.cat([inputs[name], value], dim=along) if name in inputs else value
    if not any(name.startswith("pixel_values") for name in inputs):
        del inputs["mm_token_type_ids"]
    return inputs | {"attention_mask": torch.ones_like(inputs["input_ids"])}


@dataclass(frozen=True)
class Case:
    """A batch and the same sequences for the reference."""

    batch: Batch
    samples: list[Sample]
    forbidden: list[int]
    vision_inputs: dict[str, tuple[VisionInput, ...]]


@pytest.fixture(scope="session")
def case(tiny_model: Path, video_file: Callable[..., bytes]) -> Case:
    """Five groups, no two prompts alike (none, one, two or three pictures of several sizes, two with a video), ragged
    responses, a mask with holes, advantages of both signs, KL coefficients that differ from sample to sample; and a
    sixth of two turns, between which a tool answers with words and a picture."""
    from transformers import AutoConfig, AutoProcessor

    processor = AutoProcessor.from_pretrained(tiny_model)
    config = AutoConfig.from_pretrained(tiny_model)
    forbidden = load_family("qwen3_vl_moe").forbidden_token_ids(processor.tokenizer, config)
    allowed = [i for i in range(len(processor.tokenizer)) if i not in forbidden]
    rng = np.random.default_rng(11)
    sequences, samples, start = [], [], 0
    shown: list[list[tuple[int, ...]]] = [[(32, 32)], [], [(48, 32), (16, 64)], [(64, 64)], [(16, 16)] * 3]
    shown[3].append((6, 32, 32))
    shown[2].insert(1, (9, 32, 48))
    for group, shapes in enumerate([*shown, [(32, 48)]]):
        text = "Which digit is the largest? " * (group + 1)
        prompt, vision_inputs = asked(processor, rng, shapes, text, video_file)
        tool, of_tool = asked(processor, rng, [(48, 16)], "Look closer.", video_file)
        for index in range((3, 2, 4, 1, 3, 2)[group]):
            parts, masks = [prompt], [np.zeros(prompt["input_ids"].shape[1])]
            for turn in range(1 if group < len(shown) else 2):
                if turn:
                    parts.append(tool)
                    masks.append(np.zeros(tool["input_ids"].shape[1]))
                response = rng.choice(allowed, size=(1, int(rng.integers(1, 14))))
                parts.append({"input_ids": torch.from_numpy(response)})
                masks.append((np.arange(response.size) != 2) | (response.size <= 3))
            mask = np.concatenate(masks).astype(np.float32)
            learnt, inputs = torch.from_numpy(mask).nonzero()[:, 0], joined(*parts)
            samples.append(Sample(inputs, learnt, slice(start, start + len(learnt))))
            start += len(learnt)
            sequences.append(
                TokenSequence(
                    f"r{group}-{index}",
                    f"p{group}",
                    samples[-1].token_ids.numpy().astype(np.int32),
                    mask,
                    columns={"advantages": rng.normal(size=len(mask)).astype(np.float32)},
                    scalars={"kl_coef": float(rng.uniform(0, 0.3)) * (index != 1)},
                    vision_inputs=vision_inputs + (of_tool if len(parts) > 2 else ()),
                )
            )
    batch = Batch.of(sequences)
    return Case(
        batch, samples, list(forbidden), dict(zip(batch.prompt_ids, batch.vision_inputs, strict=True))
    )


def asked(
    processor: Any,
    rng: np.random.Generator,
    shapes: list[tuple[int, ...]],
    text: str,
    video_file: Callable[..., bytes],
) -> tuple[dict[str, Any], tuple[VisionInput, ...]]:
    """A user's turn with pictures (height, width) and videos (frames, height, width) of noise: transformers' inputs."""
    given: dict[str, list[Any]] = {"images": [], "videos": [], "video_metadata": []}
    vision_inputs = []
    for shape in shapes:
        pixels = rng.integers(0, 255, (*shape, 3), dtype=np.uint8)
        if len(shape) == 2:
            given["images"].append(Image.fromarray(pixels))
            vision_inputs.append(VisionInput.of("image", png(given["images"][-1])))
        else:
            given["videos"].append(pixels)
            given["video_metadata"].append({"total_num_frames": len(pixels), "fps": 4.0})
            vision_inputs.append(VisionInput.of("video", video_file(pixels, fps=4.0)))
    content: list[dict[str, str]] = [{"type": visual.kind} for visual in vision_inputs]
    content.insert(len(vision_inputs) // 2, {"type": "text", "text": text})
    turn = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    filled = {name: value for name, value in given.items() if value}
    inputs = dict(processor(text=[turn], **filled, return_tensors="pt"))
    for name in ("video_metadata", "attention_mask"):
        inputs.pop(name, None)
    return inputs, tuple(vision_inputs)


def png(image: Image.Image) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    return encoded.getvalue()


class LocalRanks:
    """Stands where verl's `RayWorkerGroup` stands in a `Trainer`: hands calls to ranks and collects their results.

    Ranks that do not answer in time are ended, and the call fails. `pids` are theirs."""

    def __init__(self, connections: list[Connection], pids: list[int]) -> None:
        self.connections = connections
        self.pids = pids
        self.answer_within_s = ANSWER_WITHIN_S

    def __getattr__(self, method: str) -> Callable[..., list[Any]]:
        def call(*arguments: Any) -> list[Any]:
            for rank, connection in enumerate(self.connections):
                own = tuple(each[rank] for each in arguments) if method in EACH_ITS_OWN else arguments
                connection.send((method, own))
            answers = self.answers(method)
            for _, error in answers:
                assert error is None, error
            return [result for result, _ in answers]

        return call

    def answers(self, method: str) -> list[Any]:
        """One a rank. Raises: TimeoutError, once the ranks are ended, where one does not come in time; it tells what
        failed on another rank, for which this one waits."""
        deadline = time.monotonic() + self.answer_within_s
        answers: dict[int, Any] = {}
        while len(answers) < len(self.connections):
            waiting = {one: rank for rank, one in enumerate(self.connections) if rank not in answers}
            ready = wait(list(waiting), max(0.0, deadline - time.monotonic()))
            if not ready:
                self.end()
                errors = "".join(f"\nrank {rank}: {error}" for rank, (_, error) in answers.items() if error)
                late = ", ".join(map(str, sorted(waiting.values())))
                raise TimeoutError(
                    f"rank {late} did not answer {method} within {self.answer_within_s:g} s{errors}"
                )
            answers |= {waiting[one]: one.recv() for one in ready}
            if any(error for _, error in answers.values()):
                deadline = min(deadline, time.monotonic() + AFTER_AN_ERROR_S)
        return [answers[rank] for rank in range(len(self.connections))]

    def end(self) -> None:
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.pids = []

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


@pytest.fixture(scope="session")
def start_ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], LocalRanks]]:
    """Starts rank processes; the server that forks them has imported everything before."""
    directory = Path(tempfile.mkdtemp(prefix="hone-"))  # short: a Unix socket's path is
    log = (tmp_path_factory.mktemp("logs") / "ranks.log").open("wb")
    started: list[LocalRanks] = []
    with Listener(str(directory / "control"), authkey=KEY) as listener:
        server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("rank_server.py")), str(listener.address)],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        control = listener.accept()
    control.recv()

    def start(num_ranks: int) -> LocalRanks:
        port = free_port()
        connections, pids = [], []
        for rank in range(num_ranks):
            with Listener(str(directory / f"{len(started)}-{rank}"), authkey=KEY) as rank_listener:
                control.send(
                    (
                        {
                            "RANK": str(rank),
                            "LOCAL_RANK": str(rank),
                            "WORLD_SIZE": str(num_ranks),
                            "LOCAL_SIZE": str(num_ranks),
                            "MASTER_ADDR": "127.0.0.1",
                            "MASTER_PORT": str(port),
                        },
                        str(rank_listener.address),
                    )
                )
                connections.append(rank_listener.accept())
                pids.append(connections[-1].recv())
        started.append(LocalRanks(connections, pids))
        return started[-1]

    yield start
    for ranks in started:
        ranks.close()
    control.close()
    server.wait(timeout=60)
    log.close()


@pytest.fixture(scope="session")
def make_trainer(
    start_ranks: Callable[[int], LocalRanks], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Any]:
    """Makes a `Trainer` on the tiny model: `make_trainer(num_ranks, zero_stage=3, ...)`. ZeRO-3 partitions every
    parameter, unless `keeps_small` leaves it its threshold, under which all of the tiny model's lie."""
    from rl.trainer.trainer import Trainer

    def make(
        num_ranks: int = 1, *, dtype: str = "float32", keeps_small: bool = False, **settings: Any
    ) -> Any:
        if settings.get("zero_stage") == 3 and not keeps_small:
            whole = {"zero_optimization": {"stage3_param_persistence_threshold": 0}}
            settings["deepspeed"] = settings.get("deepspeed", {}) | whole
        config = TrainerConfig(
            ranks_per_node=num_ranks, **{"threads_per_rank": 1, "micro_batch_tokens": 256, **settings}
        )
        trainer = Trainer.__new__(Trainer)  # its own __init__ starts Ray
        trainer.config = config
        trainer._ranks = start_ranks(num_ranks)
        trainer.log_dir = tmp_path_factory.mktemp("log")
        setup = TrainerSetup(str(tiny_model), ModelConfig(dtype=dtype), config, str(trainer.log_dir))
        trainer.model_sizes = trainer._ranks.build(setup)[0]
        return trainer

    return make


@pytest.fixture
def new_trainer(make_trainer: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Trainers of one test, whose ranks end with it."""
    made: list[Any] = []

    def make(num_ranks: int = 1, **settings: Any) -> Any:
        made.append(make_trainer(num_ranks, **settings))
        return made[-1]

    yield make
    for each in made:
        each._ranks.close()


@pytest.fixture(scope="session")
def trainer(make_trainer: Callable[..., Any]) -> Callable[..., Any]:
    """The same trainer for the same settings, for tests that leave its weights alone (a learning rate of 0)."""
    made: dict[str, Any] = {}

    def get(num_ranks: int = 1, **settings: Any) -> Any:
        key = repr((num_ranks, sorted(settings.items())))
        if key not in made:
            made[key] = make_trainer(num_ranks, **settings)
        return made[key]

    return get
