"""Where in a final text the mathematical answer stands, in the languages people answer in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from verifiers.expression.text.hedge import BOUND, DENIAL_BEHIND, DENIED, HEDGE
from verifiers.expression.text.number_words import PLURAL_PARTS
from verifiers.reading.final_line import boxes, tagged_answer

MAX_LINE = 4_000
MAX_READ = 50_000  # of a longer final answer only the end is read: what is stated last counts
MAX_SHORT = 400
MAX_PHRASE = 8_000

_PHRASES = (
    r"(?:the\s+|my\s+|our\s+)?(?:final\s+|correct\s+)?(?:answer|result)\s*(?:is|are|equals|will\s+be|would\s+be|:|=|：)+",
    r"\*{0,2}(?:final\s+)?answer\*{0,2}\s*[:=：]\s*\*{0,2}",
    r"(?:^|\n)[#* \t]{0,12}(?:final\s+)?answer\s+[-–—]\s+(?=[\d$\\(])",
    r"(?:the\s+)?(?:correct\s+)?(?:solutions?(?:\s+set)?|option|choice)\s+(?:is|are)\s*:?",
    r"(?:final\s+)?(?:answer|result)\s*(?:->|=>|→|⇒|⟹)", r"####",
    r"(?:最终|最終)?答案\s*(?:是|为|為|等于|就是|：|:|=)*",
    r"(?:故|所以|因此)?(?:答|结果)(?:为|是|：|:)",
    r"(?:故|因此|所以|应|應)?(?:选|選)(?:择|项|擇|項)?\s*[:：]?\s*(?=[A-J](?![A-Za-z]))", r"解答\s*(?:为|是|：|:)+",
    r"答え\s*(?:は|：|:)*", r"(?:정답|답)\s*(?:은|는|이|：|:)+",
    r"(?:la\s+)?respuesta\s+(?:final\s+|correcta\s+)?(?:es|:)+|respuesta\s*(?:final)?\s*:",
    r"(?:la\s+)?r[ée]ponse\s+(?:finale\s+|correcte\s+)?(?:est|:)+|r[ée]ponse\s*:",
    r"(?:die\s+)?(?:endg[üu]ltige\s+)?antwort\s*(?:ist|lautet|:)+", r"(?:das\s+)?ergebnis\s*(?:ist|lautet|:)+",
    r"(?:la\s+)?risposta\s+(?:finale\s+|corretta\s+)?(?:è|e'|:)+|risposta\s*:",
    r"(?:a\s+)?resposta\s+(?:final\s+|correta\s+)?(?:é|e|:)+|resposta\s*:",
    r"(?:окончательный\s+)?ответ\s*(?:—|-|–|:|есть|равен)*", r"відповідь\s*(?:—|-|:)*",
    r"(?:الإجابة|الجواب)\s*(?:النهائية|النهائي|الصحيحة)?\s*(?:هي|هو|:)*", r"(?:अंतिम\s+)?उत्तर\s*(?:है|:|=)*",
    r"(?:het\s+)?antwoord\s*(?:is|:)+", r"odpowied[źz]\s*(?:to|:|jest)+", r"(?:son\s+)?cevap\s*:?",
    r"đáp\s+(?:án|số)\s*(?:là|:)*",
    r"jawaban(?:nya|\s+akhir)?\s*(?:adalah|:)+", r"svar(?:et)?\s*(?:är|:)+", r"คำตอบ\s*(?:คือ|:)*",
    r"(?:die\s+)?lösung\s*(?:ist|lautet|:)+", r"(?:la\s+)?soluci[óo]n\s*(?:es|:)+", r"(?:le\s+)?résultat\s*(?:est|:)+",
    r"(?:il\s+)?risultato\s*(?:è|:)+", r"(?:el\s+|o\s+)?resultado\s*(?:es|é|:)+", r"результат\s*(?:равен|:|—|-)*",
    r"(?:^|\n)[#* \t]{0,12}(?:final|output|ans|sonuç|wynik)\**\s*[.:=：]+",
    r"odpověď\s*(?:je|:)+", r"válasz\s*:", r"răspuns(?:ul)?\s*(?:este|:)+", r"vastaus\s*(?:on|:)+",

    r"উত্তর\s*(?:হল|হলো|:)*", r"సమాధానం\s*:?", r"jibu\s*(?:ni|:)+",
    r"(?:^|\n)[#* \t]{0,12}(?:final\s+)?answer\**\s*\n", r"απάντηση\s*(?:είναι|:)*",
    r"תשובה\s*(?:היא|:)*", r"(?:answer\s+)?choice\s+(?:is|:)",
)  # fmt: skip
_PHRASE = re.compile("|".join(f"(?:{phrase})" for phrase in _PHRASES), re.IGNORECASE)
_LINE_MARK = re.compile(r"^(?:[-*•+]|#{1,6}|>)\s+(?=\S)")
# ### Answer, and the answer alone on the line below
_HEADING = re.compile(
    r"[#*_ ]{0,12}(?:the\s+)?(?:final\s+)?answer[*_: ]{0,12}\n\s*([^\n]{1,400})", re.IGNORECASE
)
_FINAL = re.compile(r"final\s+answer\*{0,2}\s*(?:is|:)", re.IGNORECASE)
_SEGMENT = re.compile(
    r"\$\$(.{1,2000}?)\$\$|\\\[(.{1,2000}?)\\\]|\\\((.{1,2000}?)\\\)|(?<!\\)\$((?:\\.|[^$\\\n]){1,2000})\$",
    re.DOTALL,
)
_LINK = re.compile(r"[\s,;.$*]*(?:,|;|\band\b|\bor\b|&|\\text\s*\{\s*(?:and|or)\s*\})[\s$*]*", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[\w)}\]%$*\"'°!])\s*(?:\.(?=\s|$)|。|\n|\.\s*I hope|!(?=\s+[A-Z][a-z' ]))")
_NUMERAL = re.compile(
    r"(?<![.,])(?<![^\W\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af])[-−]?[$€£]?(?>\d[\d,]*(?:\.\d+)?|\.\d+)(?:/\d+|e[-+]?\d+)?(?=(?:\s?%|\s?[a-zA-Z°€²³$]{1,3}(?![a-zA-Z\d])|[^\w]|[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]|$))\s?%?",
)
_SCALE_BEHIND = re.compile(
    rf"\s{{0,3}}(?:dozen|hundred|thousand|million|billion|trillion|lakh|crore|{'|'.join(PLURAL_PARTS)})(?![^\W\d_])",
    re.IGNORECASE,
)
_PROSE = re.compile(
    r"(?<![\w\\])[^\W\d_]{4,}|(?:(?<![\w\\])[^\W\d_]{2,}\W+){2}|[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]"
)
_LABEL = re.compile(
    r"^(?:\\text\s*\{\s*)?((?:[^\W\d_]{3,15}|[\u4e00-\u9fff]{2,6})(?: [^\W\d_]{2,14}){0,3})"
    r"\s*[:：]\s*\}?\s*(?=[-$\\(\[\d])"
)
_NO_PHRASE = re.compile(r"\b(?:in|wrong |incorrect |false |previous |not the |not an? )$", re.IGNORECASE)
_NO_LABEL = re.compile(
    r"wrong|incorrect|not|guess|hint|example|note|step|except|option|choice|previous|bound|attempt|initial",
    re.IGNORECASE,
)
_LEADING = re.compile(
    r"^(?:\s|[✅✔✓☑➡👉🎯]\ufe0f?|\*|`|:|=>|->|=|：|≈|~|∴|→|⇒|⟹"
    r"|\\(?:therefore|Rightarrow|implies|Longrightarrow|rightarrow|to)(?![A-Za-z])"
    r"|(?:approximately|about|roughly|simply|just|equal to|exactly"
    r"|thus|therefore|so|is|are|hence|dus|donc|par conséquent|итак|следовательно|значит|daher|folglich|por lo tanto"
    r"|(?:the )?(?:point|ordered pair|ordered triple|interval|vector|matrix|value|number|coordinates)(?= [\d(\[\\{$-])"
    r"|(?:hay|il y a|es gibt|há|ci sono)(?= \d)"
    r"|portanto|logo|quindi|así que|então)\b,?|因此|所以|よって|したがって|따라서|그러므로)+",
    re.IGNORECASE,
)
_HTML = re.compile(r"</?(?:b|i|u|em|strong|p|span|code)>|<br ?/?>", re.IGNORECASE)
_TAIL = re.compile(
    r",?\s+as (?:was |is )?(?:required|desired|needed|expected|claimed|requested|stated|asked|wanted)\s*\.?$",
    re.IGNORECASE,
)
_OPTION_WORD = re.compile(
    r"^\W*(?:(?:the|la|die|el|[ao])\s+|l'|)(?:option|choice|opción|opção|opzione|вариант|选项)\s*",
    re.IGNORECASE,
)
_OPTION = re.compile(r"^\W{0,3}\(?([A-J])[).:\]]\)?\s+(?!or\b|and\b)\S")
_ANY_OPTION = re.compile(r"(?<![A-Za-z])\(?([A-J])[).:\]](?:\s|$)")


class Candidate(NamedTuple):
    """A text that may be the answer; not `confident` where it was only guessed to be."""

    text: str
    confident: bool


def candidates(text: str) -> Iterator[Candidate]:
    """Candidates in order; the first that can be read is the answer.

    A box wins over a tag, a tag over a phrase (`the answer is`), then comes a short text as a whole, the last
    formula, and the last number. Of several boxes the last counts; boxes joined by `and`, `or` or a comma are one
    list, so naming two answers is never better than naming one.
    """
    text = text[-MAX_READ:]
    tagged = tagged_answer(text)
    body = tagged if tagged is not None else text
    found = boxes(body)
    if found and not _FINAL.search(body, found[-1][1]):
        joined = _joined_boxes(body, found)
        yield Candidate(cleaned(joined), True)
        inner = after_phrase(joined)
        if inner is not None:
            yield Candidate(inner, True)
        return
    if tagged is not None:
        phrase = after_phrase(tagged) if _PHRASE.match(tagged.lstrip("*# \n")) else None
        yield Candidate(phrase or cleaned(tagged), True)
    phrase = after_phrase(body)
    if phrase is not None:
        yield Candidate(phrase, True)
        body = phrase
    elif found:
        yield Candidate(cleaned(_joined_boxes(body, found)), True)
    if len(body) <= MAX_SHORT:
        yield Candidate(cleaned(body), True)
    formula, formula_end = _last_formula(body)
    number, number_end = _last_number(body) if _PROSE.search(_whole_words(body)) else (None, -1)
    if formula is not None and formula_end >= number_end:
        yield Candidate(cleaned(formula), False)
    elif number is not None:
        yield Candidate(number, False)


def _joined_boxes(text: str, found: list[tuple[int, int, str]]) -> str:
    parts = [found[-1][2]]
    for (_, end, content), (start, _, _) in zip(reversed(found[:-1]), reversed(found[1:]), strict=True):
        if start != end and not _LINK.fullmatch(text[end:start]):
            break
        if content.strip() not in parts:
            parts.append(content.strip())
    return ", ".join(reversed([part.strip() for part in parts]))


def after_phrase(text: str) -> str | None:
    """What follows the last `the answer is` (in any of the languages), to the end of its sentence."""
    last = None
    tail = text[-MAX_PHRASE:]
    for match in _PHRASE.finditer(tail):
        if not _NO_PHRASE.search(tail[max(0, match.start() - 20) : match.start()]):
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
    match = _PHRASE.match(line.lstrip("*_# "))
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
    match = _SEGMENT.match(_strip_marks(text))
    if match is None:
        return None
    text = _strip_marks(text)
    parts = [_content(match)]
    while True:
        link = _LINK.match(text, match.end())
        following = _SEGMENT.match(text, link.end()) if link else None
        if following is None:
            break
        parts.append(_content(following))
        match = following
    tail = re.match(r"\s*(%|percent|or\s+[^\n.]{1,40}|and\s+[^\n.]{1,40})", text[match.end() :])
    return ", ".join(parts) + (" " + tail.group(1) if tail else "")


def _strip_marks(text: str) -> str:
    return text.lstrip("*_` \"'")


def _content(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None)


def _last_formula(text: str) -> tuple[str | None, int]:
    """The last formula, joined with those it is linked to, and where it ends."""
    skipped = max(0, len(text) - MAX_PHRASE)
    text = text[skipped:]
    found = list(_SEGMENT.finditer(text))
    if not found:
        return None, -1
    parts = [_content(found[-1])]
    for earlier, later in zip(reversed(found[:-1]), reversed(found[1:]), strict=True):
        between = text[earlier.end() : later.start()]
        if not (_LINK.fullmatch(between) or (len(between) < 40 and HEDGE.search(between))):
            break
        parts.append(_content(earlier))
    if BOUND.search(text[: found[-1].start()]) or DENIAL_BEHIND.match(text, found[-1].end()):
        return None, -1
    return ", ".join(reversed(parts)), skipped + found[-1].end()


def _whole_words(text: str) -> str:
    """The end of a text, from a whole word on: a cut command is no word."""
    return text if len(text) <= MAX_LINE else re.sub(r"^[^\W\d_]+", "", text[-MAX_LINE:])


def _last_number(text: str) -> tuple[str | None, int]:
    """The last number and where it ends; none where `or`, `maybe` and the like stand before it."""
    skipped = max(0, len(text) - MAX_LINE)
    tail = text[skipped:]
    found = list(_NUMERAL.finditer(tail))
    if not found:
        return None, -1
    if len(found) > 1 and HEDGE.search(tail[found[-2].end() : found[-1].start()]):
        return None, -1
    before = tail[: found[-1].start()]
    if DENIED.search(before) or BOUND.search(before) or DENIAL_BEHIND.match(tail, found[-1].end()):
        return None, -1
    number = found[-1].group().rstrip(",")
    if re.fullmatch(r"\D*\d+,\d+\D*", number) and not re.search(r"\d,\d{3}(?!\d)", number):
        number = number.replace(",", ".")  # 2,74: a number on its own, not a list
    if scale := _SCALE_BEHIND.match(tail, found[-1].end()):
        number += scale.group()
    return number, skipped + found[-1].end()


def cleaned(text: str) -> str:
    """Without outer marks: white space, markdown, quotes, dollar signs, a final full stop."""
    text = _HTML.sub("", text).strip()
    for _ in range(4):
        before = text
        text = _LEADING.sub("", text)
        label = _LABEL.match(text)
        if label and not _NO_LABEL.search(label.group(1)):
            text = text[label.end() :]
        text = text.strip().rstrip("。．।✓✔✅☑\ufe0f ").strip('`"“”')
        text = re.sub(r"^(?:'([^']*)'|‘([^‘’]*)’|«([^«»]*)»|「([^「」]*)」)$", r"\1\2\3\4", text)
        text = re.sub(r"^\*{1,3}(.*?)\*{1,3}$", r"\1", text, flags=re.DOTALL).strip()
        if text.endswith("*") and not text.endswith("^*"):
            text = text.rstrip("*").rstrip()
        text = re.sub(r"^__?([^_].*?)__?$", r"\1", text)
        text = _TAIL.sub("", text)
        if text.endswith((".", ",", ";")) and not text.endswith(("..", "\\,", "\\;")):
            text = text[:-1].rstrip()
        match = _SEGMENT.fullmatch(text)
        if match:
            text = _content(match).strip()
        if text == before:
            break
    return text


def option_letter(text: str) -> str | None:
    """`C` of `(C) 42` or `C. blue`, unless another option is named as well."""
    text = _OPTION_WORD.sub("", text)
    text = re.sub(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}", r"\1 ", text).replace("\\", " ")
    if bare := re.fullmatch(r"\(?([A-J])\)?", text.strip()):
        return bare.group(1)
    match = _OPTION.match(text)
    if match is None or len(set(_ANY_OPTION.findall(text))) > 1:
        return None
    return match.group(1)
