"""Every exercise by name."""

from __future__ import annotations

from recipes.gym.boards.graph_colouring import GRAPH_COLOURING
from recipes.gym.boards.graph_path import GRAPH_PATH
from recipes.gym.boards.maze import MAZE
from recipes.gym.boards.pattern import PATTERN
from recipes.gym.boards.sudoku import SUDOKU
from recipes.gym.charts.bar_chart import BAR_CHART
from recipes.gym.charts.clock import CLOCK
from recipes.gym.charts.gauge import GAUGE
from recipes.gym.charts.line_chart import LINE_CHART
from recipes.gym.charts.pie_chart import PIE_CHART
from recipes.gym.charts.receipt import RECEIPT
from recipes.gym.charts.table import TABLE
from recipes.gym.exercise import Exercise
from recipes.gym.films.direction import DIRECTION
from recipes.gym.films.time_span import TIME_SPAN
from recipes.gym.scenes.comparison import COMPARISON
from recipes.gym.scenes.counting import COUNTING
from recipes.gym.scenes.geometry import GEOMETRY
from recipes.gym.scenes.spot_difference import SPOT_DIFFERENCE
from recipes.gym.scenes.widgets import WIDGET_BOX, WIDGET_POINT
from verifiers.errors import BadInput, near_name

CHARTS = (BAR_CHART, LINE_CHART, PIE_CHART, TABLE, CLOCK, GAUGE, RECEIPT)
BOARDS = (MAZE, SUDOKU, GRAPH_PATH, GRAPH_COLOURING, PATTERN)
SCENES = (COUNTING, GEOMETRY, COMPARISON, SPOT_DIFFERENCE, WIDGET_BOX, WIDGET_POINT)
FILMS = (DIRECTION, TIME_SPAN)

EXERCISES: dict[str, Exercise] = {exercise.name: exercise for exercise in (*CHARTS, *BOARDS, *SCENES, *FILMS)}


def exercise_named(name: str) -> Exercise:
    """Raises: BadInput with the near name."""
    if name not in EXERCISES:
        raise BadInput(f"unknown exercise {name!r}{near_name(name, EXERCISES)}")
    return EXERCISES[name]
