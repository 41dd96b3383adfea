"""Where a final text states its choice, in sentences as vision-language models write them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from verifiers.expression.text.statement import after_phrase
from verifiers.reading.final_line import boxes, stated_answer, tagged_answer
from verifiers.reading.option_letter import (
    ALTERNATIVE,
    LED,
    LETTER_LIST,
    OPTION_NOUN,
    OTHER_CONTENT,
    SENTENCE,
    VERB,
    bare_options,
    letters,
    options_by_text,
    other_content,
    plain_text,
)

MAX_SENTENCE = 400
MAX_READ = 20_000  # of a longer final answer only the end is read
_FILLER = (
    r"(?:therefore|thus|then|hence|clearly|simply|indeed|definitely|most\slikely|likely|probably|still|only)"
)
_STATED = re.compile(
    rf"(?i:\b(?:answer|ans|option|choice|letter|key|solution)(?:\s(?:choice|option|letter))?)"
    rf"(?:\s{{0,3}}(?:[:：=→–-]|(?i:is|are|was|(?:should|would|must|will)(?:\s{_FILLER})?\sbe|has\sto\sbe|{_FILLER}\b|{OPTION_NOUN}\b)))"
    rf"{{1,6}}[\s\"'“‘]{{0,4}}({LETTER_LIST}|\([a-h]\)|[a-h](?=\)|[.!]?\s*$))"
)
_TAKEN = re.compile(
    r"(?i:\b(?:choose|chose|chosen|pick(?:ed)?|select(?:ed|ion)?|go(?:ing)?\swith|opt(?:ed)?\sfor|settle\s(?:on|for)|leaning\stowards?"
    r"|leav(?:es|ing)(?:\s(?:us|me|only|just)){0,2}(?:\swith)?|left\swith)(?:\s{0,3}:)?\s{1,3}"
    rf"(?:the\s)?(?:(?:correct\s|right\s)?{OPTION_NOUN}\s{{1,3}})?)({LETTER_LIST})"
)
_CALLED = re.compile(
    rf"(?<!\w)(?i:{OPTION_NOUN}\s{{1,3}})?({LETTER_LIST})\s{{1,3}}(?:is|are|must\sbe|has\sto\sbe)\s(?:{_FILLER}\s)?(?:the\s)?(?:only\s)?"
    rf"(?:(?:correct|right|best)(?:\s(?:{OPTION_NOUN}|one|ones))?|(?:final\s)?answer)(?=[.!,]?\s*$|[.!]\s|,?\s(?:because|since|as)\b)"
)
_ONLY = re.compile(
    rf"(?i:\bonly\s(?:{OPTION_NOUN}\s)?)({LETTER_LIST})\s(?i:fits?|works?|satisf\w+|match\w*|remains?|is\sleft|makes\ssense)\b"
    rf"|^({LETTER_LIST})\sit\sis$"
    rf"|\b(?i:it|this)\s(?i:must|has\sto|can\sonly)\sbe\s({LETTER_LIST})(?=[.!]?\s*$)"
    r"|\b(?i:so|thus|hence|therefore),?\s(?i:it|this|that)(?:\sis|['’]s)\s(\([A-Z]\))"
)
_CHINESE = re.compile(
    r"(?<![不非误錯错])(?:答案|正解は|选择|选项|選項|选|選)[】\]]?\s{0,3}(?:应该?是|应为|是|为|為|：|:)*\s{0,3}[（(]?([A-Z](?:[\s,、和]{0,3}[A-Z])*)(?![A-Za-z])"
    r"|(?<![A-Za-z])([A-Z])\s?(?:选项|選項|项)?(?:是|为)?(?:正确|对)的?(?:[。.]|$)|^([A-Z])\s?(?:选项|選項|项)[。.]?$"
)
_CLOSED = re.compile(
    rf"(?:^(?:{_FILLER}\s)?|[,;:]\s|['’]s\s|\b(?:is|are|be|was|so|thus|hence|therefore|to|with|matches|in|=|→|{OPTION_NOUN}|figure|picture|image|panel|statement)"
    rf"(?:[,:]|\s{_FILLER},?|\s{OPTION_NOUN}|\sfigure)?\s)({LETTER_LIST})[.!]?$|(\([A-Z](?:\)?(?:,|\sand)\s\(?[A-Z])*\))[.!]?$",
    re.IGNORECASE,
)
# Letters behind a stated one, on its line or the next ones, up to the end of a line: `B; D`, `B [D]`
_FURTHER = re.compile(
    r"[)\]\"'”’]{0,2}"
    r"(?:(?:[\s;,.、/|&]|\b(?i:and|or)\b|[或和与及]){1,12}[(\[]?[A-Z](?![A-Za-z0-9'’])[)\]]?){1,25}"
    r"[.!。]?[ \t]*(?:\n|$)"
)
_NO_CLOSING = re.compile(
    r"\b(?:not|never|neither|nor|either|or|except|without|unlike|wrong|incorrect|false|might|may|could|cannot|maybe|perhaps|doubt|unsure|if)\b"
    r"|n['’]t\b|\?",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:\b(?:not|never|wrong|incorrect|false|previous|initial|first|tempting|neither|nor|or|if|might|may|could|cannot|doubt\w*"
    r"|exclude|eliminate|students?|people|some|they)|n['’]t)\b[^.!?;\n]{0,16}$",
    re.IGNORECASE,
)
_HEDGED = re.compile(
    r"(?:\b(?:but|though|although|however|or|actually|wait|maybe|perhaps|possibly|alternatively|hmm|no|also)\b[^.!?\n]{0,40}?"
    r"(?<![A-Za-z])\(?([A-Z])\)?(?=[.!?,;)]|\s*$)"
    r"|(?<![A-Za-z])\(?([A-Z])\)?,?\s(?:is|are|could\sbe|may\sbe|might\sbe|would\sbe|seems?|looks?|works?|fits?)\s?"
    r"(?:also|too|equally|just\sas|as\swell)?\s?(?:correct|possible|plausible|valid|acceptable|too(?!\s\w)|also|as\swell)\b"
    r"|(?<![A-Za-z])\(?([A-Z])\)?\s(?:is|seems|looks)\s(?:also|equally)\s(?:right|true|good|fine)\b"
    r"|(?<![A-Za-z])\(?([A-Z])\)?\s(?:also|equally|might|may)\s(?:work|fit|appl|hold|be|make|seem|look|match|satisf))",
    re.IGNORECASE,
)
_PREDICATE = re.compile(
    r"[^.;:!?]{1,120}?\b(?:is|are|was|were|equals?|shows?|has|have|contains?|be|reads?|means)\s+(?:(?:therefore|thus|clearly|exactly)\s+)?",
    re.IGNORECASE,
)
_CHOSEN_OVER = re.compile(r"\(?([A-Z])\)?,\s(?:(?:and|but)\s)?(not\s\(?([A-Z])\)?)")
_YES_NO = frozenset({"yes", "no", "true", "false", "correct", "incorrect"})


def named_options(text: str, texts: Mapping[str, str]) -> set[str]:
    """Letters of the options that `text` names as the answer; empty where it names none.

    texts: letter -> option text in normal form; empty when the options are not declared. A letter with other content
    than its option's brings `OTHER_CONTENT` with it. In this order: what a wrapper marks; the last sentence that
    states an answer (`the answer is`, `I choose`, `B is correct`) with the letters that it does not exclude; a closing
    (`So (B).`) or an opening line (`B. blue`); an option's text alone or as a predicate (`It is blue.`).
    """
    text = text[-MAX_READ:]
    if tagged_answer(text) is not None or boxes(text):
        marked = plain_text(stated_answer(text))
        return _chosen_over(marked, texts) or bare_options(marked, texts, boxed=True) or _prose(marked, texts)
    plain = plain_text(stated_answer(text))
    if "\n" in plain:
        return _prose(plain, texts)
    line = " ".join(plain.split())
    return _chosen_over(line, texts) or bare_options(line, texts) or _prose(plain, texts)


def _chosen_over(text: str, texts: Mapping[str, str]) -> set[str]:
    """B of `B, not A` and nothing else; of no text that is, or holds, what an option says."""
    match = _CHOSEN_OVER.fullmatch(text)
    if (
        match is None
        or match[1] == match[3]
        or any(options_by_text(part, texts) for part in (text, *match.groups()))
    ):
        return set()
    return {match[1]}


def _prose(text: str, texts: Mapping[str, str]) -> set[str]:
    lines = [line.strip(" *-•") for line in text.split("\n") if line.strip(" *-•")]
    if not lines:
        return set()
    listed = sum(LED.match(line) is not None for line in lines[:12]) > 1
    opening = set() if listed or len(lines) == 1 else bare_options(lines[0], texts)
    if stated := _stated(text, texts):
        return stated | opening
    last = _last_lines(lines, texts) or _closing(SENTENCE.split(lines[-1])[-1], texts)
    if len(lines) > 1 and last:
        return last | opening
    if found := last or opening or _predicate(SENTENCE.split(text), texts):
        return found | (_hedges(text, found) if found == opening else set())
    phrase = None if re.search(r"[不非]\s?[选選是]", text) else after_phrase(text)
    return bare_options(plain_text(phrase), texts) if phrase else set()


def _last_lines(lines: list[str], texts: Mapping[str, str]) -> set[str]:
    """What the lines at the end name that each name options and nothing else: a list names them all."""
    named: set[str] = set()
    for line in reversed(lines[-30:]):
        found = bare_options(line, texts)
        if not found:
            break
        named |= found
    return named


def _stated(text: str, texts: Mapping[str, str]) -> set[str]:
    """The letters of the last phrase that states an answer and is not denied, with what is hedged behind it."""
    last: re.Match[str] | None = None
    for pattern in (_STATED, _TAKEN, _CALLED, _ONLY, _CHINESE):
        for match in pattern.finditer(text):
            before = text[max(0, match.start() - 40) : match.start()]
            if _DENIED.search(before) or (pattern is _CALLED and not _opens(before)):
                continue
            if last is None or match.end() > last.end():
                last = match
    if last is None:
        return set()
    named = set(re.findall("[A-Z]", next(group for group in last.groups() if group).upper()))
    if re.search(r"\b(?:or|and)\b", last.group()):
        named -= {"O", "R", "N", "D"} - set(re.findall(r"(?<![A-Z])[A-Z](?![A-Z])", last.group()))
    rest = text[last.end() : last.end() + 400]
    if (
        len(named) == 1
        and named & {"A", "I"}
        and re.match(r"\s(?!(?:because|since|as|is|and|or|but|which|with|for|due|if|when|so)\b)[a-z]", rest)
    ):
        return set()  # an article or a pronoun
    if further := _FURTHER.match(rest):
        named |= set(re.findall(r"(?<![A-Za-z])[A-Z](?![A-Za-z])", further.group()))
    if rest.startswith("?") and not _hedges(rest, named):
        return set()
    content = re.match(r"\)?\s?[(.:：、,–—-]\s*([^\n]{1,400})", rest)
    if content and len(named) == 1 and not VERB.match(content.group(1)):
        named |= other_content(next(iter(named)), content.group(1).rstrip(" )."), texts)
    if ALTERNATIVE.search(last.group(last.lastindex or 0)) or re.match(r"\W{0,4}(?:or\b|/)\W{0,4}\w", rest):
        named = named | {OTHER_CONTENT}
    return named | _hedges(rest, named)


def _opens(before: str) -> bool:
    """Whether what follows `before` begins a clause: `B is correct`, not `neither A nor B is correct`."""
    return (
        re.search(
            r"(?:^|[.!?\n]\s*|(?<![A-Z]),\s|\b(?i:so|thus|hence|therefore|then|that|only|clearly)\s)$", before
        )
        is not None
    )


def _hedges(rest: str, named: set[str]) -> set[str]:
    """Other letters that are called possible behind a stated answer; `but C is too small` names none."""
    found: set[str] = set()
    for match in _HEDGED.finditer(rest[:400]):
        letter = next(group for group in match.groups() if group)
        denied = re.search(r"\bnot\b|n['’]t\b|\bthan\b|\binstead\b", match.group(), re.IGNORECASE)
        if letter.isupper() and letter not in named and not denied:
            found.add(letter)
    return found


def _closing(sentence: str, texts: Mapping[str, str]) -> set[str]:
    """The letters that a last sentence ends in: `So (B).`, `The next figure is D`."""
    sentence = sentence.strip(" .!*")
    own = re.search(r"\b([A-Z])\s\(([^()]{2,80})\)$", sentence)
    if own and texts and not other_content(own.group(1), own.group(2), texts):
        sentence = sentence[: own.end(1)]
    match = _CLOSED.search(sentence)
    if match is None or len(sentence) > MAX_SENTENCE:
        return set()
    written = next(group for group in match.groups() if group)
    bare = not written.startswith("(")
    if not written.isupper() and re.search(r"[a-z]", re.sub(r"\b(?:and|or)\b", "", written)):
        return set()
    if bare and any(text.split()[-1:] == [written.casefold()] for text in texts.values()):
        return set()  # vitamin C
    if _NO_CLOSING.search(re.sub(r"^.*\b(?:so|thus|hence|therefore|but)\b", "", sentence)):
        return set()
    return letters(written) or set(re.findall("[A-Z]", written))


def _predicate(sentences: list[str], texts: Mapping[str, str]) -> set[str]:
    """The option whose text a short answer predicates: `It is a blue cup.`, `Yes, it is.`"""
    if not texts or len(sentences) > 3:
        return set()
    led = re.match(r"([A-Za-z]+)[,.:;]", sentences[0].strip())
    if led and led.group(1).casefold() in _YES_NO:
        return options_by_text(led.group(1), texts)
    sentence = sentences[-1].strip()
    if len(sentence) > MAX_SENTENCE:
        return set()
    match = _PREDICATE.match(sentence)
    while match is not None:
        if _NO_CLOSING.search(match.group()):
            return set()
        if found := options_by_text(sentence[match.end() :].strip(" .!"), texts):
            return found
        match = _PREDICATE.match(sentence, match.end())
    return set()
