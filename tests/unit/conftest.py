"""A tiny Qwen3-VL-MoE with strong random weights, and makers of prompts, rollouts and judged rollouts."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rl.experience.judge import JudgedRollout, Reward
from sampler.prompt import Prompt
from sampler.rollout import FinishReason, Rollout, Turn
from verifiers.answer import FinalAnswer
from verifiers.verdict import Verdict

CORPUS = ["What is the sum of the digits?", "<think>3+5</think>\\boxed{8}"]


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights four times their usual size: logits that differ and pictures that matter."""
    from safetensors.torch import load_file, save_file

    from rl.families.family import load_family

    path = tmp_path_factory.mktemp("tiny")
    load_family("qwen3_vl_moe").build_tiny(path, seed=1, corpus=CORPUS, sizes={})
    weights = load_file(path / "model.safetensors")
    save_file(
        {name: tensor * (4 if tensor.ndim > 1 else 1) for name, tensor in weights.items()},
        path / "model.safetensors",
        metadata={"format": "pt"},
    )
    return path


@pytest.fixture(scope="session")
def tiny(hub: Path) -> Any:
    """Family, model (float32, evaluation) and processor of the tiny checkpoint."""
    import torch
    from transformers import AutoProcessor

    from rl.families.family import load_family

    family = load_family("qwen3_vl_moe")
    model = family.load_model(hub, dtype=torch.float32, attention="sdpa").eval()
    processor = AutoProcessor.from_pretrained(hub)
    return SimpleNamespace(
        family=family,
        model=model,
        processor=processor,
        hub=hub,
        forbidden=family.forbidden_token_ids(processor.tokenizer, model.config),
    )


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    def make(seed: int, height: int = 32, width: int = 32) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "PNG")
        return encoded.getvalue()

    return make


@pytest.fixture(scope="session")
def frames() -> Callable[..., np.ndarray]:
    """Random frames of a video, [n, height, width, 3] RGB."""

    def make(seed: int, num_frames: int = 6, height: int = 32, width: int = 32) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return rng.integers(0, 255, (num_frames, height, width, 3), dtype=np.uint8)

    return make


@pytest.fixture(scope="session")
def prompt() -> Callable[..., Prompt]:
    def make(name: str, **fields: Any) -> Prompt:
        given = {"verifier": "string", "reference": "8", "prompt_id": name, **fields}
        content = [{"type": "image"} for _ in given.get("images", ())] + [
            {"type": "text", "text": f"Question {name}"}
        ]
        return Prompt.build(messages=[{"role": "user", "content": content}], **given)

    return make


@pytest.fixture(scope="session")
def rollout() -> Callable[..., Rollout]:
    def make(
        of: Prompt,
        index: int,
        text: str = "<think>3+5</think>8",
        *,
        length: int = 3,
        finish_reason: FinishReason = "stop",
        **fields: Any,
    ) -> Rollout:
        turn = Turn(
            np.arange(5, dtype=np.int32),
            np.arange(length, dtype=np.int32),
            -np.arange(length, dtype=np.float32),
            finish_reason,
            ((0, length),),
        )
        given = {
            "rollout_id": f"rl-0-{of.prompt_id}-{index}",
            "prompt_id": of.prompt_id,
            "index": index,
            "turns": (turn,),
            "text": text,
            **fields,
        }
        return Rollout(**given)

    return make


@pytest.fixture(scope="session")
def judged(rollout: Callable[..., Rollout]) -> Callable[..., JudgedRollout]:
    def make(
        of: Prompt, index: int, value: float | None, *, status: str = "ok", length: int = 3
    ) -> JudgedRollout:
        answer = FinalAnswer("8", status)
        verdict = None
        if status == "ok":
            verdict = (
                Verdict.scored(value, "compared", "compared")
                if value is not None
                else Verdict.failed("timeout", "took too long")
            )
        return JudgedRollout(of, rollout(of, index, length=length), "", answer, Reward(value, verdict))

    return make


class ChatServer:
    """A chat endpoint in this process. `reply(body, number)` gives (status, JSON or bytes[, headers]); the body and
    headers of every request are kept."""

    def __init__(self, reply: Callable[..., Any]) -> None:
        self.reply = reply
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.lock:
                    outer.bodies.append(json.loads(raw))
                    outer.headers.append(dict(self.headers))
                    number = len(outer.bodies)
                status, data, *more = outer.reply(json.loads(raw), number)
                payload = data if isinstance(data, bytes) else json.dumps(data).encode()
                try:
                    self.send_response(status)
                    for name, value in (more[0] if more else {}).items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(payload)))
                    self.end_headers()
                    self.wfile.write(payload)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the judge gave up waiting

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def chat_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ChatServer]]:
    """chat_server(reply) -> a running server, closed at the end."""
    monkeypatch.setenv("NO_PROXY", "*")
    opened: list[ChatServer] = []

    def start(reply: Callable[..., Any]) -> ChatServer:
        opened.append(ChatServer(reply))
        return opened[-1]

    yield start
    for server in opened:
        server.close()
