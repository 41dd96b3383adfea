"""Points in a picture: reading them out of text, in the forms in which vision-language models point."""

from __future__ import annotations

import re

from verifiers.reading.places.coordinates import (
    NUMBER,
    final_statement,
    number_groups,
    plain_numbers,
    unbracketed,
)

Point = tuple[float, float]
_POINT = re.compile(
    r"<point>([^<>]{0,200})</point>|<points?\s((?:[^<>\"']|\"[^\"]{0,200}\"|'[^']{0,400}'){1,1000})>",
    re.IGNORECASE,
)
_ATTRIBUTE = re.compile(
    rf"\b([xy])(\d{{0,3}})\s?=\s?[\"']?\s?({NUMBER})(?![\w.])\s?%?[\"']?", re.ASCII | re.IGNORECASE
)
_QUOTED_TEXT = re.compile(
    r"\b(?![xy]\d{0,3}\s?=)\w{1,20}\s?=\s?(?:\"[^\"]*\"|'[^']*')", re.ASCII | re.IGNORECASE
)
_TOKENS = re.compile(
    r"<(?:\|box_start\||\|point_start\||box|click)>([^<>]{0,200})<(?:\|box_end\||\|point_end\||/box|/click)>",
    re.IGNORECASE,
)
_KEYED = re.compile(
    r"[\"'](?:point(?:_?2d)?|coordinates?|position|location|center)[\"']\s{0,5}:\s{0,5}([\[{(][^\[\]{}()]{0,200}[\]})])",
    re.IGNORECASE,
)
_BRACKETS = re.compile(r"[\[\](){}]")


def tagged_points(text: str, percent: float = 10.0) -> list[Point | None]:
    """Every `<point>x y</point>`, `<point x="..." y="...">`, `<points x1="..." y1="..." ...>`; None for a tag with no
    point. Attributes that all have a decimal point and are at most 100 are percent of the picture, as Molmo
    writes them (Deitke et al. 2024, arXiv 2409.17146), and `percent` is what one percent is worth; 0: as they stand.
    """
    found: list[Point | None] = []
    for match in _POINT.finditer(text):
        if match.group(1) is not None:
            found.append(_two_numbers(match.group(1)))
        else:
            found.extend(_attributes(match.group(2), percent) or [None])
    return found


def written_points(text: str, percent: float = 10.0) -> list[Point | None]:
    """Points in the first of these forms that the text holds: a point tag; tokens (`<|box_start|>(1,2)<|box_end|>`,
    `<click>`); a JSON key (`point_2d`, `coordinate`); brackets or names in the final statement: `(1, 2)`, `[1, 2]`,
    `click(x=1, y=2)`, `x: 1, y: 2`. None stands for a tag without a point.
    """
    if found := tagged_points(text, percent):
        return found
    for wrapper in (_TOKENS, _KEYED):
        if contents := [match.group(1) for match in wrapper.finditer(text)]:
            return [point for content in contents for point in _bracketed(content) or [_two_numbers(content)]]
    return final_statement(text, _bracketed)


def _bracketed(text: str) -> list[Point | None]:
    groups = number_groups(text)
    found: list[Point | None] = [(g.numbers[0], g.numbers[1]) for g in groups if len(g.numbers) == 2]
    numbers = None if groups else unbracketed(text)
    return [(numbers[0], numbers[1])] if numbers is not None and len(numbers) == 2 else found


def _two_numbers(text: str) -> Point | None:
    numbers = plain_numbers(_BRACKETS.sub(" ", text))
    return (numbers[0], numbers[1]) if numbers is not None and len(numbers) == 2 else None


def _attributes(text: str, percent: float) -> list[Point]:
    values: dict[str, dict[str, str]] = {"x": {}, "y": {}}
    for axis, number, value in _ATTRIBUTE.findall(_QUOTED_TEXT.sub(" ", text)):
        values[axis.lower()][number] = value
    if not values["x"] or set(values["x"]) != set(values["y"]):
        return []
    written = [*values["x"].values(), *values["y"].values()]
    is_percent = all("." in value and 0 <= float(value) <= 100 for value in written)
    scale = percent if percent and is_percent else 1.0
    return [(float(values["x"][n]) * scale, float(values["y"][n]) * scale) for n in values["x"]]
