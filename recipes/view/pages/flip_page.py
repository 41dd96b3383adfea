"""Flips between two stages of the opened runs, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from recipes.report.comparison import ComparedPrompt
from recipes.report.evaluation import evaluation_label
from recipes.report.prompts.flip_cards import shown_flips
from recipes.report.prompts.flips import Flips, Side, flips_between
from recipes.view.opened import Snapshot
from recipes.view.place import Place
from rl.run.metrics_log import stage_order
from verifiers.errors import BadInput

PAGE_SIZE = 12


@dataclass(frozen=True)
class FlipPage:
    """``stages`` are the choices of a side, with their labels; ``flips`` is none where there are no two policies."""

    stages: Mapping[str, str]
    flips: Flips | None
    asked: Mapping[str, str]
    shown: list[ComparedPrompt]
    num: int
    page: int

    @property
    def num_pages(self) -> int:
        return max(-(-self.num // PAGE_SIZE), 1)

    def query_string(self, **other: Any) -> str:
        """The same question with something else in it, for a link."""
        return urlencode({**self.asked, **other})


def flip_page(
    snapshot: Snapshot, place: Place, other: Place, query: Mapping[str, str], page: int
) -> FlipPage:
    """From ``before`` (of ``other``, which is ``place`` unless another run is asked for) to ``after``: from the cold
    start to the best policy unless told otherwise."""
    stages = stages_of(other)
    before = query.get("before") or _stage(other.run.cold_start if other.run else None)
    after = query.get("after") or _stage(place.best)
    way = "gained" if query.get("way") == "gained" else "lost"
    asked = {
        "run": place.name, "with": other.name, "before": before, "after": after, "way": way,
        "type": query.get("type", ""),
    }  # fmt: skip
    if (
        place.run is None
        or other.run is None
        or not before
        or not after
        or (before == after and place is other)
    ):
        return FlipPage(stages, None, asked, [], 0, 1)
    state = (*other.state, *place.state, *other.decided_state, *place.decided_state)
    flips = _flips(Side.of(other.run, before), Side.of(place.run, after), state)
    chosen = flips.of_way(way, asked["type"])
    start = (max(page, 1) - 1) * PAGE_SIZE
    in_force = snapshot.run_in_force(other.name), snapshot.run_in_force(place.name)
    shown = shown_flips(flips, chosen[start : start + PAGE_SIZE], in_force)
    return FlipPage(stages, flips, asked, shown, len(chosen), max(page, 1))


def stages_of(place: Place) -> dict[str, str]:
    """Those that have sampled, evaluations first, by what they are called."""
    if place.run is None:
        return {}
    labels = {str(one["stage"]): f"{evaluation_label(one)} ({one['stage']})" for one in place.run.evaluations}
    folders = sorted(
        (one.name for one in (place.path / "rollouts").glob("*") if one.is_dir()), key=stage_order
    )
    return {**labels, **{name: name for name in folders if name not in labels}}


def _stage(evaluation: Mapping[str, Any] | None) -> str:
    return str(evaluation["stage"]) if evaluation else ""


def _flips(before: Side, after: Side, state: tuple[Any, ...]) -> Flips:
    """Once for a state of the runs: turning pages does not count again."""
    try:
        return _counted(before, after, state)
    except OSError as why:
        raise BadInput(f"the rollouts cannot be read: {why}") from why


@lru_cache(maxsize=16)
def _counted(before: Side, after: Side, _state: tuple[Any, ...]) -> Flips:
    return flips_between(before, after)
