"""Three colours, no two neighbours alike."""

from __future__ import annotations

import random

from recipes.gym.boards.drawn_graph import DrawnGraph
from recipes.gym.exercise import Exercise, Question, between, boxed

COLOURS = ("red", "green", "blue")
FORM = "Answer as A: red, B: blue for all nodes."
WORDINGS = (
    f"Colour the nodes red, green or blue, so that no line joins two of one colour. {FORM}",
    f"Give each node red, green or blue; neighbours must differ. {FORM}",
    f"Colour this graph with red, green and blue, neighbours never alike. {FORM}",
)


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """More nodes and lines, and smaller names."""
    num = between(difficulty, 3, 10)
    while True:
        graph = DrawnGraph.of(rng, num, 0.75, name_size=max(1.0, 5 / num))
        colours = _coloured(graph, rng)
        if colours is not None:
            break
    names = graph.names
    coloured = dict(zip(names, colours, strict=True))
    seen = [name for _, name in sorted(zip((y for _, y in graph.places), names, strict=True))]
    return Question(
        text=rng.choice(WORDINGS),
        reference={
            "type": "graph_colouring",
            "edges": [[names[a], names[b]] for a, b in graph.edges],
            "nodes": sorted(names),
            "colours": len(COLOURS),
            "solution": dict(sorted(coloured.items())),
        },
        answer=boxed(", ".join(f"{name}: {coloured[name]}" for name in seen)),
        load=len(graph.edges),
        thought=f"from the top: {', '.join(seen)}",
        images=(graph.draw(px),),
    )


def _coloured(graph: DrawnGraph, rng: random.Random) -> list[str] | None:
    """By backtracking; None where three colours do not do."""
    neighbours: list[set[int]] = [set() for _ in graph.names]
    for a, b in graph.edges:
        neighbours[a].add(b)
        neighbours[b].add(a)
    colours: list[str] = []

    def fill() -> bool:
        node = len(colours)
        if node == len(graph.names):
            return True
        for colour in rng.sample(COLOURS, len(COLOURS)):
            if all(colours[other] != colour for other in neighbours[node] if other < node):
                colours.append(colour)
                if fill():
                    return True
                colours.pop()
        return False

    return colours if fill() else None


GRAPH_COLOURING = Exercise(
    "graph_colouring", "a colouring with three colours", "puzzle", draw, easy_px=112, hard_px=304
)
