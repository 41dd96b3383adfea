"""A square picture on which exercises draw, in units that do not depend on its size."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont

UNITS = 1000  # of a side, as boxes in answers count
FINER = 2  # drawn so much larger, then averaged: smooth edges

Colour = tuple[int, int, int]
Place = tuple[float, float]

BLACK, WHITE, GREY, PALE = (25, 25, 25), (255, 255, 255), (140, 140, 140), (224, 224, 224)
COLOURS: dict[str, Colour] = {
    "red": (214, 39, 40),
    "blue": (35, 90, 200),
    "green": (40, 150, 60),
    "yellow": (245, 205, 30),
    "purple": (140, 70, 170),
    "orange": (250, 130, 20),
    "brown": (120, 72, 40),
    "pink": (245, 140, 190),
}


def tint(rng: random.Random) -> Colour:
    """Nearly white: no two pictures need be the same."""
    return rng.randint(232, 255), rng.randint(232, 255), rng.randint(232, 255)


class Canvas:
    """Places and lengths are in thousandths of a side from the top left; sizes of texts in pixels."""

    def __init__(self, px: int, background: Colour = WHITE) -> None:
        self.px = px
        self.text_px = max(10, round(px / 24))
        self._scale = px * FINER / UNITS
        self._image = Image.new("RGB", (px * FINER, px * FINER), background)
        self._draw = ImageDraw.Draw(self._image)

    def units(self, px: float) -> float:
        """How long so many pixels are."""
        return px * UNITS / self.px

    def line(self, places: Sequence[Place], colour: Colour, width: float = 8) -> None:
        self._draw.line(self._at(places), colour, self._width(width), joint="curve")

    def box(
        self,
        box: tuple[float, float, float, float],
        fill: Colour | None = None,
        outline: Colour | None = None,
        width: float = 6,
        radius: float = 0,
    ) -> None:
        """x1, y1, x2, y2."""
        corners = self._at([box[:2], box[2:]])
        self._draw.rounded_rectangle(corners, radius * self._scale, fill, outline, self._width(width))

    def disc(
        self,
        centre: Place,
        radius: float,
        fill: Colour | None,
        outline: Colour | None = None,
        width: float = 6,
    ) -> None:
        (x, y) = centre
        corners = self._at([(x - radius, y - radius), (x + radius, y + radius)])
        self._draw.ellipse(corners, fill, outline, self._width(width))

    def polygon(
        self, places: Sequence[Place], fill: Colour | None, outline: Colour | None = None, width: float = 6
    ) -> None:
        self._draw.polygon(self._at(places), fill, outline, self._width(width))

    def sector(self, centre: Place, radius: float, start: float, end: float, fill: Colour) -> None:
        """Of a disc, from ``start`` to ``end`` in degrees clockwise from the right."""
        (x, y) = centre
        corners = self._at([(x - radius, y - radius), (x + radius, y + radius)])
        self._draw.pieslice(corners, start, end, fill, WHITE, self._width(5))

    def text(
        self,
        place: Place,
        text: str,
        *,
        size: float | None = None,
        colour: Colour = BLACK,
        anchor: str = "mm",
    ) -> None:
        """``anchor`` is Pillow's: `mm` stands in the middle of the place, `lm` right of it."""
        font = _font(round((size or self.text_px) * FINER))
        self._draw.text(self._at([place])[0], text, colour, font, anchor)

    def width_of(self, text: str, size: float | None = None) -> float:
        """How wide a text is."""
        return self.units(_font(round((size or self.text_px) * FINER)).getlength(text) / FINER)

    def image(self) -> Image.Image:
        """What has been drawn, [px, px] RGB."""
        return self._image.reduce(FINER)

    def png(self) -> bytes:
        return png_of(self.image())

    def _at(self, places: Sequence[Place]) -> list[Place]:
        return [(x * self._scale, y * self._scale) for x, y in places]

    def _width(self, units: float) -> int:
        return max(FINER, round(units * self._scale))


def png_of(image: Image.Image) -> bytes:
    """Encoded as it is."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def film_of(frames: Sequence[Image.Image], seconds_per_frame: float) -> bytes:
    """A GIF. Each frame must differ from the one before: equal ones would be joined."""
    buffer = io.BytesIO()
    plain = [frame.quantize(palette=_palette(), dither=Image.Dither.NONE) for frame in frames]
    plain[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=plain[1:],
        duration=round(1000 * seconds_per_frame),
        loop=0,
    )
    return buffer.getvalue()


@cache
def _palette() -> Image.Image:
    """All colours there are, and each on its way to white and to black: edges are smooth."""
    shades = [
        tuple(round(one + (end - one) * share) for one in colour)
        for colour in (BLACK, GREY, PALE, *COLOURS.values())
        for end, share in ((255, 0), (255, 0.35), (255, 0.7), (0, 0.5))
    ]
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for shade in (WHITE, *shades) for value in shade])
    return palette


@cache
def _font(px: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(px)  # one that is in Pillow, so every machine draws the same
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow is built with FreeType"
    return font
