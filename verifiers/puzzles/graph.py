"""Puzzles on graphs: a path, a colouring; and plain string match."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from verifiers.puzzles.answer_text import without_bullets
from verifiers.puzzles.protocol import Puzzle, need, refuse
from verifiers.reading.plain_text import normalise

MAX_CHARS = 50_000
_NODE_WORD = re.compile(r"^(?:node|vertex|city|station|country|region)\s+(?=\S)", re.IGNORECASE)
_REMARK = re.compile(
    r"(?:\([a-z][^()\n]{0,40}\d[^()\n]{0,20}\)|[,;.]\s(?:with\s)?(?:an?\s)?(?:total\s)?(?:length|cost|weight|distance)\b[^\n]{0,60})$",
    re.IGNORECASE,
)


def _edges(spec: Mapping[str, Any], edges: Any) -> list[tuple[str, str, float]]:
    rows = []
    for edge in edges if isinstance(edges, (list, tuple)) else ():
        if not isinstance(edge, (list, tuple)) or len(edge) not in (2, 3):
            raise refuse(spec, "an edge is [from, to] or [from, to, weight]")
        weight = edge[2] if len(edge) == 3 else 1
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < 1e12:
            raise refuse(spec, "a weight is a number that is not negative")
        rows.append((str(edge[0]), str(edge[1]), float(weight)))
    if not rows:
        raise refuse(spec, "edges is empty")
    return rows


class GraphPath(Puzzle):
    """`{"type": "graph_path", "edges": [["A", "B", 4], ...], "start": "A", "goal": "D", "directed": false,
    "shortest": true}`: an answer is the nodes in order (`A -> B -> D`, `A, B, D`)."""

    name = "graph_path"

    def __init__(self, spec: Mapping[str, Any]) -> None:
        edges, start, goal = need(spec, "edges start goal", "directed shortest")
        self.start, self.goal = str(start), str(goal)
        self.weights: dict[tuple[str, str], float] = {}
        for a, b, weight in _edges(spec, edges):
            pairs = [(a, b)] if spec.get("directed", False) else [(a, b), (b, a)]
            for pair in pairs:
                self.weights[pair] = min(weight, self.weights.get(pair, float("inf")))
        nodes = {node for pair in self.weights for node in pair}
        folded = {node.casefold() for node in nodes}
        # Where two names differ in case alone, every name is read as it is written.
        self._fold: Callable[[str], str] = str.casefold if len(folded) == len(nodes) else str
        self.names = {self._fold(node): node for node in nodes}
        self.best, self.best_path = self._shortest()
        if not self.best_path:
            raise refuse(spec, "the goal cannot be reached")
        self.shortest = bool(spec.get("shortest", True))

    def _shortest(self) -> tuple[float, list[str]]:
        """Dijkstra's algorithm."""
        neighbours: dict[str, list[tuple[str, float]]] = {}
        for (a, b), weight in self.weights.items():
            neighbours.setdefault(a, []).append((b, weight))
        queue: list[tuple[float, list[str]]] = [(0.0, [self.start])]
        done: set[str] = set()
        while queue:
            length, path = heapq.heappop(queue)
            if path[-1] == self.goal:
                return length, path
            if path[-1] not in done:
                done.add(path[-1])
                for node, weight in neighbours.get(path[-1], ()):
                    if node not in done:
                        heapq.heappush(queue, (length + weight, [*path, node]))
        return float("inf"), []

    def check(self, text: str) -> str | None:
        """None for a path along edges from start to goal, the shortest where that is asked; else what is wrong."""
        if len(text) > MAX_CHARS:
            return "the path is too long"
        path = _REMARK.sub("", without_bullets(text).strip()).strip().strip("[]")
        words = [
            _NODE_WORD.sub("", w.strip(" '\"()"))
            for w in re.split(r"-{1,2}>|→|,|\n|;|\\to\b|=>|⇒|\s[-–—]\s", path)
        ]
        if len(words) == 1 and self._fold(words[0]) not in self.names:
            words = words[0].split() if " " in words[0] else re.split(r"[-–—]", words[0])
        nodes = [self.names.get(self._fold(word), "") for word in words if word]
        if not nodes or "" in nodes:
            return "an answer is nodes of the graph, in order"
        if nodes[0] != self.start or nodes[-1] != self.goal:
            return f"the path goes from {nodes[0]} to {nodes[-1]}"
        length = 0.0
        for pair in pairwise(nodes):
            if pair not in self.weights:
                return f"there is no edge from {pair[0]} to {pair[1]}"
            length += self.weights[pair]
        if self.shortest and length > self.best * (1 + 1e-9):
            return f"length {length:g}, the shortest is {self.best:g}"
        return None

    def solution(self) -> str | None:
        return " -> ".join(self.best_path)


