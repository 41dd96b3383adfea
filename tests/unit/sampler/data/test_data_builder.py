"""Builders named in a recipe: what they are given, and how a wrong name, option or value is told."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from sampler.data.data_builder import build_data
from verifiers.errors import BadInput

HERE = f"{__name__}:build"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or type(sys)(__name__))
    monkeypatch.setattr(sys.modules[__name__], "build", build, raising=False)


def build(
    out_dir, *, seed: int = 0, size: int = 3, share: float = 0.5, kinds: Sequence[str] = ("a",)
) -> dict[str, str]:
    return {"train": f"{out_dir}/{seed}-{size}-{share}-{'+'.join(kinds)}"}


def test_options_reach_the_function_with_the_runs_seed(tmp_path):
    built = build_data(HERE, tmp_path, seed=7, options={"size": 4, "kinds": ["b", "c"]})
    assert built == {"train": Path(f"{tmp_path}/7-4-0.5-b+c")}
    assert build_data(HERE, tmp_path, seed=7, options={"seed": 8})["train"].name == "8-3-0.5-a"


@pytest.mark.parametrize(
    ("builder", "options", "message"),
    [
        (HERE, {"sizes": 3}, "unknown key 'data.builder_options.sizes' of .*; did you mean 'size'"),
        (HERE, {"zzz": 3}, r"unknown key 'data.builder_options.zzz' .*\(keys: seed, size, share, kinds\)"),
        (HERE, {"size": "many"}, "key 'data.builder_options.size' is 'many': it should be a valid integer"),
        (HERE, {"share": [1]}, r"key 'data.builder_options.share' is '\[1\]': it should be a valid number"),
        (HERE, {"kinds": [1]}, "key 'data.builder_options.kinds' is .*: it should be a valid string"),
        ("recipes.gym:build_gym", {"exercises": "clock"}, "valid dictionary, or it should be a valid list"),
        ("recipes.digits", {}, "not of the form package.module:function"),
        ("recipes.digitz:build_digits", {}, "No module named 'recipes.digitz'"),
        ("recipes.digits:build_digit", {}, "no function 'build_digit' .*; did you mean 'build_digits'"),
        ("recipes.digits:SOURCE", {}, "no function 'SOURCE'"),
        ("recipes.digits.builder:notations", {}, "no function 'notations' in recipes.digits.builder$"),
        ("os:getcwd", {}, "takes no 'seed'"),
    ],
)
def test_each_mistake_is_told(tmp_path, builder, options, message):
    with pytest.raises(BadInput, match=message):
        build_data(builder, tmp_path, seed=0, options=options)


def test_the_digits_builder_fits(tmp_path):
    options = {
        "num_train_prompts": 8,
        "num_heldout_prompts": 4,
        "num_cold_start_rows": 4,
        "question_types": ["sum"],
    }
    built = build_data("recipes.digits:build_digits", tmp_path, seed=1, options=options)
    assert set(built) == {"train", "heldout", "cold_start"}
    assert all(path.is_file() for path in built.values())
