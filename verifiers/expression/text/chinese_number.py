"""Chinese numerals: 五分之三, 百分之五十, 十五个; 3又2分之1 stays as it is."""

from __future__ import annotations

import re

_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_PLACES = {"十": 10, "百": 100, "千": 1000}
_NUMERAL = r"(\d{1,9}(?:\.\d{1,9})?|[零〇一二两三四五六七八九十百千]{1,9})"
_ANY = re.compile("[零〇一二两三四五六七八九十百千]")
_MEASURE = (
    "[个個只隻条條张張本台辆輛位名朵棵颗顆块塊件把支枝头頭匹座间間层層种種组組杯瓶碗盘盤对對双雙岁歲年月天日号號"
    "元米厘分秒度倍人次页頁集行列样]"
)
# 一共, 一样, 一起 and their like count nothing
_COUNTED = re.compile(
    f"(?<![0-9.第零〇一二两三四五六七八九十百千万亿统唯])(?![十百千][米克瓦升])(?!一[共样起些般定直下致切旦])[零〇一二两三四五六七八九十百千]{{1,9}}"
    f"(?=$|[。，,.、;；)）\\s]|{_MEASURE})"
)
_HALF = re.compile("(?<![一二三四五六七八九十的])一半(?=$|[。，,.])")
_FRACTION = re.compile(f"{_NUMERAL}分之{_NUMERAL}", re.ASCII)


def with_chinese_fractions(text: str) -> str:
    """`text` with 五分之三 as `\\frac{3}{5}` and 百分之五十 as `50\\%`."""
    return _FRACTION.sub(_fraction, text) if "分之" in text else text


def with_chinese_numbers(text: str) -> str:
    """`text` with 十五 as 15 and 一半 as 1/2, where they count: before a measure word, behind 有 or 是, or alone."""
    if text.isascii() or not _ANY.search(text):
        return text
    text = _FRACTION.sub(_plain_fraction, text)
    text = _HALF.sub("1/2", text)
    return _COUNTED.sub(lambda match: str(_value(match.group())), text)


def _plain_fraction(match: re.Match[str]) -> str:
    below, above = match.groups()
    return f"{_value(above)}%" if below == "百" else f"{_value(above)}/{_value(below)}"


def _fraction(match: re.Match[str]) -> str:
    below, above = match.groups()
    if below == "百":
        return f"{_value(above)}\\%"
    return f"\\frac{{{_value(above)}}}{{{_value(below)}}}"


def _value(numeral: str) -> str:
    """`二十五` is 25; digits stay."""
    if numeral[0].isascii():
        return numeral
    total, digit = 0, None
    for char in numeral:
        if char in _PLACES:
            total += (1 if digit is None else digit) * _PLACES[char]
            digit = None
        else:
            digit = _DIGITS[char]
    return str(total + (digit or 0))
