"""`hone prompts profile` without an engine: what a dry run says, what is refused, what a person is shown."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recipes.cli import main
from recipes.commands.output.console import plain_console
from recipes.commands.prompts.profile import print_profile, profile_recipe
from rl.recipe.profile_config import ProfileConfig
from rl.run.results.stage_result import ProfileResult
from sampler.data.prompt_dataset import save_prompts
from sampler.prompt import Prompt
from verifiers.errors import BadInput

RECIPE = str(Path(__file__).parents[3] / "data" / "tiny_program.yaml")


@pytest.fixture
def given(tmp_path: Path, picture: Callable[..., bytes]) -> list[str]:
    """A set of three and something that looks like a policy."""
    content = [{"type": "image"}, {"type": "text", "text": "How many?"}]
    prompts = [
        Prompt.build(
            messages=[{"role": "user", "content": content}],
            images=[picture(i)],
            verifier="math",
            reference="5",
        )
        for i in range(3)
    ]
    save_prompts(tmp_path / "set.parquet", prompts)
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "config.json").write_text("{}")
    return ["prompts", "profile", RECIPE, str(tmp_path / "set.parquet"), "--policy", str(tmp_path / "policy")]


def test_a_dry_run_counts(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        main(
            [
                *given,
                "--dry-run",
                "--blind",
                "--captions",
                "policy",
                "--caption-tokens",
                "40",
                "--samples",
                "8",
            ]
        )
        == 0
    )
    said = " ".join(capsys.readouterr().out.split())
    assert "profile without pictures" in said and "captions" in said and "profile with captions" in said
    assert (
        "at most 72 rollouts and 3 captions of" in said
    )  # whole, blind and captioned, 3 x 8 each and "3 of" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--band", "0.8", "0.2"], "profile.band is two pass rates from 0 to 1, the lower first"),
        (["--sureness", "0.3"], "sureness: Input should be greater than 0.5"),
        (["--captions", "nowhere.jsonl"], "--captions nowhere.jsonl: no such file; `--captions policy`"),
        (
            ["--captions", "policy"],
            "caption_tokens=512 leaves no room for a prompt in sampler.max_model_len=96: raise it",
        ),
        (["--policy", "nowhere"], "no policy at nowhere: give --policy a checkpoint directory"),
        (["rl.temperatur=2"], "did you mean 'rl.temperature'"),
    ],
)
def test_refusals(
    given: list[str],
    more: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*given, *more]) == 2
    said = capsys.readouterr().err
    assert words in " ".join(said.split()) and "Traceback" not in said
    assert not (tmp_path / "runs").exists()


def test_it_says_at_once_that_engines_are_loaded(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []

    def run_program(*_: object) -> None:
        told.append(capfd.readouterr().out)
        raise BadInput("stopped")

    monkeypatch.setattr("rl.program.run_program", run_program)
    assert main([*given, "--out", str(tmp_path / "out")]) == 2
    assert told == [f"{tmp_path / 'out'}: loading the engines, which takes up to a minute\n"]


def test_what_the_recipe_becomes(given: list[str], tmp_path: Path) -> None:
    """The recipe's engines, judges and sampling; its data, program and run directory are the profile's own."""
    settings = profile_recipe(
        RECIPE,
        ["rl.temperature=0.5"],
        given[3],
        tmp_path / "policy",
        ProfileConfig(),
        tmp_path / "my profile",
    )
    assert (settings.data.train_prompts, settings.data.heldout_prompts, settings.data.builder) == (
        given[3],
        None,
        None,
    )
    assert settings.model.path == str(tmp_path / "policy") and settings.rl.temperature == 0.5
    assert (settings.name, settings.run_dir) == ("my-profile", str(tmp_path / "my profile"))


def test_what_is_shown(tmp_path: Path) -> None:
    table = pa.table({"n": [4, 16, 0, 9], "mean": [0.05, 0.55, 0.5, 0.95]})
    pq.write_table(table, tmp_path / "profile.parquet")
    decisions = {"below": 1, "inside": 1, "above": 1, "undecided": 1}
    result = ProfileResult(
        prompts=tmp_path / "profile.parquet", shown="blind", num_prompts=4, num_rollouts=29, num_of_fixed=64,
        num_unjudged=3, num_unreadable=20, num_not_asked=2, band=(0.1, 0.75), decisions=decisions,
    )  # fmt: skip
    terminal = io.StringIO()
    print_profile(plain_console(terminal), result)
    said = terminal.getvalue()
    assert "4 prompts without pictures" in said and "inside, above 10% and up to 75%: 1" in said
    assert "undecided: nothing was judged: 1" in said and "rollouts that no judge decided: 3" in said
    assert "! 20 of 29 answers without pictures have no readable form" in " ".join(said.split())
    assert "half of the prompts have at most 9 samples" in " ".join(said.split())
    bars = [line for line in said.splitlines() if "#" in line]
    assert [line.split()[:4] for line in bars] == [
        ["0%", "to", "10%", "1"], ["50%", "to", "60%", "1"], ["90%", "to", "100%", "1"],
    ]  # fmt: skip
