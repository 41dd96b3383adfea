"""One notation for many: Unicode symbols, typography and LaTeX styling become a small ASCII LaTeX."""

from __future__ import annotations

import re
import unicodedata

from verifiers.expression.text.chinese_number import with_chinese_fractions, with_chinese_numbers
from verifiers.expression.text.written_sign import with_signs
from verifiers.reading.final_line import closing_brace
from verifiers.reading.plain_text import unstyled

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱˣ", "0123456789+-()nix")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋ₙᵢₖₓ", "0123456789+-nikx")
_SUPERSCRIPT_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱˣ]+")
_SUBSCRIPT_RUN = re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋ₙᵢₖₓ]+")
_VULGAR = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5),
    "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅐": (1, 7), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8),
    "⅑": (1, 9), "⅒": (1, 10),
}  # fmt: skip
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξρστυφχψωΓΔΘΛΞΣΦΨΩϕϵ",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi "
        "psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega phi epsilon".split(),
        strict=True,
    )
)
_SIGNS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "﹣": "-", "－": "-", "×": r"\times ", "✕": r"\times ",
    "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "•": r"\cdot ", "∗": "*", "÷": r"\div ", "∕": "/", "⁄": "/",
    "≤": r"\le ", "⩽": r"\le ", "≦": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≧": r"\ge ", "≠": r"\ne ",
    "≈": r"\approx ", "≃": r"\approx ", "≅": r"\approx ", "≐": r"\approx ", "≡": r"\equiv ",
    "∈": r"\in ", "∉": r"\notin ", "∪": r"\cup ", "∩": r"\cap ",
    "∠": r"\angle ", "△": r"\triangle ", "∖": r"\setminus ", "∅": r"\emptyset ", "⌀": r"\emptyset ",
    "∞": r"\infty ", "π": r"\pi ",
    "𝜋": r"\pi ", "∏": r"\prod ",
    "√": r"\sqrt ", "∛": r"\cbrt ", "∜": r"\fourthroot ", "±": r"\pm ", "∓": r"\mp ", "°": r"^{\circ}",
    "º": r"^{\circ}",
    "˚": r"^{\circ}", "℃": r"^{\circ}C", "℉": r"^{\circ}F", "′": "'", "’": "'", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}",
    "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}", "⟨": r"\langle ", "⟩": r"\rangle ", "〈": r"\langle ",
    "〉": r"\rangle ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "…": r"\ldots ",
    "⋯": r"\ldots ", "、": ",", "；": ";", "。": ".", "“": '"', "”": '"', "∧": " and ", "∨": " or ", "∶": ":", "∣": "|",
    "\u200b": "", "\u200c": "", "\u200d": "", "\ufeff": "", "\u2060": "", "\u2061": "", "\u2062": "", "\xad": "",
    "㎡": r" \text{m}^2", "㎥": r" \text{m}^3", "㎠": r" \text{cm}^2", "㎝": r" \text{cm}", "㎜": r" \text{mm}",
    "㎞": r" \text{km}", "㎏": r" \text{kg}",
    "\ufe0e": "", "\ufe0f": "", "\u200e": "", "\u200f": "", "\u20e3": "", "→": r"\to ", "⟶": r"\to ", "➔": r"\to ",
    "⇒": r"\Rightarrow ", "⟹": r"\Rightarrow ", "∴": r"\therefore ",
}  # fmt: skip
_SIGN = re.compile("[" + "".join(map(re.escape, [*_SIGNS, *_VULGAR, *_GREEK])) + "]")
_STYLE = re.compile(
    r"\\(?:left|right|bigl|bigr|Bigl|Bigr|biggl|biggr|Biggl|Biggr|big|Big|bigg|Bigg|displaystyle|textstyle|limits"
    r"|nolimits|mathstrut|strut|allowbreak|nobreak|rm|bf|it)(?![A-Za-z])\.?"
)
_SPACING = re.compile(
    r"(?<!\\)\\(?:[,;:!> ]|quad\b|qquad\b|thinspace\b|enspace\b|hfill\b|hspace\s*\*?\{[^{}]*\}|phantom\s*\{[^{}]*\})"
)
_BLANK_GROUPS = re.compile(r"(?<![\d.,])\b[1-9]\d{0,2}(?: \d{3})+(?![\d/]| \d)", re.ASCII)
_TIGHT_COMMA = re.compile(r"(?<=\d),\s*\\!\s*(?=\d{3})")
_DIGIT_COMMA = re.compile(r"(?<=\d)\s*\{\s*,\s*\}\s*(?=\d)")
_UNDERSCORES = re.compile(r"(?<![\w.])\d{1,3}(?:_\d{3})+(?![\w{])", re.ASCII)  # 1_000_000
_TIMES_TEN = re.compile(r"(?<=\d)\s?[xX]\s?(?=10\s?\^)")
_RADICAL = re.compile(r"\\(sqrt|cbrt|fourthroot) \s*(\d+(?:\.\d+)?)")

