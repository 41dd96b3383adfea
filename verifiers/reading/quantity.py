"""Numbers as people and models write them: separators, signs, exponents, fractions, percent, a unit behind."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from verifiers.reading.plain_text import unstyled
from verifiers.reading.unit_text import CURRENCIES, is_unit

MAX_DIGITS = 400
MAX_EXPONENT = 400
_MINUS = str.maketrans({"−": "-", "–": "-", "—": "-", "－": "-", "﹣": "-", "‐": "-", "‑": "-", "＋": "+"})
_SPACES = "\u00a0\u202f\u2009\u2007 "
_NUMERAL = re.compile(
    rf"[0-9][0-9.,'’_{_SPACES}]*[0-9]\.?|[0-9]\.?|\.[0-9]+",
    re.ASCII,
)
_PLAIN = re.compile(r"(-?)([0-9]{1,30})(?:\.([0-9]{1,30}))?")
_TIMES_TEN = r"\s*(?:[x×*·⋅]|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*[{(]?\s*([-+]?[0-9]{1,6})\s*[})]?"
_EXPONENT = re.compile(rf"[eE]([-+]?[0-9]{{1,6}})(?![0-9.])|{_TIMES_TEN}")
_POWER = re.compile(r"\s*(?:\^|\*\*)\s*(?:\{\s*([-+]?[0-9]{1,4})\s*\}|([-+]?[0-9]{1,4}))(?![0-9.^*])")
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_SUPERSCRIPTS = re.compile("[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_LATEX_FRACTION = re.compile(r"\\[dtc]?frac\s*\{\s*([0-9.,]+)\s*\}\s*\{\s*([0-9.,]+)\s*\}", re.ASCII)
_VULGAR = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5", "⅘": "4/5",
    "⅙": "1/6", "⅚": "5/6", "⅐": "1/7", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8", "⅑": "1/9", "⅒": "1/10",
}  # fmt: skip
_VULGARS = re.compile("(?:(?<=([0-9]))\\s*)?([" + "".join(_VULGAR) + "])")
_SIGN_WORD = re.compile(
    r"(?:minus|negative|moins|menos|meno|минус|负|負|マイナス)\s*(?=[^a-z\s])", re.IGNORECASE
)
_CODE = re.compile(r"(?:US|HK|NT|AU?|CA?|NZ|S|R)(?=\$)|(?:USD|EUR|GBP|INR|CNY|RMB|JPY|Rs\.?)\s*(?=[-0-9.])")
_PERCENT = re.compile(
    r"(?:%|percent(?:age)?\b|per\s?cent\b|pct\b\.?|процент\w*|por ciento\b|pour ?cent\b|prozent\b)\s*",
    re.IGNORECASE,
)
SCALES: dict[str, int | Fraction] = {
    "dozen": 12, "gross": 144,
    "hundred": 100, "thousand": 10**3, "lakh": 10**5, "million": 10**6, "mn": 10**6,
    "mln": 10**6, "mio": 10**6, "crore": 10**7, "billion": 10**9, "bn": 10**9, "bln": 10**9, "mrd": 10**9, "mld": 10**9,
    "trillion": 10**12, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8,
    "halve": Fraction(1, 2), "third": Fraction(1, 3), "fourth": Fraction(1, 4), "quarter": Fraction(1, 4),
    "fifth": Fraction(1, 5), "sixth": Fraction(1, 6), "seventh": Fraction(1, 7), "eighth": Fraction(1, 8),
    "ninth": Fraction(1, 9), "tenth": Fraction(1, 10), "eleventh": Fraction(1, 11), "twelfth": Fraction(1, 12),
    "hundredth": Fraction(1, 100), "thousandth": Fraction(1, 1000),
}  # fmt: skip
SCALE_WORDS = "|".join(SCALES)
_SCALE = re.compile(rf"(\W?)\s*({SCALE_WORDS})(s?)(?![a-z])\s*", re.IGNORECASE)
_LETTER_SCALES = {"k": 10**3, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


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


def read_quantity(text: str, letters: str = "k") -> Quantity | None:
    """The one quantity that `text` consists of, or None: other words, or a second number, make it None.

    Understood: `-1,234.5`, `$5`, `5 m/s`, `12 %`, `3/4`, `1 1/2`, `2½`, `\\frac{3}{4}`, `1.2e-3`, `1.2 × 10^{-3}`,
    `10⁶`, `3.2 million`, `1.5k` (one of `letters`, close behind), `minus 5`, Unicode digits and minus signs.
    What stands behind must be a unit or a counted noun (`unit_text.is_unit`).
    """
    if plain := _PLAIN.fullmatch(text):
        return _of_digits(*plain.groups(""))
    if len(text) > 4 * MAX_DIGITS:
        return None
    body = _without_brackets(_plain_text(text))
    sign, prefix, body = _before(body)
    found = _value(body)
    if found is None:
        return None
    value, places, digits, rest = found
    return _with_unit(sign * value, places, digits, prefix, rest, letters)


def _of_digits(sign: str, whole: str, decimals: str) -> Quantity:
    digits = whole + decimals
    value = Fraction(int(sign + digits), 10 ** len(decimals))
    return Quantity(value, "", False, len(decimals), max(1, len(digits.lstrip("0"))))


def _before(body: str) -> tuple[int, str, str]:
    """Sign, currency, and what follows them."""
    sign, prefix = 1, ""
    for _ in range(4):
        if word := _SIGN_WORD.match(body):
            sign, body = -sign, body[word.end() :]
        elif body[:1] in ("-", "+"):
            sign, body = -sign if body[0] == "-" else sign, body[1:].lstrip()
        elif code := _CODE.match(body):
            prefix, body = code.group().strip(), body[code.end() :]
        elif body[:1] and body[0] in CURRENCIES:
            prefix, body = prefix + body[0], body[1:].lstrip()
        else:
            break
    return sign, prefix, body


def _value(body: str) -> tuple[Fraction, int | None, int | None, str] | None:
    """Value, places, digits and what is left of an unsigned number in any of the forms."""
    if fraction := _LATEX_FRACTION.match(body):
        part = _quotient(fraction.group(1), fraction.group(2))
        return (part, None, None, body[fraction.end() :]) if part is not None else None
    match = _NUMERAL.match(body)
    if match is None:
        return None
    numeral = match.group().rstrip(".")
    rest = body[match.start() + len(numeral) :]
    mixed = re.match(r"([0-9]{1,40})[ ]+([0-9]{1,40})$", numeral)
    if mixed and (below := re.match(r"\s*/\s*([0-9]{1,40})(?![0-9.,])", rest)):
        part = _quotient(mixed.group(2), below.group(1))
        whole = int(mixed.group(1))
        return (whole + part, None, None, rest[below.end() :]) if part is not None else None
    first = read_numeral(numeral)
    if first is None:
        return None
    value, places, digits = first
    if ratio := re.match(r"\s*/\s*([0-9][0-9.,]*)", rest):
        part = _quotient(numeral, ratio.group(1).rstrip(".,"))
        return (part, None, None, rest[ratio.end() :]) if part is not None else None
    if numeral.isdecimal() and (fraction := _LATEX_FRACTION.match(rest)):  # 2\frac{1}{2}
        part = _quotient(fraction.group(1), fraction.group(2))
        return (value + part, None, None, rest[fraction.end() :]) if part and part < 1 else None
    if exponent := _EXPONENT.match(rest):
        power = int(exponent.group(1) or exponent.group(2))
        if abs(power) > MAX_EXPONENT:
            return None
        return value * Fraction(10) ** power, max(0, places - power), digits, rest[exponent.end() :]
    if raised := _POWER.match(rest):
        power = int(raised.group(1) or raised.group(2))
        if abs(power) * len(numeral) > MAX_EXPONENT or not value:
            return None
        return value**power, None, None, rest[raised.end() :]
    return value, places, digits, rest


def _quotient(top: str, bottom: str) -> Fraction | None:
    above, below = read_numeral(top), read_numeral(bottom)
    return above[0] / below[0] if above and below and below[0] else None


def _plain_text(text: str) -> str:
    body = unstyled(text)
    if not body.isascii():
        body = _SUPERSCRIPTS.sub(lambda m: "^{" + m.group().translate(_SUPERSCRIPT) + "}", body)
        body = with_plain_fractions(body)
        body = "".join(c if c in "℃℉′″Ω" else _compatible(c) for c in body)
        body = "".join(c if c.isascii() else str(unicodedata.decimal(c, c)) for c in body)
    body = body.translate(_MINUS)
    body = re.sub(
        r"\\(?:text|mathrm|mbox|textbf|mathbf|boldsymbol|bm|mathit|mathsf)\s*\{([^{}]*)\}", r" \1", body
    )
    body = re.sub(r"\^\s*\{?\s*\\circ\s*\}?\s*", "°", body)
    for command, sign in (
        ("\\%", "%"), ("\\$", "$"), ("{,}", ","), ("\\,", " "), ("\\!", ""), ("\\ ", " "), ("\\;", " "), ("\\:", " "),
        ("~", " "), ("\\left", ""), ("\\right", ""), ("\\degree", "°"), ("\\Omega", "Ω"), ("\\quad", " "),
    ):  # fmt: skip
        body = body.replace(command, sign)
    body = body.strip().strip("`*").strip()
    body = re.sub(r"^__(.+)__$", r"\1", body)
    if len(body) > 1 and body.startswith("$") and body.endswith("$"):
        body = body.strip("$").strip()
    elif body.endswith("$") and "$" not in body[:-1]:
        body = "$" + body[:-1].strip()
    return body.rstrip(".。") if not re.search(r"[A-Za-z]\.$", body) else body


def with_plain_fractions(text: str) -> str:
    """`2½` as `2 1/2`."""
    if text.isascii():
        return text
    return _VULGARS.sub(lambda m: (" " if m.group(1) else "") + _VULGAR[m.group(2)], text)


def _compatible(char: str) -> str:
    """NFKC of a character; a lowered digit keeps a sign that it is one."""
    if unicodedata.decomposition(char).startswith("<sub>"):
        return "_" + unicodedata.normalize("NFKC", char)
    return unicodedata.normalize("NFKC", char)


def _without_brackets(body: str) -> str:
    """`7` of `{7}`, `[7]`, `(7)`."""
    while len(body) > 2 and body[0] + body[-1] in ("{}", "[]", "()") and not set(body[1:-1]) & set("{}[]()"):
        body = body[1:-1].strip()
    return body


def _with_unit(
    value: Fraction, places: int | None, digits: int | None, prefix: str, rest: str, letters: str
) -> Quantity | None:
    if rest[:1] and rest[0] in letters and not re.match(r"[^\W\d_]|[²³^]", rest[1:]):
        value, places, rest = value * _LETTER_SCALES[rest[0]], None, rest[1:]
    rest = rest.strip()
    if scale := _SCALE.match(rest):
        word = scale.group(2).lower()
        factor = SCALES[word]
        counts = isinstance(factor, int) or scale.group(3) or value == 1
        if counts and (word != "gross" or (not prefix and _is_gross(value, rest))):
            value, places, rest = value * factor, None, f"{scale.group(1)} {rest[scale.end() :]}".strip()
    if percent := _PERCENT.match(rest):
        rest = rest[percent.end() :].strip(" .")
        if rest and rest != "points" and not (re.match(r"(?:of|the)\b", rest) and is_unit(rest)):
            return None
        return Quantity(value, "", True, places, digits)
    if not is_unit(rest):
        return None
    unit = (prefix + " " + rest).strip() if prefix and rest else prefix or rest
    return Quantity(value, unit, False, places, digits)


def _is_gross(value: Fraction, rest: str) -> bool:
    """`5 gross` is 720; `$5 gross`, `5% gross`, `50,000 gross` and `5 gross tons` are not."""
    return value.denominator == 1 and value < 100 and rest.rstrip(" .,").lower() == "gross"
