"""What the peer is given and how it is spoken to; TRL itself is not here."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recipes.benchmarks import peer_trl
from recipes.benchmarks.peer_trl import BesidePeer, Peer, dataset, judged
from sampler.prompt import Prompt


def test_the_peer_is_rewarded_by_the_same_verifiers() -> None:
    """A broken format is worth 0, as in Hone."""
    asked = [{"role": "user", "content": [{"type": "text", "text": "3 + 5?"}]}]
    prompt = Prompt.build(messages=asked, verifier="number", reference="8")
    row = dataset([prompt])[0]
    said = ["<think>3+5</think>8", "<think>3+5</think>9", "8</think>", "<think>8"]
    completions = [[{"role": "assistant", "content": text}] for text in said]
    kept: list[float] = []
    given: Any = [row["judge"]] * len(said)
    assert judged(kept)(prompts=None, completions=completions, judge=given) == kept == [1.0, 0.0, 0.0, 0.0]


def test_a_step_is_asked_for_and_an_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "fake_peer.py"
    module.write_text(
        "import sys\nsys.stdin.readline()\nprint(2.5, 0.75, flush=True)\nsys.stdin.readline()\n"
    )
    monkeypatch.setattr(peer_trl, "__name__", "fake_peer")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    setting: Any = SimpleNamespace(output=tmp_path)
    with Peer(Path(sys.executable), setting, tmp_path / "log") as peer:
        assert peer.step() == (2.5, 0.75)
        with pytest.raises(RuntimeError, match="TRL's process has ended with 0"):
            peer.step()


def test_the_figure_is_of_pairs() -> None:
    beside = BesidePeer([2.0, 4.0, 1.0], [6.0, 8.0, 4.0], [0.5] * 3, [0.5] * 3)
    assert "ratios 3.00 (2.00 to 4.00)" in str(beside)
