"""`hone prompts` on a run made by hand: what it prints, what it writes, and what it says when it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recipes.cli import main
from rl.run.run_directory import hold
from sampler.data.prompt_dataset import load_prompts, save_prompts
from sampler.prompt import Prompt
from sampler.vision_input import VisionInput

NAMES = [f"{kind}{i}" for kind in ("sum", "where") for i in range(4)]
ESCAPE = "\x1b[2J<script>\u202e"


def prompt_of(name: str, picture: bytes) -> Prompt:
    parts = [{"type": "image"}, {"type": "text", "text": f"What is {name}?{ESCAPE}"}]
    message = {"role": "user", "content": parts}
    return Prompt(
        name,
        (message,),
        (VisionInput.of("image", picture),),
        tags=(name[:-1],),
        verifier="math",
        reference=str(int(name[-1]) % 2),
    )


@pytest.fixture
def run(tmp_path: Path, picture: Callable[..., bytes]) -> Path:
    """Eight prompts, of which six were tried by two policies: sums are learnt, places forgotten."""
    path = tmp_path / "my run"
    data = path / "stages" / "00-prepare" / "data"
    data.mkdir(parents=True)
    save_prompts(data / "train.parquet", [prompt_of(name, picture(i)) for i, name in enumerate(NAMES)])
    paths = {"train": "stages/00-prepare/data/train.parquet"}
    policy = {"version": 0, "hub": "base", "stage": "00-prepare"}
    manifest = {"kind": "prepare", "result_version": 1, "result": {"paths": paths, "policy": policy}}
    (data.parent / "manifest.json").write_text(json.dumps(manifest))
    rows = [
        {
            "stage": f"0{version}-rl", "policy_version": version, "prompt_id": name, "kind": "verifiable",
            "tags": [name[:-1]], "verifier": "math", "index": i, "answer": ESCAPE, "verdict_reason": "wrong",
            "reward": float((name[:-1] == "sum") == (version == 2) and i < 4),
        }
        for name in NAMES if name[-1] != "3" for version in (1, 2) for i in range(5)
    ]  # fmt: skip
    (path / "rollouts" / "01-rl").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), path / "rollouts" / "01-rl" / "step-00000.parquet")
    return path


def test_stats(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "stats", str(run)]) == 0
    said = capsys.readouterr().out
    assert "8 train prompts, 6 tried" in said
    cells = {
        line.split("│")[1].strip(): [c.strip() for c in line.split("│")[2:-1]]
        for line in said.splitlines()
        if "│" in line
    }
    assert cells["sum"][:2] == ["3", "30"] and cells["all"][:2] == ["6", "60"]
    assert cells["2"] == ["6", "3", "3", "0"]  # of six tried before three newly solved, three forgotten


def test_stats_tell_what_a_profile_decided(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run / "stages" / "02-profile-r0"
    folder.mkdir()
    decisions = ["below", "inside", "above", "above"]
    table = pa.table({"prompt_id": NAMES[:4], "decision": decisions})
    pq.write_table(table, folder / "profile.parquet")
    result = {"prompts": "stages/02-profile-r0/profile.parquet", "shown": "whole", "band": [0.1, 0.75]}
    (folder / "manifest.json").write_text(
        json.dumps({"kind": "profile", "stage": "02-profile-r0", "result_version": 1, "result": result})
    )
    assert main(["prompts", "stats", str(run)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "decided by the profile: up to 10% 1, inside 1, above 75% 2" in said
    assert "standings stay unknown" not in said and "of the samples alone it is 40.0%" in said


def test_select_counts_types(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "s.parquet")
    assert main(["prompts", "select", str(run), "--out", out, "--num", "6", "--question-type", "sum"]) == 0
    assert "sum: 3 of the 6 asked for" in capsys.readouterr().out


def test_stats_by_something_else_and_drawn(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "rates.svg"
    assert (
        main(["prompts", "stats", str(run), "--by", "verifier", "--split", "train", "--plot", str(picture)])
        == 0
    )
    said = capsys.readouterr().out
    assert "6 of train tried" in said and "verifier" in said
    texts = [text.text or "" for text in ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert any(text.startswith("all: 6, mean") for text in texts)
    assert len([text for text in texts if ", mean" in text]) == len({"all"} | _verifiers(run))
    assert main(["prompts", "stats", str(run), "--split", "trian"]) == 2
    assert "'train'" in capsys.readouterr().err
    assert main(["prompts", "stats", str(run), "--plot", "x.png"]) == 2


def _verifiers(run: Path) -> set[str]:
    table = pq.read_table(next(run.glob("rollouts/**/*.parquet")))
    return set(table["verifier"].to_pylist())


def test_select_writes_prompts_and_their_rule(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "forgotten.parquet"
    command = [
        "prompts",
        "select",
        str(run),
        "--out",
        str(out),
        "--move",
        "forgotten",
        "--num",
        "2",
        "--seed",
        "3",
    ]
    assert main(command) == 0
    said = capsys.readouterr().out
    chosen = load_prompts(out)
    assert {one.question_type for one in chosen} == {"where"} and len(chosen) == 2
    assert {one.reference for one in chosen} == {"0", "1"}  # evenly over references
    assert all(one.images[0].read() for one in chosen)
    provenance = json.loads(out.with_suffix(".selection.json").read_text())
    assert provenance["rule"]["moves"] == ["forgotten"] and provenance["prompt_ids"] == [
        one.prompt_id for one in chosen
    ]
    assert "left out, not tried: 2" in said and "! sum: no prompt is left, of 4 prompts" in said
    first = out.read_bytes()
    assert main(command) == 0 and out.read_bytes() == first


def test_show_and_query_steer_no_terminal(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prompts", "show", "sum1", str(run)]) == 0
    assert main(["prompts", "query", "SELECT answer, reward FROM rollouts", str(run)]) == 0
    said = capsys.readouterr().out
    assert "What is sum1?" in said and "reference '1'" in said
    assert (
        "in between: believed pass rate 41% (19% to 66%)" in said
    )  # 4 of 5 right, older 0 of 5 for nearly as much
    assert "why" in said and "wrong" in said
    assert not {"\x1b", "\u202e"} & set(said)
    out = tmp_path / "found.parquet"
    assert (
        main(["prompts", "query", "SELECT count(*) AS num FROM rollouts", str(run), "--out", str(out)]) == 0
    )
    assert pq.read_table(out).to_pylist() == [{"num": 60}]


def test_compact(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what is complete; nothing while a process works in the run."""
    log = run / "rollouts" / "01-rl"
    rows = pq.read_table(log / "step-00000.parquet")
    pq.write_table(rows.slice(0, 20), log / "step-00000.parquet")
    pq.write_table(rows.slice(20), log / "step-00001.parquet")
    assert main(["prompts", "compact", str(run)]) == 0
    assert "nothing to compact" in capsys.readouterr().out
    (run / "stages" / "01-rl").mkdir()
    (run / "stages" / "01-rl" / "manifest.json").write_text(json.dumps({"kind": "rl", "stage": "01-rl"}))
    lock = hold(run, "never")
    assert main(["prompts", "compact", str(run)]) == 2
    assert "another process is working in my run: its log is compacted when" in " ".join(
        capsys.readouterr().err.split()
    )
    lock.close()
    assert main(["prompts", "compact", str(run)]) == 0
    assert "01-rl: 2 files are now 1, 60 rollouts" in capsys.readouterr().out
    assert [file.name for file in log.iterdir()] == ["step-00000-00001.parquet"]
    assert main(["prompts", "stats", str(run)]) == 0
    assert "8 train prompts, 6 tried" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["show", "nothing"], "no prompt has an id that begins with 'nothing'"),
        (["show", "sum"], "several prompts have an id"),
        (["query", "SELECT nothing"], "nothing"),
        (["select", "--out", "x.jsonl"], "a .parquet file"),
        (["select", "--out", "x.parquet", "--pass-rate", "0.99", "1"], "leaves no prompt (pass rate 6, not tried 2)"),
        (["select", "--out", "x.parquet", "--standing", "hopeless"], "`--pass-rate` takes fewer"),
        (["select", "--out", "x.parquet", "--standing", "good"], "'good' is no standing"),
    ],
)  # fmt: skip
def test_refusals(
    run: Path,
    command: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(run.parent)
    assert main(["prompts", *command, str(run)]) == 2
    said = capsys.readouterr().err
    assert words in " ".join(said.split()) and "Traceback" not in said
    assert not list(run.parent.glob("x.*"))
