"""Puzzles on a grid: sudoku, maze, n-queens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

from verifiers.plain_value import whole_number
from verifiers.puzzles.answer_text import without_bullets
from verifiers.puzzles.protocol import Puzzle, integers, need, refuse

_RULES = re.compile(r"[│┃║─━═┼╬╪╫┌┐└┘├┤┬┴╔╗╚╝╠╣╦╩┏┓┗┛┣┫┳┻╋]")
_ROW_LABEL = re.compile(r"(?im)^\W{0,4}row\s*\d{1,2}\s*[:.)-]")
_ARROWS = str.maketrans(
    {"→": "r", "←": "l", "↑": "u", "↓": "d", "➡": "r", "⬅": "l", "⬆": "u", "⬇": "d", "\ufe0f": ""}
)
_PASSED_OVER = frozenset({"then", "move", "moves", "go", "and", "step"})
_COMPASS = {"north": "u", "south": "d", "east": "r", "west": "l"}


class Sudoku(Puzzle):
    """`{"type": "sudoku", "grid": [[0, 3, ...], ...]}`, 0 for an empty cell; sizes 4 (boxes 2x2), 6 (2x3) and 9 (3x3).

    An answer is the filled grid, row by row: digits in any layout of blanks, commas, brackets and bars.
    """

    name = "sudoku"
    _BOXES: ClassVar[dict[int, tuple[int, int]]] = {4: (2, 2), 6: (2, 3), 9: (3, 3)}

    def __init__(self, spec: Mapping[str, Any]) -> None:
        (grid,) = need(spec, "grid")
        size = len(grid) if isinstance(grid, (list, tuple)) else 0
        rows_fit = size in self._BOXES and all(
            isinstance(row, (list, tuple)) and len(row) == size for row in grid
        )
        if not rows_fit or any(
            type(cell) is not int or not 0 <= cell <= size for row in grid for cell in row
        ):
            raise refuse(spec, "grid is 4x4, 6x6 or 9x9 of digits, 0 for an empty cell")
        self.grid, self.size = [list(row) for row in grid], size
        problem = self._clash([cell for row in self.grid for cell in row])
        if problem:
            raise refuse(spec, f"the given cells clash: {problem}")
        self._solution = spec.get("solution")

    def check(self, text: str) -> str | None:
        """None for a filled grid that keeps the given cells, without a clash; else what is wrong."""
        text = _ROW_LABEL.sub("", _RULES.sub(" ", text))
        if len(text) > 2_000 or not re.fullmatch(r"[\s\d\[\](){},;|+\-\\n=.]*", text):
            return "an answer is the filled grid and nothing else"
        cells = [int(char) for char in re.findall(r"[0-9]", text)]
        if len(cells) != self.size**2:
            return f"{len(cells)} cells, not {self.size**2}"
        if not all(1 <= cell <= self.size for cell in cells):
            return "a cell is empty or out of range"
        for position, cell in enumerate(cells):
            given = self.grid[position // self.size][position % self.size]
            if given and given != cell:
                return (
                    f"row {position // self.size + 1}, column {position % self.size + 1} changes a given cell"
                )
        return self._clash(cells)

    def _clash(self, cells: list[int]) -> str | None:
        height, width = self._BOXES[self.size]
        seen: set[tuple[str, int, int]] = set()
        for position, cell in enumerate(cells):
            if not cell:
                continue
            row, column = divmod(position, self.size)
            box = (row // height) * (self.size // width) + column // width
            for unit in (("row", row, cell), ("column", column, cell), ("box", box, cell)):
                if unit in seen:
                    return f"{cell} stands twice in {unit[0]} {unit[1] + 1}"
                seen.add(unit)
        return None

    def solution(self) -> str | None:
        return "\n".join(" ".join(map(str, row)) for row in self._solution) if self._solution else None


class Maze(Puzzle):
    """`{"type": "maze", "grid": ["S.#", "..G"], "shortest": false}`: `#` is a wall, S the start, G the goal, `.`
    or a blank is open.

    An answer is moves (`RDR`, `right, down, right`) or cells from start to goal (`(0,0) (1,0) ...`, row and
    column from 0).
    """

    name = "maze"
    _MOVES: ClassVar[dict[str, tuple[int, int]]] = {"u": (-1, 0), "d": (1, 0), "l": (0, -1), "r": (0, 1)}

    def __init__(self, spec: Mapping[str, Any]) -> None:
        (grid,) = need(spec, "grid", "shortest")
        is_text = isinstance(grid, (list, tuple)) and bool(grid) and all(isinstance(row, str) for row in grid)
        if not is_text or len({len(row) for row in grid}) != 1 or not 0 < len(grid) * len(grid[0]) <= 250_000:
            raise refuse(spec, "grid is a list of equally long rows")
        if other := set("".join(grid)) - set(".#SG "):
            raise refuse(spec, f"a cell is `#`, S, G, `.` or blank, not {min(other)!r}")
        self.grid = list(grid)
        where = {
            mark: [(r, c) for r, row in enumerate(grid) for c, m in enumerate(row) if m == mark]
            for mark in "SG"
        }
        if len(where["S"]) != 1 or len(where["G"]) != 1:
            raise refuse(spec, "grid has one S and one G")
        self.start, self.goal = where["S"][0], where["G"][0]
        self.path = self._shortest()
        if self.path is None:
            raise refuse(spec, "the goal cannot be reached")
        self.shortest = bool(spec.get("shortest", False))

    def _open(self, cell: tuple[int, int]) -> bool:
        row, column = cell
        return 0 <= row < len(self.grid) and 0 <= column < len(self.grid[0]) and self.grid[row][column] != "#"

    def _shortest(self) -> str | None:
        paths = {self.start: ""}
        queue = [self.start]
        for cell in queue:  # grows while it is walked: breadth first
            if cell == self.goal:
                return paths[cell].upper()
            for move, (dr, dc) in self._MOVES.items():
                following = (cell[0] + dr, cell[1] + dc)
                if self._open(following) and following not in paths:
                    paths[following] = paths[cell] + move
                    queue.append(following)
        return None

    def check(self, text: str) -> str | None:
        cells = self._cells(text)
        if cells is None:
            return "an answer is moves (U, D, L, R) or cells"
        for before, after in pairwise(cells):
            if abs(before[0] - after[0]) + abs(before[1] - after[1]) != 1:
                return f"{before} to {after} is not one step"
            if not self._open(after):
                return f"{after} is a wall or outside"
        if cells[0] != self.start or cells[-1] != self.goal:
            return f"the path goes from {cells[0]} to {cells[-1]}, not from {self.start} to {self.goal}"
        if self.shortest and len(cells) - 1 > len(self.path or ""):
            return f"{len(cells) - 1} steps, the shortest path has {len(self.path or '')}"
        return None

    def _cells(self, text: str) -> list[tuple[int, int]] | None:
        if len(text) > 50_000:
            return None
        text = without_bullets(text)
        if re.search(r"\d", text):
            if not re.fullmatch(r"[\s\d\[\](),;>\-→]*", text):
                return None
            numbers = [int(n[:6]) for n in re.findall(r"\d+", text)]
            return (
                list(zip(numbers[::2], numbers[1::2], strict=True))
                if numbers and len(numbers) % 2 == 0
                else None
            )
        if not re.search(r"[A-Za-z]", text):
            text = text.translate(_ARROWS)
        words = re.sub(r"[\s,;>→\-\[\]\"'.]+", " ", text.lower()).split()
        moves = "".join(
            word[0] if word in ("up", "down", "left", "right") else _COMPASS.get(word, word)
            for word in words
            if word not in _PASSED_OVER
        )
        if not moves or any(move not in self._MOVES for move in moves):
            return None
        cell = self.start
        cells = [cell]
        for move in moves:
            cell = (cell[0] + self._MOVES[move][0], cell[1] + self._MOVES[move][1])
            cells.append(cell)
        return cells

    def solution(self) -> str | None:
        return self.path


class NQueens(Puzzle):
    """`{"type": "n_queens", "n": 6}`: an answer is the column of the queen in each row (from 0 or from 1),
    cells
    as (row, column) pairs, or a board of rows in which `Q` is a queen and `.` is empty, or 1 and 0."""

    name = "n_queens"

    def __init__(self, spec: Mapping[str, Any]) -> None:
        (size,) = need(spec, "n", "fixed")
        if type(size) is not int or not (size == 1 or 4 <= size <= 1000):
            raise refuse(spec, "n is 1, or from 4 to 1000")
        self.size = size
        self.fixed = self._given(spec)
        self._solution = spec.get("solution")

    def _given(self, spec: Mapping[str, Any]) -> dict[int, int]:
        given = spec.get("fixed") or {}
        cells = given.items() if isinstance(given, Mapping) else [(given, None)]
        fixed = {str(row): whole_number(column) for row, column in cells}
        if any(not row.isdecimal() or not 0 <= int(row) < self.size for row in fixed) or any(
            column is None or not 0 <= column < self.size for column in fixed.values()
        ):
            raise refuse(spec, f"fixed maps rows to columns, both from 0 to {self.size - 1}")
        return {int(row): column for row, column in fixed.items() if column is not None}

    def check(self, text: str) -> str | None:
        """None for one queen a row, none attacking another, the given ones in place; else what is wrong. Columns may
        count from 0 or from 1."""
        columns = self._columns(text)
        if columns is None or len(columns) != self.size:
            return f"an answer names one column for each of {self.size} rows"
        lowest = 0 if min(columns) == 0 else 1
        columns = [column - lowest for column in columns]
        if sorted(columns) != list(range(self.size)):
            return "two queens share a column"
        if (
            len({c - r for r, c in enumerate(columns)}) < self.size
            or len({c + r for r, c in enumerate(columns)}) < self.size
        ):
            return "two queens share a diagonal"
        if any(columns[row] != column for row, column in self.fixed.items()):
            return "a given queen was moved"
        return None

    def _columns(self, text: str) -> list[int] | None:
        text = text.replace("♛", "Q").replace("♕", "Q")
        if "Q" in text and len(text) < 2 * (self.size + 3) ** 2 + 100:
            rows = [
                re.sub(r"[\s|,\[\]\"']", "", row) for row in re.split(r"\n|/|[\"']\s?,\s?[\"']", text.strip())
            ]
            rows = [row for row in rows if row]
            well_formed = all(
                re.fullmatch(r"[.\-_0*]*Q[.\-_0*]*", row) and len(row) == self.size for row in rows
            )
            return [row.index("Q") for row in rows] if rows and well_formed else None
        numbers = integers(text)
        if numbers is None or len(numbers) == self.size:
            return numbers
        size = self.size
        if len(numbers) == 2 * size and len(re.findall(r"[\[(][^\[\]()]+[\])]", text)) == size:
            return self._of_cells(sorted(zip(numbers[::2], numbers[1::2], strict=True)))
        if len(numbers) == size * size:
            board = [numbers[i : i + size] for i in range(0, size * size, size)]
            one_each = all(sorted(row) == [0] * (size - 1) + [1] for row in board)
            return [row.index(1) for row in board] if one_each else None
        return None

    def _of_cells(self, cells: list[tuple[int, int]]) -> list[int] | None:
        """Columns of queens given as (row, column), rows from 0 or from 1."""
        rows = [row for row, _ in cells]
        return (
            [column for _, column in cells]
            if rows in (list(range(self.size)), list(range(1, self.size + 1)))
            else None
        )

    def solution(self) -> str | None:
        return str(self._solution) if self._solution else None
