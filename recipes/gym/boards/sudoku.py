"""A sudoku of 4 x 4, 6 x 6 or 9 x 9 cells with one solution."""

from __future__ import annotations

import random

from recipes.gym.canvas import BLACK, GREY, WHITE, Canvas, tint
from recipes.gym.exercise import Exercise, Question, boxed

FORM = "Answer with all rows, digits only, a comma between rows."
WORDINGS = (
    f"Solve the sudoku. {FORM}",
    f"Fill the empty cells of the sudoku. {FORM}",
    f"Complete the grid by the rules of sudoku. {FORM}",
)
SIZES = ((4, 2, 2), (6, 2, 3), (9, 3, 3))  # cells a side, and a box's height and width

Grid = list[int]  # row by row, 0 for an empty cell


def draw(rng: random.Random, difficulty: float, px: int) -> Question:
    """Larger grids; within a size more cells are empty."""
    band, within = min(int(3 * difficulty), 2), 3 * difficulty - min(int(3 * difficulty), 2)
    shape = SIZES[band]
    size = shape[0]
    solution = _filled(shape, rng)
    most_empty = round(size**2 * (0.2 + 0.3 * within))
    grid = _with_holes(solution, shape, most_empty, rng)
    canvas = Canvas(px, tint(rng))
    cell = 990 / size
    for cell_index, digit in enumerate(grid):
        row, column = divmod(cell_index, size)
        corner = (5 + column * cell, 5 + row * cell, 5 + (column + 1) * cell, 5 + (row + 1) * cell)
        canvas.box(corner, WHITE, GREY, 4)
        if digit:
            canvas.text(
                (5 + (column + 0.5) * cell, 5 + (row + 0.5) * cell), str(digit), size=px * 0.55 / size
            )
    for line in range(0, size + 1, shape[1]):
        canvas.line([(5, 5 + line * cell), (995, 5 + line * cell)], BLACK, 11)
    for line in range(0, size + 1, shape[2]):
        canvas.line([(5 + line * cell, 5), (5 + line * cell, 995)], BLACK, 11)
    rows, solved = (
        [cells[start : start + size] for start in range(0, size**2, size)] for cells in (grid, solution)
    )
    return Question(
        text=rng.choice(WORDINGS),
        reference={"type": "sudoku", "grid": rows, "solution": solved},
        answer=boxed(_written(solved)),
        load=grid.count(0),
        images=(canvas.png(),),
        thought=_written(rows),
    )


def _written(rows: list[Grid]) -> str:
    """Digits only, a comma between rows; an empty cell is 0."""
    return ",".join("".join(map(str, row)) for row in rows)


def _filled(shape: tuple[int, int, int], rng: random.Random) -> Grid:
    """A regular solution with its digits, rows, columns, and bands of them, in another order."""
    size, height, width = shape

    def order(band: int) -> list[int]:
        bands = rng.sample(range(size // band), size // band)
        return [one * band + line for one in bands for line in rng.sample(range(band), band)]

    rows, columns, digits = order(height), order(width), rng.sample(range(1, size + 1), size)
    return [
        digits[(width * (row % height) + row // height + column) % size] for row in rows for column in columns
    ]


def _with_holes(solution: Grid, shape: tuple[int, int, int], most: int, rng: random.Random) -> Grid:
    """Cells emptied one after another as long as no second solution appears."""
    grid = list(solution)
    for cell in rng.sample(range(len(grid)), len(grid)):
        if grid.count(0) == most:
            break
        digit, grid[cell] = grid[cell], 0
        others = [other for other in _candidates(grid, cell, shape) if other != digit]
        if any(_is_solvable([*grid[:cell], other, *grid[cell + 1 :]], shape) for other in others):
            grid[cell] = digit
    return grid


def _is_solvable(grid: Grid, shape: tuple[int, int, int]) -> bool:
    """By filling the cell with the fewest candidates first; the grid is left as it is then."""
    candidates = [(_candidates(grid, cell, shape), cell) for cell, digit in enumerate(grid) if not digit]
    if not candidates:
        return True
    digits, cell = min(candidates, key=lambda one: len(one[0]))
    for digit in digits:
        grid[cell] = digit
        if _is_solvable(grid, shape):
            return True
    grid[cell] = 0
    return False


def _candidates(grid: Grid, cell: int, shape: tuple[int, int, int]) -> list[int]:
    size, height, width = shape
    row, column = divmod(cell, size)
    top, left = row - row % height, column - column % width
    taken = {*grid[row * size : (row + 1) * size], *grid[column::size]}
    for line in range(top, top + height):
        taken.update(grid[line * size + left : line * size + left + width])
    return [digit for digit in range(1, size + 1) if digit not in taken]


SUDOKU = Exercise("sudoku", "a sudoku solved", "puzzle", draw, easy_px=112, hard_px=256)
