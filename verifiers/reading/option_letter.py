"""A text that names options of a multiple choice and nothing else: letters, option texts, a letter with its text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from verifiers.reading.plain_text import normalise

OTHER_CONTENT = "?"  # stands among the named letters where a letter is followed by what is not its option
# Atomic: a list that does not end well is not tried in every shorter way of dividing its blanks.
LETTER_LIST = (
    r"(?>\(?[A-Z]\)?(?:\s{0,3}(?:,\s?(?:and\b|or\b)?|\band\b|\bor\b|&|/|、|和|与)\s{0,3}\(?(?!I\s[a-z])[A-Z]\)?"
    r"(?![A-Za-z0-9'’])){0,25})(?![A-Za-z0-9'’])"
)
OPTION_NOUN = r"(?:options?|choices?|letters?|answers?)"
LED = re.compile(r"\(?([A-Z])(?:[).:：、]\)?\s*|\s?[-–—]\s|,\s|\)?\s(?=(?:a|an|the)\s))(?!\s)(.+)", re.DOTALL)
_OTHER = re.compile(
    r"(?<![A-Za-z])\(?([A-Z])[).:]|\b(?:option|or)\s+\(?([A-Z])\b|\band\s+\(?([A-Z])(?=[.,;]|\)|$)"
    r"|\b(?:wait|actually|rather|no),?\s+\(?([A-Z])(?=[.,;]|\)|$)"
)
VERB = re.compile(
    r"(?:is|are|was|can|could|does|has|have|shows?|would|looks?|seems?|and|or|cannot|must|although|though|but|not|since"
    r"|because|as|while|whereas|however|with|which|given|for)\b|[,&/]",
    re.IGNORECASE,
)
SENTENCE = re.compile(r"(?<=[\w)\]][.!?])\s+|\n+|(?<=[。！？])")
_OUTER = " *\"'“”‘’.。\n\t{}<>✓✔✅☑👉➡🎯→⇒\ufe0f"
_ALIKE = str.maketrans("АВСЕΑΒΕ", "ABCEABE")
_WRAP = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_ALSO = re.compile(r"\s*(?:[,;/&]|\bor\b|\band\b)\s*")
_UNSPACED = re.compile(r"(?<=\d)\s+(?=[a-z°%µ])")
_BARE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ,;:-]*[A-Za-z0-9])?")  # without markup
ALTERNATIVE = re.compile(r"\bor\b")


def plain_text(text: str) -> str:
    """Without markup; a letter in bold or in backticks stands in brackets."""
    text = unicodedata.normalize("NFKC", text)
    if _BARE.fullmatch(text):
        return text
    while (unwrapped := _WRAP.sub(r"\1", text)) != text:
        text = unwrapped
    text = re.sub(r"\\[()\[\]]|\\[,;! ]|\\q?quad|[$`]|\\left|\\right", " ", text)
    text = re.sub(rf"(\*\*|__)\s?({LETTER_LIST})[.:]?\s?\1", r"(\2)", text)
    text = re.sub(r"\(\((.{1,40}?)\)\)", r"(\1)", text)
    text = re.sub(r"\*\*|__|(?m:^\s{0,3}(?:#{1,6}|>)\s)", "", text)
    text = re.sub(r"(?<=[A-Z])(?:입니다|이다|です|である)(?=$|[.。\s])", "", text).strip(_OUTER)
    return text.translate(_ALIKE) if len(text) < 8 else text


def bare_options(text: str, texts: Mapping[str, str], boxed: bool = False) -> set[str]:
    """A text that is an answer and nothing else: letters, an option's text, or a letter before its text."""
    text = re.sub(
        rf"^(?i:the\s)?(?i:correct\s)?(?i:{OPTION_NOUN})\s{{1,3}}(?=\(?[A-Za-z]\)?(?:$|[).:\s]))", "", text
    )
    if re.fullmatch(r"[(\[]?[a-z][)\]]?", text, re.IGNORECASE):
        return {text.strip("()[]").upper()}
    text = re.sub(r"^(?i:both|the|la|el|le|die)\s(?=\(?[A-Z]\b)", "", text)
    if found := options_by_text(text, texts) or letters(text) or _texts_of_list(text, texts):
        return found
    if (bare := re.match(r"([A-Z])\s\(?", text)) and _same(
        text[bare.end() :].rstrip(")"), texts.get(bare.group(1), "")
    ):
        return {bare.group(1)}
    small = re.match(r"\(?([a-h])[).:]\s*", text)
    if small and _same(text[small.end() :], texts.get(small.group(1).upper(), "")):
        return {small.group(1).upper()}
    led = LED.fullmatch(text)
    if led is None or len(led.group(2)) > 2_000 or "\n" in led.group(2):
        return set()
    letter, content = led.groups()
    blank = text[led.end(1) : led.start(2)].strip() in ("", ",")
    own = texts.get(letter)
    if VERB.match(content) or letters(content) or (blank and not boxed and not (own and _same(content, own))):
        return set()
    others = {"".join(found) for found in _OTHER.findall(content)}
    return {letter} | others | other_content(letter, content, texts)