class GraphColouring(Puzzle):
    """`{"type": "graph_colouring", "edges": [["A", "B"], ...], "colours": 3}`: an answer gives every node a colour
    (`A: red, B: blue`, lines `A - red`, or JSON), with no two neighbours alike and at most `colours` different ones."""

    name = "graph_colouring"

    def __init__(self, spec: Mapping[str, Any]) -> None:
        edges, colours = need(spec, "edges colours", "nodes")
        if type(colours) is not int or colours < 1:
            raise refuse(spec, "colours is a whole number from 1")
        self.edges = [(a.casefold(), b.casefold()) for a, b, _ in _edges(spec, edges)]
        if any(a == b for a, b in self.edges):
            raise refuse(spec, "an edge joins a node to itself, or to one whose name differs in case alone")
        nodes = spec.get("nodes") or ()
        if not isinstance(nodes, (list, tuple)):
            raise refuse(spec, "nodes is a list")
        named = {*map(str, nodes), *(node for a, b, _ in _edges(spec, edges) for node in (a, b))}
        self.nodes = {node.casefold() for node in named}
        if len(self.nodes) < len(named):
            raise refuse(spec, "two nodes have names that differ in case alone")
        self.colours = colours
        self._solution = spec.get("solution")

    def check(self, text: str) -> str | None:
        """None where every node has one of so many colours and neighbours differ; else what is wrong."""
        if len(text) > MAX_CHARS:
            return "the answer is too long"
        given: dict[str, str] = {}
        plain = without_bullets(text).strip().strip("{}")
        for part in (piece.strip()[:200] for piece in re.split(r"[,;\n]", plain) if piece.strip()):
            match = re.fullmatch(
                r"\s*[\"']?([^:=\"'→]+?)[\"']?\s*(?::|=|->|→|\bis\b|\s[-–—]\s)\s*[\"']?([^:=\"'→]+?)[\"']?\s*",
                part,
            )
            if match is None:
                return "an answer is node: colour for every node"
            node, colour = match.group(1).casefold(), match.group(2).casefold()
            if node not in self.nodes:
                node = _NODE_WORD.sub("", node)
            if given.get(node, colour) != colour:
                return f"{match.group(1)} has two colours"
            given[node] = colour
        if set(given) != self.nodes:
            return "not exactly the nodes of the graph are coloured"
        if len(set(given.values())) > self.colours:
            return f"{len(set(given.values()))} colours, at most {self.colours} are allowed"
        for a, b in self.edges:
            if given[a] == given[b]:
                return f"{a} and {b} are neighbours of the same colour"
        return None

    def solution(self) -> str | None:
        if not isinstance(self._solution, Mapping):
            return None
        return ", ".join(f"{node}: {colour}" for node, colour in self._solution.items())


class StringPuzzle(Puzzle):
    """`{"type": "string", "answer": "..."}`: the whole stated answer, normalised, equals the text."""

    name = "string"

    def __init__(self, spec: Mapping[str, Any]) -> None:
        (answer,) = need(spec, "answer")
        if not isinstance(answer, (str, int)) or not str(answer).strip():
            raise refuse(spec, "answer is a text")
        self.answer = str(answer)

    def check(self, text: str) -> str | None:
        return None if normalise(text) == normalise(self.answer) else "another text"

    def solution(self) -> str | None:
        return self.answer
