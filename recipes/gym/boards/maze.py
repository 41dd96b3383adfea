"""A way through a maze."""

from __future__ import annotations

import random

from recipes.gym.canvas import BLACK, COLOURS, PALE, Canvas, tint
from recipes.gym.exercise import Exercise, Question, between, boxed

FORM = "Answer with the moves U, D, L, R, one for each square."
WORDINGS = (
    f"Go from the green square to the red square. {FORM}",
    f"Which way leads from green to red? {FORM}",
    f"Find the path from the green square to the red one. {FORM}",
)
MOVES = {"U": (-1, 0), "D": (1, 0), "L": (0, -1), "R": (0, 1)}

Cell = tuple[int, int]


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """5 to 15 squares a side. There is one way between any two squares."""
    side = 2 * between(difficulty, 2, 7) + 1
    grid = _carved(rng, side)
    start, goal = rng.sample([(row, column) for row in range(1, side, 2) for column in range(1, side, 2)], 2)
    path = _path(grid, start, goal)
    grid[start[0]][start[1]], grid[goal[0]][goal[1]] = "S", "G"
    canvas, floor = Canvas(px), tint(rng)
    cell = 1000 / side
    fills = {"#": BLACK, ".": floor, "S": COLOURS["green"], "G": COLOURS["red"]}
    for row, marks in enumerate(grid):
        for column, mark in enumerate(marks):
            corner = (column * cell, row * cell, (column + 1) * cell, (row + 1) * cell)
            canvas.box(corner, fills[mark], PALE if mark != "#" else None, 3)
    return Question(
        text=rng.choice(WORDINGS),
        reference={"type": "maze", "grid": ["".join(row) for row in grid], "solution": path},
        answer=boxed(path),
        load=side,
        thought=f"green {start[0]},{start[1]} red {goal[0]},{goal[1]}",
        images=(canvas.png(),),
    )


def _carved(rng: random.Random, side: int) -> list[list[str]]:
    """A perfect maze by depth-first search: walls on even rows and columns, broken where the walk goes on."""
    grid = [["#"] * side for _ in range(side)]
    stack = [(1, 1)]
    grid[1][1] = "."
    while stack:
        row, column = stack[-1]
        ways = [(r, c) for r, c in MOVES.values() if _is_wall(grid, (row + 2 * r, column + 2 * c))]
        if not ways:
            stack.pop()
            continue
        r, c = rng.choice(ways)
        grid[row + r][column + c] = grid[row + 2 * r][column + 2 * c] = "."
        stack.append((row + 2 * r, column + 2 * c))
    return grid


def _is_wall(grid: list[list[str]], cell: Cell) -> bool:
    return 0 < cell[0] < len(grid) and 0 < cell[1] < len(grid) and grid[cell[0]][cell[1]] == "#"


def _path(grid: list[list[str]], start: Cell, goal: Cell) -> str:
    """The moves, breadth first."""
    paths = {start: ""}
    for cell in (queue := [start]):
        for move, (r, c) in MOVES.items():
            following = (cell[0] + r, cell[1] + c)
            if following not in paths and grid[following[0]][following[1]] != "#":
                paths[following] = paths[cell] + move
                queue.append(following)
    return paths[goal]


MAZE = Exercise("maze", "moves through a maze", "puzzle", draw, easy_px=112, hard_px=240)
