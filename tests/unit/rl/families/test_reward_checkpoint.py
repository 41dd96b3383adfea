"""A path that is no reward model's is told for what it is."""

import json

import pytest

from recipes import cli
from rl.experience.scorer import require_reward_model
from verifiers.errors import BadInput


@pytest.fixture
def made(tmp_path):
    """Makes a checkpoint directory of files with these names."""

    def make(name, *files):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for file in files:
            (folder / file).write_text("{}")
        return folder

    return make


WHOLE = ("config.json", "model.safetensors")


def test_each_wrong_path_is_told_apart(made, tmp_path):
    policy = made("run/stages/03-rl-r0/policy", *WHOLE)
    (policy.parent / "manifest.json").write_text("{}")
    (tmp_path / "run" / "policy").symlink_to(policy)
    made("trained/model", *WHOLE)
    (tmp_path / "file").write_text("")
    for path, message in (
        (tmp_path / "trainde", "no such directory; did you mean 'trained'?"),
        (tmp_path / "no" / "where", "no such directory"),
        (tmp_path / "file", "is a file: give the checkpoint's directory"),
        (made("empty"), "has no config.json: give a checkpoint in the hub layout"),
        (tmp_path / "trained", f"has no config.json: did you mean '{tmp_path / 'trained' / 'model'}'?"),
        (made("bare", "config.json", "value_head.safetensors"), "has no .safetensors file: its weights are"),
        (
            tmp_path / "run" / "policy",
            "is no reward model but the policy of stage 03-rl-r0, without value_head",
        ),
    ):
        with pytest.raises(BadInput) as caught:
            require_reward_model(path, "--model")
        assert str(caught.value).startswith(f"--model {path}")
        assert message in str(caught.value)


def test_reward_models_of_both_kinds_are_taken(made):
    require_reward_model(made("pairwise", *WHOLE), "--model")
    require_reward_model(made("scalar", *WHOLE, "value_head.safetensors"), "--model")


def test_score_tells_it_before_it_reads_the_file(tmp_path, capsys):
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"messages": "x", "reference": "y", "answer": "z"}))
    assert cli.main(["reward-model", "score", str(answers), "--model", str(tmp_path / "no")]) == 2
    assert f"--model {tmp_path / 'no'}: no such directory" in capsys.readouterr().err
