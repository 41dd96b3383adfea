"""The one number that a final text states: alone, behind `the answer is`, in bold, behind `=`, or in a sentence."""

from __future__ import annotations

import re
from fractions import Fraction

from verifiers.expression.grammar.parser import parse_answer
from verifiers.expression.text.chinese_number import with_chinese_numbers
from verifiers.expression.text.doubt.hedge import HEDGE, OPERATED, is_denied, is_denied_behind, is_taken_back
from verifiers.expression.text.doubt.unstated import preferred, withdrawn
from verifiers.expression.text.lexer import Unreadable
from verifiers.expression.text.number_words import with_digits
from verifiers.expression.text.outer_mark import cleaned
from verifiers.expression.text.sentence import LABELLED
from verifiers.expression.text.statement import after_phrase
from verifiers.expression.values.evaluation import NotExact, NoValue, exact
from verifiers.reading.quantity import SCALE_WORDS, Quantity, read_quantity, with_plain_fractions
from verifiers.verifier import LimitExceeded

_MAX_SENTENCE = 400
_SCALE = re.compile(rf"\s*(?:{SCALE_WORDS})s?\b", re.IGNORECASE)  # `million` behind a bold number
_NUMERAL = re.compile(
    r"(?<![A-Za-z0-9_.,/^*+])(?<!第)[-−–]?(?:(?:US|HK)?[$€£¥₹]\s?)?"
    r"(?:\d[\d,'’]*(?:\.\d+)*(?:,\d+)?(?:\s\d{3}(?!\d))*|\.\d+)"
    r"(?:(?:\s\d{1,4})?\s?/\s?\d+|\s?(?:[×x*·]|\\times)\s?10\s?(?:\^\{?[-−]?\d+\}?|[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)|[eE][-+]?\d+|\^\{?-?\d+\}?)?"
    rf"(?:\s?%|\s?(?:percent|per cent|{SCALE_WORDS})s?\b)?"
)
_TIME_BOUND = re.compile(r"\b(?:before|after|since|until|till)\s+$", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?。！？])(?:\s+|(?<=[。！？]))(?=\S)")
_BOLD = re.compile(
    r"\*\*([^*\n]{1,80})\*\*|__([^_\n]{1,80})__|`([^`\n]{1,80})`|(?<![*\w])\*([^*\n]{1,80})\*(?![*\w])"
)
_MARK = re.compile(
    r"^\s*(?:[*•]\s+(?=[\d$])|\**A(?:ns)?\**\s*[.:：]\s*\**)"
)  # A: 73; the `-` of `- 73` is a sign
_BULLET = re.compile(r"^\s*(?:[-*•]\s+|\d{1,2}[.)]\s+)")
_CONCLUDES = re.compile(
    r"\b(?:so|thus|therefore|hence|total|altogether|in all|overall|answer|result|difference|sum|average|mean|product"
    r"|ratio|final(?:ly)?)\b|所以|因此|总共|一共|共有|答案|合计|因而",
    re.IGNORECASE,
)
# The value stands right behind: `the height is about`, `reads`, `是`.
_COPULA = re.compile(
    r"(?:\b(?:is|are|was|were|be|equals?|reads?|shows?|says|totals?|has|measures?|weighs?|costs?|gives|yields|makes|get"
    r"|have|reaches|est|ist|es|è|é|está|sono|beträgt)\b|[:=：]|为|是|は|有)\s*"
    r"(?:(?:about|approximately|around|roughly|exactly|at|to|now|only|then|equal|about|a total of|worth)\s+)*$",
    re.IGNORECASE,
)
_SUBJECT = re.compile(r"[^\W\d_]{2}|[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
_THERE = re.compile(
    r"\b(?:there (?:are|is|were|was)|(?:I|we) (?:can )?(?:see|count|counted|found|find)|shows?|contains?|has|have)\s+"
    r"(?:(?:only|exactly|a total of|about|approximately)\s+)?$|共?有\s*$",
    re.IGNORECASE,
)
_VERB_BEHIND = re.compile(
    r"(?:\s+[^\W\d_]{2,20}){1,4}\s+(?:is|are|was|were|can|have|has|agreed?|chose|said|prefer\w*)\b|\s*%?\s*of\s",
    re.IGNORECASE,
)
_BELOW_ZERO = re.compile(
    r"(?<![-−\d.])(\d{1,9}(?:\.\d{1,9})?\s?(?:°\s?[CF]?|degrees?(?: [CF][a-z]*)?)?) below zero", re.IGNORECASE
)
_OF_SOME = re.compile(r"\W{0,3}(\d{1,9}) (?:out )?of (?:the|these|those) \d{1,9} [^\W\d_]{2,20} (?!\D*\d)")
_IN_YEAR = re.compile(
    r"\W{0,3}(?:in|by|during|since|as of)\s(?:the year\s)?(?:1[89]|20)\d\d,?\s(?=.*\d)", re.IGNORECASE
)
# `2 where x`, before `= 3`: the value stands before it, and what stands behind is assumed.
_ASSUMES = re.compile(
    r"\d.{0,200}\b(?:where|when|with|if|given(?: that)?|for|assuming|such that|provided(?: that)?)"
    r"\s{1,3}[\\$({]{0,3}[A-Za-z]\w{0,11}[\\$)}]{0,3}\s*$",
    re.IGNORECASE,
)
_NAMED = re.compile(r"[^\d=]{0,59}[^\d=!<>≠/]=\s*([^=]{1,60})")


def stated_quantity(stated: str, letters: str = "k") -> Quantity | None:
    """The number; None where there is none, several, or words around it that change it or take it back."""
    if "!" in stated or "！" in stated:
        stated = re.sub(r"(?<=\*\*)[!！]|(?<=`)[!！]", "", stated)  # **5**! is no factorial
    stated = _BELOW_ZERO.sub(r"-\1", stated) if "below zero" in stated else stated
    stated = preferred(stated)
    if withdrawn(stated):
        return None
    if (found := read_quantity(_marked(stated), letters)) is not None:
        return None if is_denied_behind(" " + found.unit) else found
    phrase = after_phrase(stated)
    if phrase is not None:
        return _of_text(phrase, letters)
    line = _last_line(stated)
    return _of_text(line, letters) if line is not None else None


def _marked(text: str) -> str:
    """A text of one line without a bullet before it."""
    return text if "\n" in text.strip() else _MARK.sub("", text)


def _of_text(text: str, letters: str) -> Quantity | None:
    if len(text) > _MAX_SENTENCE:
        sentence = _last_sentence(text[-4 * _MAX_SENTENCE :])
        return _of_sentence(sentence, letters) if len(sentence) <= _MAX_SENTENCE else None
    bare = _MARK.sub("", cleaned(text)).removeprefix("US")
    if named := _NAMED.fullmatch(bare):
        bare = named.group(1).strip()
    if (found := read_quantity(bare, letters)) is not None:
        return None if is_denied_behind(" " + found.unit) else found
    spelt = with_chinese_numbers(with_digits(bare))
    if spelt != bare and (found := read_quantity(spelt, letters)) is not None:
        return found
    return _of_sentence(_last_sentence(text), letters)


def _last_line(text: str) -> str | None:
    """The line that concludes; None where the last one only goes on with a list, or says again what one above says."""
    lines = [line for line in text.strip().split("\n") if line.strip()]
    if len(lines) <= 1:
        return (
            _BULLET.sub("", text.strip(), count=1) if re.match(r"\s*(?:[*•]|-\s+\D)", text) else text.strip()
        )
    last = lines[-1].strip()
    if _BULLET.match(last) and not last.startswith("**"):
        return None
    if read_quantity(last) is not None and any(read_quantity(line) is not None for line in lines[:-1]):
        return None
    return last


def _last_sentence(text: str) -> str:
    """The sentence that holds the number; of several that do, the last, where a word says that it concludes."""
    sentences = _SENTENCE.split(text)
    numbered = [part for part in sentences if re.search(r"\d", with_digits(part)) or part.strip() == ""]
    if len(numbered) <= 1:
        return numbered[0] if numbered else text
    last = numbered[-1]
    return last if _CONCLUDES.search(last) or _BOLD.search(last) else text


def _of_sentence(sentence: str, letters: str) -> Quantity | None:
    bold = [next(filter(None, match.groups())) for match in _BOLD.finditer(sentence)]
    amounts = [part for part in bold if _spelt(part, letters) is not None]
    if len(amounts) > 1:
        return None
    marked = f"⟦{amounts[0]}⟧" if amounts else ""
    plain = sentence
    for match in reversed(list(_BOLD.finditer(sentence))):
        inner = next(filter(None, match.groups()))
        plain = plain[: match.start()] + (marked if inner in amounts else inner) + plain[match.end() :]
    plain = re.sub(r"\\[()\[\]]", " ", plain) if "$" not in plain else plain
    plain = re.sub(r"(?<!\\)\$([^$]{1,60})\$", r"\1", plain)
    if amounts:
        before, _, behind = plain.partition(marked)
        if _taken_back(before, behind):
            return None
        found = _spelt(amounts[0], letters)
        return (
            found
            if found and not found.unit and not _SCALE.match(behind)
            else _with_words(amounts[0], behind, letters)
        )
    return _of_plain(with_chinese_numbers(with_digits(with_plain_fractions(plain))), letters)


def _with_words(amount: str, behind: str, letters: str) -> Quantity | None:
    scale = _SCALE.match(behind)
    return _spelt(amount + (scale.group() if scale else ""), letters)


def _spelt(text: str, letters: str) -> Quantity | None:
    bare = text.strip(" :.")
    return read_quantity(bare, letters) or read_quantity(with_chinese_numbers(with_digits(bare)), letters)


def _taken_back(before: str, behind: str) -> bool:
    return (
        bool(HEDGE.search(before) or HEDGE.search(behind))
        or any(pattern.search(before) for pattern in (OPERATED, _TIME_BOUND))
        or is_taken_back(before, behind)
    )


def _of_plain(text: str, letters: str) -> Quantity | None:
    """The number of a sentence without marks, digits for number words."""
    if HEDGE.search(text):
        return None
    if some := _OF_SOME.match(text):
        return read_quantity(some.group(1))
    text = _IN_YEAR.sub("Then ", text, count=1) if _IN_YEAR.match(text) else text
    if "=" in text:
        return _behind_equals(text, letters)
    found = list(_NUMERAL.finditer(text))
    if not found:
        return None
    match = _chosen(text, found)
    if match is None:
        return None
    before, behind = text[: match.start()], text[match.end() :]
    if is_taken_back(before) or any(p.search(before) for p in (OPERATED, _TIME_BOUND, LABELLED)):
        return None
    if is_denied_behind(behind) or re.match(r"[\w/^*+!²³⁴-]|\s*[+*/^=<>]|-?(?:st|nd|rd|th)\b", behind):
        if not re.match(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af°A-Za-z]", behind) or re.match(
            r"(?:st|nd|rd|th)\b", behind
        ):
            return None
        return read_quantity(match.group() + re.split(r"[,.;:()，。\s]", behind, maxsplit=1)[0], letters)
    tail = re.split(r"[;:()，。]|,\s|\.\s|\.$", behind, maxsplit=1)[0].strip()
    for words in (tail, *(" ".join(tail.split()[:count]) for count in (2, 1)), ""):
        if (quantity := read_quantity(f"{match.group()} {words}".strip(), letters)) is not None:
            return quantity
    return None


