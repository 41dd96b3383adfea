"""How many held-out prompts rose and fell from one evaluation to the next, and not only from the cold start."""

from __future__ import annotations

from itertools import pairwise

from recipes.report.evaluation import evaluation_label
from recipes.report.exam_table import Cell, WordTable
from recipes.report.prompts.flips import Flips, Side, flips_between
from recipes.report.prompts.proportion import share_words
from rl.run.run_record import RunRecord
from verifiers.errors import BadInput


def round_moves(run: RunRecord) -> WordTable | None:
    """A column for each evaluation after the first; None of fewer than two whose rollouts are there."""
    found = {}
    for before, after in pairwise(run.evaluations):
        try:
            flips = flips_between(*(Side.of(run, str(one["stage"])) for one in (before, after)))
        except BadInput:
            continue
        found[f"{evaluation_label(after)} since {evaluation_label(before)}"] = flips
    if not found:
        return None
    rows = {
        "right before, wrong now": tuple(_share(flips, len(flips.lost)) for flips in found.values()),
        "wrong before, right now": tuple(_share(flips, len(flips.gained)) for flips in found.values()),
        "right before and now": tuple(_share(flips, flips.num_stayed_right) for flips in found.values()),
        "wrong before and now": tuple(_share(flips, flips.num_stayed_wrong) for flips in found.values()),
        "p, exact McNemar test": tuple(Cell(f"{flips.p_value:.2g}") for flips in found.values()),
    }
    return WordTable("share of prompts, 95% interval", tuple(found), rows)


def _share(flips: Flips, num: int) -> Cell:
    return Cell(share_words(num, flips.rows[0].num))
