"""Where in a final text the mathematical answer stands, in the languages people answer in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from verifiers.expression.text.chinese_number import with_chinese_numbers
from verifiers.expression.text.doubt.hedge import BOUND, HEDGE, is_denied_behind
from verifiers.expression.text.doubt.unstated import is_unstated, preferred, withdrawn
from verifiers.expression.text.outer_mark import LINK, MAX_LINE, SEGMENT, cleaned, content
from verifiers.expression.text.sentence import PROSE, in_sentence, last_number, listed, without_reason
from verifiers.reading.final_line import boxes, tagged_answer, unboxed, visible

MAX_READ = 50_000  # of a longer final answer only the end is read: what is stated last counts
MAX_SHORT = 400
MAX_PHRASE = 8_000

# Each with words of which one stands in it wherever it matches, in lower case.
_PHRASES: tuple[tuple[str, str], ...] = (
    ("answer result",
     r"(?:the\s+|my\s+|our\s+)?(?:final\s+|correct\s+)?(?:answer|result)\s*(?:is|are|equals|will\s+be|would\s+be|:|=|：)+"),
    ("answer", r"\*{0,2}(?:final\s+)?answer\*{0,2}\s*[:=：]\s*\*{0,2}"),
    ("answer", r"(?:^|\n)[#* \t]{0,12}(?:final\s+)?answer\s+[-–—]\s+(?=[\d$\\(])"),
    ("solution option choice", r"(?:the\s+)?(?:correct\s+)?(?:solutions?(?:\s+set)?|option|choice)\s+(?:is|are)\s*:?"),
    ("answer result", r"(?:final\s+)?(?:answer|result)\s*(?:->|=>|→|⇒|⟹)"), ("####", r"####"),
    ("答案", r"(?:最终|最終)?答案\s*(?:是|为|為|等于|就是|：|:|=)*"),
    ("答 结果", r"(?:故|所以|因此)?(?:答|结果)(?:为|是|：|:)"),
    ("选 選", r"(?:故|因此|所以|应|應)?(?:选|選)(?:择|项|擇|項)?\s*[:：]?\s*(?=[A-J](?![A-Za-z]))"),
    ("解答", r"解答\s*(?:为|是|：|:)+"),
    ("答え", r"答え\s*(?:は|：|:)*"), ("답", r"(?:정답|답)\s*(?:은|는|이|：|:)+"),
    ("respuesta", r"(?:la\s+)?respuesta\s+(?:final\s+|correcta\s+)?(?:es|:)+|respuesta\s*(?:final)?\s*:"),
    ("ponse", r"(?:la\s+)?r[ée]ponse\s+(?:finale\s+|correcte\s+)?(?:est|:)+|r[ée]ponse\s*:"),
    ("antwort", r"(?:die\s+)?(?:endg[üu]ltige\s+)?antwort\s*(?:ist|lautet|:)+"),
    ("ergebnis", r"(?:das\s+)?ergebnis\s*(?:ist|lautet|:)+"),
    ("risposta", r"(?:la\s+)?risposta\s+(?:finale\s+|corretta\s+)?(?:è|e'|:)+|risposta\s*:"),
    ("resposta", r"(?:a\s+)?resposta\s+(?:final\s+|correta\s+)?(?:é|e|:)+|resposta\s*:"),
    ("ответ", r"(?:окончательный\s+)?ответ\s*(?:—|-|–|:|есть|равен)*"), ("відповідь", r"відповідь\s*(?:—|-|:)*"),
    ("الإجابة الجواب", r"(?:الإجابة|الجواب)\s*(?:النهائية|النهائي|الصحيحة)?\s*(?:هي|هو|:)*"),
    ("उत्तर", r"(?:अंतिम\s+)?उत्तर\s*(?:है|:|=)*"), ("antwoord", r"(?:het\s+)?antwoord\s*(?:is|:)+"),
    ("odpowied", r"odpowied[źz]\s*(?:to|:|jest)+"), ("cevap", r"(?:son\s+)?cevap\s*:?"),
    ("đáp", r"đáp\s+(?:án|số)\s*(?:là|:)*"), ("jawaban", r"jawaban(?:nya|\s+akhir)?\s*(?:adalah|:)+"),
    ("svar", r"svar(?:et)?\s*(?:är|:)+"), ("คำตอบ", r"คำตอบ\s*(?:คือ|:)*"),
    ("lösung", r"(?:die\s+)?lösung\s*(?:ist|lautet|:)+"), ("soluci", r"(?:la\s+)?soluci[óo]n\s*(?:es|:)+"),
    ("résultat", r"(?:le\s+)?résultat\s*(?:est|:)+"), ("risultato", r"(?:il\s+)?risultato\s*(?:è|:)+"),
    ("resultado", r"(?:el\s+|o\s+)?resultado\s*(?:es|é|:)+"), ("результат", r"результат\s*(?:равен|:|—|-)*"),
    ("final output ans sonuç wynik", r"(?:^|\n)[#* \t]{0,12}(?:final|output|ans|sonuç|wynik)\**\s*[.:=：]+"),
    ("odpověď", r"odpověď\s*(?:je|:)+"), ("válasz", r"válasz\s*:"), ("răspuns", r"răspuns(?:ul)?\s*(?:este|:)+"),
    ("vastaus", r"vastaus\s*(?:on|:)+"), ("উত্তর", r"উত্তর\s*(?:হল|হলো|:)*"), ("సమాధానం", r"సమాధానం\s*:?"),
    ("jibu", r"jibu\s*(?:ni|:)+"), ("answer", r"(?:^|\n)[#* \t]{0,12}(?:final\s+)?answer\**\s*\n"),
    ("απάντηση", r"απάντηση\s*(?:είναι|:)*"), ("תשובה", r"תשובה\s*(?:היא|:)*"),
    ("choice", r"(?:answer\s+)?choice\s+(?:is|:)"),
)  # fmt: skip
_PHRASE_WORDS = tuple(dict.fromkeys(word for words, _ in _PHRASES for word in words.split()))
_ASCII_WORDS = tuple(filter(str.isascii, _PHRASE_WORDS))
_LINE_MARK = re.compile(r"^(?:[-+](?!\s*[\d.$€£¥])|[*•]|#{1,6}|>)\s+(?=\S)")  # - 73 is minus 73
# ### Answer, and the answer alone on the line below
_HEADING = re.compile(
    r"[#*_ ]{0,12}(?:the\s+)?(?:final\s+)?answer[*_: ]{0,12}\n\s*([^\n]{1,400})", re.IGNORECASE
)
_FINAL = re.compile(r"final\s+answer\*{0,2}\s*(?:is|:)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[\w)}\]%$*\"'°!])\s*(?:\.(?=\s|$)|。|\n|\.\s*I hope|!(?=\s+[A-Z][a-z' ]))")
_NO_PHRASE = re.compile(r"\b(?:in|wrong |incorrect |false |previous |not the |not an? )$", re.IGNORECASE)
_OPTION_WORD = re.compile(
    r"^\W*(?:(?:the|la|die|el|[ao])\s+|l'|)(?:option|choice|opción|opção|opzione|вариант|选项)\s*",
    re.IGNORECASE,
)
_LETTER = re.compile("[A-J]")
_OPTION = re.compile(r"^\W{0,3}\(?([A-J])[).:\]]\)?\s+(?!or\b|and\b)\S")
_ANY_OPTION = re.compile(r"(?<![A-Za-z])\(?([A-J])[).:\]](?:\s|$)")


class Candidate(NamedTuple):
    """A text that may be the answer; not `confident` where it was only guessed to be, `words` where it may be words,
    `withdrawn` where its values are named but not stated."""

    text: str
    confident: bool
    words: bool = True
    withdrawn: bool = False


def candidates(text: str) -> Iterator[Candidate]:
    """Candidates in order; the first that can be read is the answer.

    A box wins over a tag, a tag over a phrase (`the answer is`), then comes a short text as a whole, the last
    formula, and the last number. Of several boxes the last counts; boxes joined by `and`, `or` or a comma are one
    list, so naming two answers is never better than naming one.
    """
    text = preferred(with_chinese_numbers(visible(text[-MAX_READ:])))
    tagged = tagged_answer(text)
    body = tagged if tagged is not None else text
    found = boxes(body)
    if found and not _FINAL.search(body, found[-1][1]):
        joined = _joined_boxes(body, found)
        if withdrawn(joined):
            yield Candidate(cleaned(joined), True, withdrawn=True)
            return
        yield Candidate(cleaned(joined), True)
        inner = after_phrase(joined)
        if inner is not None:
            yield Candidate(inner, True)
        return
    if withdrawn(body):
        yield Candidate(cleaned(body), True, withdrawn=True)
        return
    if tagged is not None:
        phrase = after_phrase(tagged) if _phrases(tagged).match(tagged.lstrip("*# \n")) else None
        yield Candidate(phrase or cleaned(tagged), True)
    phrase = after_phrase(body)
    if phrase is not None:
        yield Candidate(phrase, True, withdrawn=withdrawn(phrase))
        body = phrase
    elif found:
        yield Candidate(cleaned(_joined_boxes(body, found)), True)
    if len(body) <= MAX_SHORT:
        if (items := listed(body)) is not None:
            yield Candidate(items, True)
        yield Candidate(cleaned(body), True)
    for part in in_sentence(body):
        yield Candidate(part, False, words=False)
    body = without_reason(body)
    formula, formula_end = _last_formula(body)
    number, number_end = last_number(body) if PROSE.search(_whole_words(body)) else (None, -1)
    if formula is not None and formula_end >= number_end:
        yield Candidate(cleaned(formula), False)
    elif number is not None:
        yield Candidate(number, False)


def _joined_boxes(text: str, found: list[tuple[int, int, str]]) -> str:
    parts = [unboxed(found[-1][2]).strip()]
    link = ", "
    for (_, end, inside), (start, _, _) in zip(reversed(found[:-1]), reversed(found[1:]), strict=True):
        between = text[end:start]
        if not parts[0] or (between.strip() and not LINK.fullmatch(between)):
            break
        if start == end or unboxed(inside).strip() not in parts:
            parts.append(unboxed(inside).strip())
            link = " or " if "or" in text[end:start].lower() else link
    return link.join(reversed([part.strip() for part in parts]))


def _phrases(text: str) -> re.Pattern[str]:
    """The phrases that can stand in `text`, by their words: all of them at every place are slow."""
    folded = text.casefold()
    words = _ASCII_WORDS if folded.isascii() else _PHRASE_WORDS
    return _any_phrase(frozenset(word for word in words if word in folded))


@lru_cache(maxsize=512)
def _any_phrase(words: frozenset[str]) -> re.Pattern[str]:
    found = [phrase for of_phrase, phrase in _PHRASES if not words.isdisjoint(of_phrase.split())]
    return re.compile("|".join(f"(?:{phrase})" for phrase in found) or r"(?!)", re.IGNORECASE)


def after_phrase(text: str) -> str | None:
    """What follows the last `the answer is` (in any of the languages), to the end of its sentence."""
    last = None
    tail = text[-MAX_PHRASE:]
    for match in _phrases(tail).finditer(tail):
        before = tail[max(0, match.start() - 60) : match.end()]
        if not _NO_PHRASE.search(before[: -len(match.group())][-20:]) and not is_unstated(before):
            last = match
    if last is None:
        return None
    start = max(0, len(text) - MAX_PHRASE) + last.end()
    rest = text[start : start + MAX_LINE].lstrip(" \t:：=*\n")
    joined = _leading_formulas(rest)
    if joined is not None:
        return cleaned(joined)
    end = _SENTENCE_END.search(rest)
    sentence = cleaned(_closed(rest[: end.start()] if end else rest))
    return sentence or None


def _closed(text: str) -> str:
    """`} 73\\]`, the end of `\\[\\text{Answer: } 73\\]`, without what was opened before the phrase."""
    text = text.strip()
    if text.startswith("}"):
        text = text[1:].lstrip()
    for opening, closing in (("\\[", "\\]"), ("\\(", "\\)"), ("$$", "$$")):
        if text.endswith(closing) and opening not in text[: -len(closing)]:
            text = text[: -len(closing)].rstrip()
    return text


def stated_texts(stated: str) -> list[str]:
    """What a text may state for a rule that compares text: itself, without a final `!`, and what follows an answer
    phrase where nothing stands behind that.

    The phrase is at the start of the text's last line; `- Paris` and `### Paris` are marks before one line.
    """
    texts = [stated]
    if re.search(r"[^\W\d][!！]$", stated):
        texts.append(stated[:-1])
    tail = stated[-MAX_LINE:].strip()
    line = _LINE_MARK.sub("", tail.rsplit("\n", 1)[-1])
    match = _phrases(line).match(line.lstrip("*_# "))
    if match is not None:
        rest = line.lstrip("*_# ")[match.end() :].strip()
        texts.append((rest[:-1] if rest.endswith((".", "。")) else rest).strip(" *_:：`"))
    elif "\n" not in tail and line != tail:
        texts.append(line)
    elif heading := _HEADING.fullmatch(tail):
        texts.append(heading.group(1).strip(" *_"))
    return [text for text in dict.fromkeys(texts) if text]


def _leading_formulas(text: str) -> str | None:
    """Formulas at the start of `text`, joined over commas and `and`; words behind the last one are its unit."""
    match = SEGMENT.match(_strip_marks(text))
    if match is None:
        return None
    text = _strip_marks(text)
    parts = [content(match)]
    between = ", "
    while True:
        link = LINK.match(text, match.end())
        following = SEGMENT.match(text, link.end()) if link else None
        if link is None or following is None:
            break
        parts.append(content(following))
        between = " or " if "or" in link.group().lower() else between
        match = following
    tail = re.match(r"\s*(%|percent|or\s+[^\n.]{1,40}|and\s+[^\n.]{1,40})", text[match.end() :])
    return between.join(parts) + (" " + tail.group(1) if tail else "")


def _strip_marks(text: str) -> str:
    return text.lstrip("*_` \"'")


def _last_formula(text: str) -> tuple[str | None, int]:
    """The last formula, joined with those it is linked to, and where it ends."""
    skipped = max(0, len(text) - MAX_PHRASE)
    text = text[skipped:]
    found = list(SEGMENT.finditer(text))
    if not found:
        return None, -1
    parts = [content(found[-1])]
    for earlier, later in zip(reversed(found[:-1]), reversed(found[1:]), strict=True):
        between = text[earlier.end() : later.start()]
        if not (LINK.fullmatch(between) or (len(between) < 40 and HEDGE.search(between))):
            break
        parts.append(content(earlier))
    if BOUND.search(text[: found[-1].start()]) or is_denied_behind(text[found[-1].end() :]):
        return None, -1
    return ", ".join(reversed(parts)), skipped + found[-1].end()


def _whole_words(text: str) -> str:
    """The end of a text, from a whole word on: a cut command is no word."""
    return text if len(text) <= MAX_LINE else re.sub(r"^[^\W\d_]+", "", text[-MAX_LINE:])


def option_letter(text: str) -> str | None:
    """`C` of `(C) 42` or `C. blue`, unless another option is named as well."""
    if not _LETTER.search(text):
        return None
    text = _OPTION_WORD.sub("", text)
    text = re.sub(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}", r"\1 ", text).replace("\\", " ")
    if bare := re.fullmatch(r"\(?([A-J])\)?", text.strip()):
        return bare.group(1)
    match = _OPTION.match(text)
    if match is None or len(set(_ANY_OPTION.findall(text))) > 1:
        return None
    return match.group(1)