def other_content(letter: str, content: str, texts: Mapping[str, str]) -> set[str]:
    """What stands behind a letter: nothing new where it is the option's text or explains it, else `OTHER_CONTENT`."""
    own = texts.get(letter)
    if own is None:
        return {OTHER_CONTENT} if texts else set()
    sentence = SENTENCE.split(content.strip(" :.,-–—"), maxsplit=1)[0]
    form, words = normalise(sentence), normalise(sentence).split()
    beside = (
        _ALSO.split(re.sub(rf"(?<!\w){re.escape(own)}(?!\w)", " ", form, count=1), maxsplit=12) if own else ()
    )
    if any(_same(part, other) for part in beside for x, other in texts.items() if x != letter and other):
        return {OTHER_CONTENT}
    if not form or _same(sentence, own) or re.search(rf"(?<!\w){re.escape(own)}(?!\w)", form):
        return set()
    if any(_same(sentence, other) for other in texts.values()):
        return {OTHER_CONTENT}
    if len(words) > 6 or re.search(r"\b(?:is|are|was|has|because|since|as|which|this|it)\b", form):
        return set()
    if set(words) < set(own.split()) and not any(
        set(words) < set(t.split()) for x, t in texts.items() if x != letter
    ):
        return set()
    return {OTHER_CONTENT}


def letters(text: str) -> set[str]:
    """Letters of `B`, `(B)`, `A, C`, `A and C`, `AC`; empty for anything else. `A or C` brings `OTHER_CONTENT`."""
    alternative = ALTERNATIVE.search(text) is not None
    text = re.sub(r"(?<![A-Za-z])(?:and|or)(?![A-Za-z])", ",", re.sub(r"[\"'\[\]]", "", text).strip(" $*.。"))
    if len(text) > 200 or not re.fullmatch(r"[A-Z()\s,;/&、和与]*", text):
        return set()
    found = re.findall(r"[A-Z]", text)
    if alternative:
        found.append(OTHER_CONTENT)
    runs = re.findall(r"[A-Z]{2,}", text)
    return set(found) if all(len(set(run)) == len(run) for run in runs) else set()


def options_by_text(text: str, texts: Mapping[str, str]) -> set[str]:
    return {letter for letter, option in texts.items() if option and _same(text, option)}


def _texts_of_list(text: str, texts: Mapping[str, str]) -> set[str]:
    """The options of `copper and iron`, where every part is an option's text."""
    parts = re.split(r",\s*(?:and\s+)?|;\s*|\s+and\s+", text, maxsplit=12)
    found = [options_by_text(part, texts) for part in parts]
    return set().union(*found) if texts and len(parts) > 1 and all(found) else set()


def _same(text: str, option: str) -> bool:
    """Equal in normal form; for texts of words alone also without articles."""
    form = normalise(text)
    if form == option or (form and _UNSPACED.sub("", form) == _UNSPACED.sub("", option)):
        return True
    worded = all(c.isalpha() or c.isspace() for c in form + option)
    return worded and bool(form) and normalise(form, "loose") == normalise(option, "loose") != ""
