"""Numbers as people and models write them: separators, signs, exponents, fractions, percent, a unit behind."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

MAX_DIGITS = 400
MAX_EXPONENT = 400
_MINUS = str.maketrans({"−": "-", "–": "-", "—": "-", "－": "-", "﹣": "-", "‐": "-", "‑": "-", "＋": "+"})
_CURRENCY = "$€£¥₹₽₩₺฿"
_SPACES = "\u00a0\u202f\u2009\u2007 "
_PLAIN = re.compile(
    r"(\d+)?(?:\.(\d*))?(?:\s*(?:[eE]|(?:[x×*·]|\\times|\\cdot)\s*10\s*(?:\^|\*\*))\s*\{?\s*([-+]?\d{1,6})\s*\}?)?",
    re.ASCII,
)
_NUMERAL = re.compile(
    rf"[0-9][0-9.,'’_{_SPACES}]*[0-9]\.?|[0-9]\.?|\.[0-9]+",
    re.ASCII,
)
_EXPONENT = re.compile(
    r"[eE]([-+]?[0-9]{1,6})(?![0-9.])|\s*(?:[x×*·⋅]|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*[{(]?\s*([-+]?[0-9]{1,6})\s*[})]?"
    r"|\s*(?:[x×*·⋅]|\\times|\\cdot)\s*10([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,6})"
)
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_LATEX_FRACTION = re.compile(r"\\[dtc]?frac\s*\{\s*([0-9.,]+)\s*\}\s*\{\s*([0-9.,]+)\s*\}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact value with the way it was written.

    value      exact, percent sign not applied (`5%` has value 5)
    unit       what stood behind or before the number, stripped; currency signs included
    percent    a percent sign or word followed
    places     digits written after the decimal point (None for a fraction)
    digits     significant digits written (None for a fraction)
    """

    value: Fraction
    unit: str = ""
    percent: bool = False
    places: int | None = 0
    digits: int | None = 1

    @property
    def fraction_of_one(self) -> Fraction:
        """The value with the percent sign applied."""
        return self.value / 100 if self.percent else self.value


def read_numeral(text: str) -> tuple[Fraction, int, int] | None:
    """(value, decimal places, significant digits) of an unsigned numeral with separators, or None.

    One comma or point followed by exactly three digits after one to three is a thousands comma (`1,234`) or a
    decimal point (`1.234`); `1,22` is a decimal comma; `1.234.567` and `1.234,5` are continental; blanks,
    apostrophes and underscores group thousands.
    """
    compact = re.sub(rf"(?<=[0-9])['’_{_SPACES}](?=[0-9]{{3}}(?![0-9]))", "", text)
    if any(c in compact for c in "'’_" + _SPACES) or len(compact) > MAX_DIGITS:
        return None
    commas, points = compact.count(","), compact.count(".")
    if commas and points:
        group, point = (",", ".") if compact.rfind(".") > compact.rfind(",") else (".", ",")
        if compact.count(point) > 1 or not _grouped(compact.split(point)[0], group):
            return None
        compact = compact.replace(group, "").replace(point, ".")
    elif commas:
        if _grouped(compact, ","):
            compact = compact.replace(",", "")
        elif commas == 1:
            compact = compact.replace(",", ".")
        else:
            return None
    elif points > 1:
        if not _grouped(compact, "."):
            return None
        compact = compact.replace(".", "")
    whole, _, decimals = compact.partition(".")
    if not (whole + decimals).isdecimal():
        return None
    significant = (whole + decimals).lstrip("0")
    return Fraction(int(whole + decimals), 10 ** len(decimals)), len(decimals), max(1, len(significant))


def _grouped(text: str, separator: str) -> bool:
    """True for `1,234` or `12,345,678`: a first group of one to three digits, not `0`, then groups of three."""
    first, *rest = text.split(separator)
    return bool(rest) and 1 <= len(first) <= 3 and first != "0" and all(len(g) == 3 for g in rest)