# `and` and `or` between two values, in other languages; a single letter (`1 y 2`) only between numbers.
_OR_WORDS = (
    "oder ou eller lub veya atau czy hoặc или або ή یا أو या 或者 或 または もしくは 또는 혹은 หรือ".split()
)
_AND_WORDS = "und et og och oraz ve dan và и і και و और 以及 以及 和 与 與 及 と 그리고 และ".split()
_CJK_WORDS = [word for word in (*_OR_WORDS, *_AND_WORDS) if word[0] >= "\u0e00"]
_FOREIGN_LINK = re.compile(
    "(?:"
    + "|".join(_CJK_WORDS)
    + r")|(?<=[\d)}\]$a-z ]) (?:"
    + "|".join(word for word in (*_OR_WORDS, *_AND_WORDS) if word not in _CJK_WORDS and not word.isascii())
    + r") (?=[-\d(\\{$a-z])"
)
_LATIN_LINK = re.compile(
    r"(?<=[\d)}\]$a-z]) (?:"
    + "|".join(word for word in (*_OR_WORDS, *_AND_WORDS) if word.isascii())
    + r") (?=[-\d(\\{$a-z])"
)
# 3 y 5, 1 o 2; in 6 y - 80 it is a variable: nothing but numbers or points may stand beside it
_LONE_LINK = re.compile(r"(?<=[\d)}\]$]) [yeo] (?=-?[\d(\\{$])")
_ONLY_NUMBERS = re.compile(
    r"(?:(?:^| [yeo] |,\s*)[\s$]*(?:-?\d{1,12}(?:[.,]\d{1,9})?(?:/\d{1,9})?"
    r"|-?\\[dt]?frac\{\d{1,9}\}\{\d{1,9}\}|-?\d{0,6}\\sqrt\{?\d{1,6}\}?"
    r"|\\?\(-?[\d.]{1,9},\s*-?[\d.]{1,9}\\?\))[\s$]*){2,8}"
)
_MODULUS = re.compile(r"\(\s*(?:\\(?:text|mathrm|operatorname)\s*\{\s*)?(?<!\\)mod\s*\}?\s*(\w{1,12})\s*\)")
_LOG_BASE = re.compile(r"(?<![A-Za-z])\\?log(2|10)\s?\(")
_CHOOSE = re.compile(
    r"(?<![\w}])(\w{1,9})\s*(?:\\choose(?![a-z])|\\text\s*\{\s*choose\s*\}|\bchoose\b)\s*(\w{1,9})(?!\w)"
)
_SET_BUILDER = re.compile(r"\s*(?:[A-Za-z]\s*(?:=|\\in)\s*)?(?=\{[^{}|:,]{1,40}(?:\{\w\}\s*)?[|:])")
_UNIT_VECTOR = re.compile(
    r"\\(?:hat|vec|widehat|overrightarrow|mathbf|boldsymbol|bm)\s*"
    r"\{\s*\\(?:hat|vec|mathbf|boldsymbol|bm|imath|jmath|mathrm)\s*\{?\s*(?<![hj]m)([ijk])\s*\}?\s*\}"
)

# Intervals in the continental way: ]1, 2[ is open, [1, 2[ half open.
_OPEN_BOTH = re.compile(r"(?<![\w\])}])\]([^][,;]{1,60}[,;][^][,;]{1,60})\[(?!\s*[\w(\\-])")
_OPEN_RIGHT = re.compile(r"\[([^][,;]{1,60}[,;][^][,;]{1,60})\[(?=\s*(?:$|\\cup|\\cap|\$|\\\)))")
_OPEN_LEFT = re.compile(r"(^\s*|\\cup\s*|\\in\s*|=\s*|\$)\]([^][,;]{1,60}[,;][^][,;]{1,60})\]")


