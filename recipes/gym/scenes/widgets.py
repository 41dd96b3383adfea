"""A widget on a screen: where it is, and where to click."""

from __future__ import annotations

import random

from recipes.gym.exercise import Exercise, Question, between
from recipes.gym.scenes.screen import draw_screen

BOX_FORM = "Without a name beside or above it. Answer as <bbox>x1 y1 x2 y2</bbox>, from 0 to 999."
BOX_WORDINGS = (
    f"Where is the {{kind}} {{name}}? {BOX_FORM}",
    f"Find the {{kind}} {{name}}. {BOX_FORM}",
    f"Box the {{kind}} {{name}}. {BOX_FORM}",
)
POINT_FORM = "Answer as <point>x y</point>, from 0 to 999."
POINT_WORDINGS = (
    f"Click the {{kind}} {{name}}. {POINT_FORM}",
    f"Point at the {{kind}} {{name}}. {POINT_FORM}",
    f"Where do you click for the {{kind}} {{name}}? {POINT_FORM}",
)


def draw_box(rng: random.Random, difficulty: float, px: int) -> Question:
    """More widgets."""
    return _question(rng, difficulty, px, BOX_WORDINGS, "bbox")


def draw_point(rng: random.Random, difficulty: float, px: int) -> Question:
    """More widgets."""
    return _question(rng, difficulty, px, POINT_WORDINGS, "point")


def _question(
    rng: random.Random, difficulty: float, px: int, wordings: tuple[str, ...], form: str
) -> Question:
    num_rows, num_columns = between(difficulty, 2, 7), between(difficulty, 1, 3)
    widgets, png = draw_screen(rng, num_rows, num_columns, px)
    widget = rng.choice(widgets)
    x1, y1, x2, y2 = widget.box
    shown = (x1, y1, x2, y2) if form == "bbox" else ((x1 + x2) // 2, (y1 + y2) // 2)
    return Question(
        text=rng.choice(wordings).format(kind=widget.kind, name=widget.name),
        reference=[list(widget.box if form == "bbox" else widget.area)],
        answer=f"<{form}>{' '.join(map(str, shown))}</{form}>",
        load=len(widgets),
        images=(png,),
    )


WIDGET_BOX = Exercise("widget_box", "the box of a widget", "bbox_iou", draw_box, easy_px=128, hard_px=416)
WIDGET_POINT = Exercise(
    "widget_point", "where to click a widget", "point_in_box", draw_point, easy_px=128, hard_px=416
)
