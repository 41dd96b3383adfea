"""Questions side by side on one picture, to be looked at."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageSequence

from recipes.gym.exercise import Question

CELL_PX, CAPTION_PX, GAP_PX = 208, 62, 8


def contact_sheet(
    questions: Sequence[Question], num_columns: int, captions: Sequence[str] = ()
) -> Image.Image:
    """Each question's pictures (of a film three frames) over its text and answer, in few colours: files are small."""
    height, num_rows = CELL_PX + CAPTION_PX, -(-len(questions) // num_columns)
    sheet = Image.new("RGB", (num_columns * (CELL_PX + GAP_PX), num_rows * (height + GAP_PX)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for index, question in enumerate(questions):
        row, column = divmod(index, num_columns)
        x, y = column * (CELL_PX + GAP_PX), row * (height + GAP_PX)
        shown = pictures(question)
        side = CELL_PX // len(shown) - (len(shown) > 1)
        for place, picture in enumerate(shown):
            picture.thumbnail((side, side), Image.Resampling.LANCZOS)
            sheet.paste(picture, (x + place * (side + 1), y + CELL_PX - picture.height))
        head = [captions[index]] if captions else []
        lines = [*head, *textwrap.wrap(question.text, 38)][: 4 - bool(head)]
        lines += textwrap.wrap(f"= {question.answer}", 38)[:1]
        draw.multiline_text((x, y + CELL_PX + 2), "\n".join(lines), "black", font, spacing=1)
    return sheet.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)


def pictures(question: Question) -> list[Image.Image]:
    """Those of a question, RGB; of a film three frames."""
    shown = [Image.open(io.BytesIO(image)).convert("RGB") for image in question.images]
    for video in question.videos:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(Image.open(io.BytesIO(video)))]
        shown += [frames[0], frames[len(frames) // 2], frames[-1]]
    return shown