def standard_notation(text: str) -> str:
    """`text` in ASCII LaTeX as far as it is understood. Linear; never raises.

    Superscripts become `^{}`, vulgar fractions `\\frac`, look-alike minus signs `-`; full-width, mathematical and
    other scripts' digits become ASCII. Letters of other alphabets stay what they are: a Cyrillic a is not a Latin a.
    """
    text = with_signs(unstyled(text))
    if not text.isascii():
        text = _SUPERSCRIPT_RUN.sub(lambda m: "^{" + m.group().translate(_SUPERSCRIPTS) + "}", text)
        text = _SUBSCRIPT_RUN.sub(lambda m: "_{" + m.group().translate(_SUBSCRIPTS) + "}", text)
        text = _SIGN.sub(_sign, text)
        text = unicodedata.normalize("NFKC", text)
        text = _SIGN.sub(_sign, text)
        text = "".join(_ascii_digit(c) for c in text)
        text = _RADICAL.sub(r"\\\1{\2}", text)
        text = with_chinese_numbers(with_chinese_fractions(text))
        text = _FOREIGN_LINK.sub(_foreign_link, text)
    if "/-" in text:
        text = text.replace("+/-", r"\pm ")
    if " " in text:
        text = _LATIN_LINK.sub(_latin_link, text)
        if _LONE_LINK.search(text) and _ONLY_NUMBERS.fullmatch(text):
            text = _LONE_LINK.sub(_latin_link, text)
    if "_" in text or "^" in text:
        text = _UNDERSCORES.sub(lambda match: match.group().replace("_", ""), text)
        text = _TIMES_TEN.sub(r" \\times ", text)
    if "mod" in text:
        text = _MODULUS.sub(r" \\pmod{\1}", text)
    if "choose" in text:
        text = _CHOOSE.sub(r"\\binom{\1}{\2}", text)
    if "log" in text:
        text = _LOG_BASE.sub(r"\\log_{\1}(", text)
    if "{" in text:
        text = _with_set_braces(text)
        text = _UNIT_VECTOR.sub(r"\\hat{\1}", text)
        text = _DIGIT_COMMA.sub("", text)
    if "\\!" in text:
        text = _TIGHT_COMMA.sub("", text)
    if "." in text:
        text = _REPEATING.sub(_repeating, text)
    if "\\" in text:
        text = _STYLE.sub(" ", text)
    if "]" in text or "[" in text:
        text = _OPEN_BOTH.sub(r"(\1)", text)
        text = _OPEN_RIGHT.sub(r"[\1)", text)
        text = _OPEN_LEFT.sub(r"\1(\2]", text)
    if "\\" in text:
        text = _SPACING.sub(" ", text)
    text = text.replace("~", " ")
    return _BLANK_GROUPS.sub(lambda match: match.group().replace(" ", ""), text) if " " in text else text


def _with_set_braces(text: str) -> str:
    """`{x | x > 1}` with the braces of a set."""
    start = _SET_BUILDER.match(text)
    if start is None or closing_brace(text, start.end()) != len(text.rstrip()) - 1:
        return text
    return text[: start.end()] + "\\" + text[start.end() :].rstrip()[:-1] + "\\}"


_REPEATING = re.compile(
    r"(\d{0,20})\.(\d{0,20})\\(?:overline|bar|dot)\s*(?:\{\s*(\d{1,20})\s*\}|(\d))"
    r"|(?<![\d.])(\d{0,20})\.(\d{0,20})\((\d{1,20})\)",  # 0.(36), 0.1(6)
    re.ASCII,
)


def _repeating(match: re.Match[str]) -> str:
    """`0.1\\overline{6}` as the fraction it stands for."""
    whole, fixed, period = match.group(1), match.group(2), match.group(3) or match.group(4)
    if match.group(7) is not None:
        whole, fixed, period = match.group(5), match.group(6), match.group(7)
    bottom = 10 ** len(fixed) * (10 ** len(period) - 1)
    top = int(whole + fixed + period) - int("0" + whole + fixed)
    return f"(\\frac{{{top}}}{{{bottom}}})"


def _foreign_link(match: re.Match[str]) -> str:
    return " or " if match.group().strip() in _OR_WORDS else " and "


def _latin_link(match: re.Match[str]) -> str:
    word = match.group().strip()
    return " or " if word in _OR_WORDS or word == "o" else " and "


def _sign(match: re.Match[str]) -> str:
    char = match.group()
    if char in _VULGAR:
        top, bottom = _VULGAR[char]
        return f"\\frac{{{top}}}{{{bottom}}}"
    if char in _GREEK:
        return f"\\{_GREEK[char]} "
    return _SIGNS[char]


def _ascii_digit(char: str) -> str:
    if char.isascii():
        return char
    value = unicodedata.decimal(char, None)
    return char if value is None else str(value)
