"""The shortest path between two nodes."""

from __future__ import annotations

import random

from recipes.gym.boards.drawn_graph import DrawnGraph
from recipes.gym.exercise import Exercise, Question, between, boxed
from verifiers.puzzles.graph import GraphPath

WORDINGS = (
    "What is the shortest path from {start} to {goal}? Answer as A, B, C.",
    "Go from {start} to {goal} by the least sum of numbers. Answer as A, B, C.",
    "Name the nodes of the shortest way from {start} to {goal}, as A, B, C.",
)


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """More nodes. The shortest path is at least 2 shorter than going straight along one edge, where there is one."""
    num = between(difficulty, 4, 9)
    while True:
        graph = DrawnGraph.of(rng, num, 0.9)
        weights = [rng.randint(1, 9) for _ in graph.edges]
        names = graph.names
        edges = [[names[a], names[b], weight] for (a, b), weight in zip(graph.edges, weights, strict=True)]
        start, goal = rng.sample(names, 2)
        reference = {"type": "graph_path", "edges": edges, "start": start, "goal": goal}
        path = GraphPath(reference).best_path
        if len(path) >= 3:
            break
    return Question(
        text=rng.choice(WORDINGS).format(start=start, goal=goal),
        reference=reference,
        answer=boxed(", ".join(path)),
        load=len(edges),
        images=(graph.draw(px, weights),),
    )


GRAPH_PATH = Exercise("graph_path", "a shortest path by weights", "puzzle", draw, easy_px=128, hard_px=320)
