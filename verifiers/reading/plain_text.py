"""The form in which texts are compared, and a text without the styling around what it says."""

from __future__ import annotations

import re
import unicodedata

_TEXT_WRAP = re.compile(
    r"\\(?:text|mathrm|textbf|mathbf|textit|textsf|texttt|textrm|mbox|hbox|operatorname|boldsymbol|bm|emph)\s*"
    r"\{([^{}]*)\}"
)
_ARTICLE = re.compile(r"\b(?:a|an|the)\b\s*", re.IGNORECASE)
_TYPOGRAPHY = str.maketrans(
    {"’": "'", "‘": "'", "ʼ": "'", "‛": "'", "′": "'", "“": '"', "”": '"', "„": '"', "″": '"', "–": "-", "—": "-",
     "−": "-", "‐": "-", "‑": "-", "‒": "-", "―": "-", "⁄": "/"}
)  # fmt: skip
# A formula between dollar signs, as pandoc tells it from two amounts of money.
_DOLLARS = re.compile(r"\$(?=\S)([^$\n]{1,400}?)(?<=\S)\$(?!\d)|\\\((.{1,400}?)\\\)|\\\[(.{1,400}?)\\\]")
_WRAPPED = re.compile(r"^(\*{1,3}|_{2}|`{1,3}|[\"'])(?![*`])(.+)(?<![*`])\1$|^«(.+)»$|^「(.+)」$", re.DOTALL)
_WRAPPERS = frozenset("*_`\"'«「")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
# Marks that are no mere punctuation. Operands are numbers and single letters: `covid-19` and `item(s)` have none.
_SAID = re.compile(
    r"[+=<>^±×÷∓∙⋅·√≤≥≠≈∞]|(?<=\d)[.,/:](?=\d)|(?<![\w.])\.(?=\d)"
    r"|(?<![^\W\d_]{2})-(?=\s?\d)"
    r"|(?<![^\W\d_]{2})(?<=[\w)])[-*/](?=\w\b|[\d(])|(?<=\b\w\s|[\d)]\s)[-*/](?=\s(?:\w\b|[\d(]))"
    r"|(?<![^\W\d_]{2})(?<=[\w)^*/+-])\(|\)(?=[\w(^*/])"
)
_DOUBLED = re.compile(r"\\\\(?=[A-Za-z]{2})")
_SINGLE = re.compile(r"(?<!\\)(?:\\\\)*\\(?!\\)")
_COLOUR = re.compile(r"\\(?:text)?color\s*(?:\[[a-zA-Z]{1,8}\])?\s*\{[^{}]{0,40}\}")
_SIZE = re.compile(
    r"\\(?:tiny|small|normalsize|large|Large|LARGE|huge|Huge|bf|bfseries|displaystyle|textstyle|strut|mathstrut"
    r"|h?phantom\s*\{[^{}]*\}|vphantom\s*\{[^{}]*\})(?![A-Za-z])\s*"
)
_DRAWN = re.compile(r"\\(?:underline|colorbox\s*\{[^{}]{0,40}\}|ensuremath|mathstrut)\s*(?=\{)")


def normalise(text: str, match: str = "normalised") -> str:
    """The form in which two strings are compared under `match`.

    Curly quotes and long dashes are typography and become plain ones; a superscript is not a digit (`10²` is not
    `102`), and a dollar sign is money unless two of them hold a formula.
    """
    if match == "exact":
        return text.strip()
    text = folded(text)
    while "\\" in text and (unwrapped := _TEXT_WRAP.sub(r"\1", text)) != text:
        text = unwrapped
    if "$" in text or "\\" in text:
        text = _DOLLARS.sub(_formula, text)
    text = " ".join(text.split()).casefold()
    for _ in range(3):
        before = text
        if text.endswith((".", "。")):
            text = text[:-1].strip()
        if text[:1] in _WRAPPERS:
            text = _WRAPPED.sub(_inside, text).strip()
        if text == before:
            break
    if match == "loose":
        text = _without_punctuation(text)
        text = " ".join(_ARTICLE.sub("", text).split())
    return text


def folded(text: str) -> str:
    """Compatibility characters as plain ones (NFKC), but for raised and lowered ones, which say something else."""
    if text.isascii():
        return text
    text = text.translate(_TYPOGRAPHY)
    if any(unicodedata.decomposition(c)[:5] in ("<supe", "<sub>") for c in text):
        return "".join(
            c if unicodedata.decomposition(c)[:5] in ("<supe", "<sub>") else unicodedata.normalize("NFKC", c)
            for c in unicodedata.normalize("NFC", text)
        ).translate(_TYPOGRAPHY)
    return unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHY)


def _formula(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None)


def _inside(match: re.Match[str]) -> str:
    return match.group(2) or match.group(3) or match.group(4)


def _without_punctuation(text: str) -> str:
    """Punctuation removed as SQuAD removes it (`well-known` is `wellknown`), but for what says something of a number or
    a formula: a sign, a point, a slash or a colon between digits, an operator, a bracket that a factor touches.
    """
    text = _THOUSANDS.sub(lambda match: match.group().replace(",", ""), text)
    kept = {match.start() for match in _SAID.finditer(text)}
    return "".join(
        c
        for i, c in enumerate(text)
        if i in kept or c.isalnum() or c.isspace() or unicodedata.category(c)[0] == "M"
    )


def unstyled(text: str) -> str:
    """`text` without LaTeX's colours, sizes and drawn lines, and without doubled or trailing backslashes."""
    if "\\" not in text:
        return text
    if _DOUBLED.search(text) and not _SINGLE.search(text):
        text = text.replace("\\\\", "\\")  # escaped once too often, as in JSON
    text = _COLOUR.sub("", text)
    text = _SIZE.sub("", text)
    text = _DRAWN.sub("", text)
    stripped = text.rstrip()
    return stripped.rstrip("\\ ") if stripped.endswith("\\") else text
