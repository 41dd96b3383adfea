"""The ablation's arms change what they say and nothing else; its table and page hold medians and every seed."""

from __future__ import annotations

from typing import Any

from recipes.benchmarks.learning.ablation.ablation import ARMS, FULL, Ablation, AblationRun
from recipes.benchmarks.learning.ablation.ablation_page import page, table
from recipes.benchmarks.learning.arm import changed_recipe
from recipes.settings.recipe_file import load_recipe


def leaves(tree: Any, key: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {key: tree}
    return {
        name: leaf
        for part, below in tree.items()
        for name, leaf in leaves(below, f"{key}.{part}" if key else part).items()
    }


def test_each_arm_changes_its_own_keys() -> None:
    full = load_recipe("hybrid_cpu")
    for name, change in ARMS.items():
        before, after = leaves(full.model_dump()), leaves(changed_recipe(full, change).model_dump())
        changed = {key for key in before if before[key] != after[key]}
        assert changed <= set(leaves(dict(change))), name
        assert bool(changed) == (name != FULL), f"{name} changes nothing in hybrid_cpu"


def test_table_and_page() -> None:
    runs = [
        AblationRun(arm, seed, 0.7 + 0.01 * seed + 0.02 * index, 0.6 + 0.1 * seed, (0.5, 0.6, 0.7), 2.0)
        for seed in (1, 2, 3)
        for index, arm in enumerate(ARMS)
    ]
    ablation = Ablation(dict.fromkeys((1, 2, 3), (0.62, 0.5)), runs)
    lines = table(ablation).splitlines()
    assert len(lines) == 3 + len(ARMS)
    assert lines[3] == "| full | 72.0% (71.0% to 73.0%) | 80.0% (70.0% to 90.0%) | 2.00 |"
    html = page(ablation, "<Ablation>")
    assert "<Ablation>" not in html and html.count("<svg") == 3
    for seed in (1, 2, 3):
        assert html.count(f"<title>seed {seed}, full: ") == 2