def _chosen(text: str, found: list[re.Match[str]]) -> re.Match[str] | None:
    """The only numeral of a sentence; of several the one behind its verb, or the one that is counted before a colon."""
    groups = len(re.findall(r"\d+(?:[.,'’\s]\d+)*", text))
    only = found[0]
    inside = len(re.findall(r"\d+(?:[.,'’\s]\d+)*", only.group()))
    if len(found) == 1 and groups == inside:
        if not _SUBJECT.search(text[: only.start()]) and not _VERB_BEHIND.match(text, only.end()):
            return None
        return only
    last = found[-1]
    copula = _COPULA.search(text[: last.start()])
    if copula and not re.search(r"\d", text[last.end() :]) and _SUBJECT.search(text[: copula.start()]):
        if len(found) < 2 or not re.search(r"(?:\band|,|&|和)\s*$", text[: last.start()]):
            return last
    detail = re.search(r"[:(：（]|\s[-–—]\s", text[only.end() :])
    if detail and (_THERE.search(text[: only.start()]) or not text[: only.start()].strip()):
        cut = only.end() + detail.start()
        noun = re.search(r"[^\W\d_]{2}", text[only.end() : cut]) or text[: only.start()].strip()
        if (
            noun
            and not re.search(r"\d", text[only.end() : cut])
            and not re.search(r"\d", text[: only.start()])
        ):
            return only
    return None


def _behind_equals(text: str, letters: str) -> Quantity | None:
    """`42 - 30 = 12`: what stands behind the last sign, where the arithmetic before it holds; not `12 = 12`."""
    parts = text.split("=")
    if re.search(r"[!<>/]\s*$", parts[-2]) or _ASSUMES.search(parts[-2]):
        return None  # x != 42
    found = _spelt(cleaned(parts[-1]), letters)
    if found is None:
        return None
    for part in parts[:-1]:
        arithmetic = re.search(r"[-+\d.,()/*^×÷{}\\ ]*\d[-+\d.,()/*^×÷{}\\ ]*$|\d[^=]*$", part.rstrip(" $"))
        if arithmetic is None:
            continue
        run = arithmetic.group().strip(" ,.")
        try:
            value = exact(parse_answer(run))
        except (Unreadable, NotExact, NoValue, LimitExceeded, RecursionError):
            continue
        same = read_quantity(run)
        if same is not None and same.unit == "" and re.fullmatch(r"[\d.,\s]+", run):
            return None
        if value != found.value and abs(value - found.value) > Fraction(1, 100) * abs(value):
            return None
    if HEDGE.search(text) or is_denied(text.rpartition("=")[0]):
        return None
    return found