def read_quantity(text: str) -> Quantity | None:
    """The one quantity that `text` consists of, or None: other words, or a second number, make it None.

    Understood: `-1,234.5`, `$5`, `5 m/s`, `12 %`, `12 percent`, `3/4`, `1 1/2`, `\\frac{3}{4}`, `1.2e-3`,
    `1.2 × 10^{-3}`, Unicode digits and minus signs.
    """
    if len(text) > 4 * MAX_DIGITS:
        return None
    body = _plain_text(text)
    sign, body = _sign(body)
    prefix = ""
    while body and body[0] in _CURRENCY:
        prefix, body = body[0], body[1:].lstrip()
        inner, body = _sign(body)
        sign *= inner
    fraction = _LATEX_FRACTION.match(body)
    if fraction:
        top, bottom = read_numeral(fraction.group(1)), read_numeral(fraction.group(2))
        if top is None or bottom is None or not bottom[0]:
            return None
        return _with_unit(sign * top[0] / bottom[0], None, None, prefix, body[fraction.end() :])
    match = _NUMERAL.match(body)
    if match is None:
        return None
    numeral = match.group().rstrip(".")
    first = read_numeral(numeral)
    rest = body[match.start() + len(numeral) :]
    mixed = re.match(r"([0-9]+)[ ]+([0-9]+)$", numeral)
    if mixed and re.match(r"\s*/\s*[0-9]", rest):
        first, second = read_numeral(mixed.group(1)), read_numeral(mixed.group(2))
    else:
        second = None
    if first is None:
        return None
    value, places, digits = first
    if second is not None:
        bottom_match = re.match(r"\s*/\s*([0-9]+)", rest)
        assert bottom_match is not None
        bottom_value = int(bottom_match.group(1)[:MAX_DIGITS])
        if not bottom_value:
            return None
        value = value + second[0] / bottom_value
        return _with_unit(sign * value, None, None, prefix, rest[bottom_match.end() :])
    ratio = re.match(r"\s*/\s*([0-9][0-9.,]*)", rest)
    if ratio:
        bottom = read_numeral(ratio.group(1).rstrip(".,"))
        if bottom is None or not bottom[0]:
            return None
        return _with_unit(sign * value / bottom[0], None, None, prefix, rest[ratio.end() :])
    exponent = _EXPONENT.match(rest)
    if exponent:
        raw = exponent.group(1) or exponent.group(2) or (exponent.group(3) or "").translate(_SUPERSCRIPT)
        power = int(raw)
        if abs(power) > MAX_EXPONENT:
            return None
        value *= Fraction(10) ** power
        places = max(0, places - power)
        rest = rest[exponent.end() :]
    return _with_unit(sign * value, places, digits, prefix, rest)


def _plain_text(text: str) -> str:
    body = (
        unicodedata.normalize("NFKC", text.replace("²", "^2").replace("³", "^3"))
        if not text.isascii()
        else text
    )
    if not body.isascii():
        body = "".join(c if c.isascii() else str(unicodedata.decimal(c, c)) for c in body)
    body = body.translate(_MINUS)
    body = re.sub(r"\\(?:text|mathrm|mbox|textbf|mathbf)\s*\{([^{}]*)\}", r" \1", body)
    body = (
        body.replace("\\%", "%").replace("\\$", "$").replace("{,}", ",").replace("\\,", " ").replace("~", " ")
    )
    body = body.replace("\\!", "").replace("\\ ", " ").replace("\\left", "").replace("\\right", "")
    body = body.strip().strip("`*").strip()
    if len(body) > 1 and body.startswith("$") and body.endswith("$"):
        body = body.strip("$").strip()
    elif body.endswith("$") and "$" not in body[:-1]:
        body = "$" + body[:-1].strip()
    return body.rstrip(".") if not re.search(r"[A-Za-z]\.$", body) else body


def _sign(body: str) -> tuple[int, str]:
    sign = 1
    if body[:1] in ("-", "+"):
        sign = -1 if body[0] == "-" else 1
        body = body[1:].lstrip()
    return sign, body


def _with_unit(
    value: Fraction, places: int | None, digits: int | None, prefix: str, rest: str
) -> Quantity | None:
    rest = rest.strip()
    if re.match(r"(?:%|percent(?:age)?\b|per\s?cent\b|pct\b\.?)", rest, re.IGNORECASE):
        rest = re.sub(r"^(?:%|percent(?:age)?|per\s?cent|pct\.?)\s*", "", rest, flags=re.IGNORECASE).strip()
        if rest and rest not in (".", "points"):
            return None
        return Quantity(value, "", True, places, digits)
    if re.search(r"(?<![\^*/A-Za-z])[0-9]", rest) or len(rest) > 40:
        return None
    if re.search(r"[=<>≈~,;:|\\]", rest):
        return None
    return Quantity(
        value, (prefix + " " + rest).strip() if prefix and rest else prefix or rest, False, places, digits
    )
