"""A graph laid out in the plane: no edges cross, and names and weights have room."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import combinations

from recipes.gym.canvas import BLACK, GREY, WHITE, Canvas, Place
from recipes.gym.layout import LETTERS, scattered

Edge = tuple[int, int]


@dataclass(frozen=True)
class DrawnGraph:
    """Nodes by index; connected. Names are ``name_size`` times as large as other text."""

    names: list[str]
    places: list[Place]
    edges: list[Edge]
    name_size: float

    @classmethod
    def of(
        cls, rng: random.Random, num_nodes: int, kept_frac: float, *, name_size: float = 1.0
    ) -> DrawnGraph:
        """All short edges that cross no shorter one; of those beyond a spanning tree ``kept_frac`` are kept."""
        margin = 90 * name_size
        area = (margin, margin, 1000 - margin, 1000 - margin)
        places = scattered(rng, num_nodes, 900 / (num_nodes**0.5 + 0.2), area)
        tree, others = _edges(places)
        kept = rng.sample(others, round(kept_frac * len(others)))
        return cls(rng.sample(LETTERS, num_nodes), places, sorted([*tree, *kept]), name_size)

    def draw(self, px: int, weights: list[int] | None = None) -> bytes:
        """Nodes as discs with their names, weights on the middle of the edges."""
        canvas = Canvas(px, WHITE)
        text = canvas.units(canvas.text_px)
        for a, b in self.edges:
            canvas.line([self.places[a], self.places[b]], GREY, 9)
        for (a, b), weight in zip(self.edges, weights or [], strict=False):
            middle = _middle(self.places[a], self.places[b])
            canvas.disc(middle, 0.62 * text, WHITE)
            canvas.text(middle, str(weight))
        for name, place in zip(self.names, self.places, strict=True):
            canvas.disc(place, 0.8 * self.name_size * text, (255, 236, 170), BLACK, 5)
            canvas.text(place, name, size=self.name_size * canvas.text_px)
        return canvas.png()


def _edges(places: list[Place]) -> tuple[list[Edge], list[Edge]]:
    """Those of a spanning tree, and the others."""
    group = list(range(len(places)))
    tree: list[Edge] = []
    others: list[Edge] = []
    for a, b in sorted(
        combinations(range(len(places)), 2), key=lambda edge: math.dist(places[edge[0]], places[edge[1]])
    ):
        if any(_touches(places, (a, b), edge) for edge in (*tree, *others)):
            continue
        if any(
            _distance(places[node], places[a], places[b]) < 90
            for node in range(len(places))
            if node not in (a, b)
        ):
            continue
        if group[a] == group[b]:
            others.append((a, b))
        else:
            tree.append((a, b))
            group = [group[a] if one == group[b] else one for one in group]
    return tree, others


def _touches(places: list[Place], one: Edge, other: Edge) -> bool:
    """Whether two edges cross, or their weights would lie on each other."""
    a, b, c, d = (places[node] for node in (*one, *other))
    if min(_distance(_middle(a, b), c, d), _distance(_middle(c, d), a, b)) < 75:
        return True
    if set(one) & set(other):
        return False
    return _side(a, b, c) != _side(a, b, d) and _side(c, d, a) != _side(c, d, b)


def _middle(a: Place, b: Place) -> Place:
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2


def _side(a: Place, b: Place, place: Place) -> bool:
    return (b[0] - a[0]) * (place[1] - a[1]) > (b[1] - a[1]) * (place[0] - a[0])


def _distance(place: Place, a: Place, b: Place) -> float:
    """Of a place to the segment from a to b."""
    (x, y), (dx, dy) = (place[0] - a[0], place[1] - a[1]), (b[0] - a[0], b[1] - a[1])
    along = min(1.0, max(0.0, (x * dx + y * dy) / (dx * dx + dy * dy)))
    return math.dist((x, y), (along * dx, along * dy))
