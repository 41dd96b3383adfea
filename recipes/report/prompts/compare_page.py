"""Two policies side by side on one page that needs nothing else: counts, tests, and the prompts that flipped."""

from __future__ import annotations

from pathlib import Path

from recipes.report.attempt import without_control
from recipes.report.drawing.template import template
from recipes.report.prompts.flip_cards import InForce, shown_flips
from recipes.report.prompts.flips import Flips
from sampler.atomic_file import write_atomically

MAX_SHOWN = 60  # of each way


def write_comparison(flips: Flips, in_force: InForce, out: Path) -> Path:
    """Write the page and return its path."""
    shown = {way: shown_flips(flips, flips.of_way(way)[:MAX_SHOWN], in_force) for way in ("lost", "gained")}
    page = template("compare.html.j2").render(flips=flips, shown=shown, most=MAX_SHOWN)
    write_atomically(out, without_control(page))
    return out
