"""Which options of a multiple choice a final text names, by letter or by text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from verifiers.expression.text.statement import after_phrase
from verifiers.reading.final_line import boxes, stated_answer, tagged_answer
from verifiers.reading.plain_text import normalise

MAX_READ = 20_000  # of a longer final answer only the end is read
OTHER_CONTENT = "?"  # stands among the named letters where a letter is followed by what is not its option

_LIST = (
    r"\(?[A-Z]\)?(?:\s{0,3}(?:,\s?(?:and|or)?|\band\b|\bor\b|&|/|、|和|与)\s{0,3}\(?(?!I\s[a-z])[A-Z]\)?(?![A-Za-z'’]))*"
    r"(?![A-Za-z0-9'’])"
)
_NOUN = r"(?:options?|choices?|letters?|answers?)"
_FILLER = (
    r"(?:therefore|thus|then|hence|clearly|simply|indeed|definitely|most\slikely|likely|probably|still|only)"
)
_STATED = re.compile(
    rf"(?i:\b(?:answer|ans|option|choice|letter|key|solution)(?:\s(?:choice|option|letter))?)"
    rf"(?:\s{{0,3}}(?:[:：=→–-]|(?i:is|are|was|(?:should|would|must|will)(?:\s{_FILLER})?\sbe|has\sto\sbe|{_FILLER}\b|{_NOUN}\b)))"
    rf"{{1,6}}[\s\"'“‘]{{0,4}}({_LIST}|\([a-h]\)|[a-h](?=\)|[.!]?\s*$))"
)
_TAKEN = re.compile(
    r"(?i:\b(?:choose|chose|chosen|pick(?:ed)?|select(?:ed|ion)?|go(?:ing)?\swith|opt(?:ed)?\sfor|settle\s(?:on|for)|leaning\stowards?"
    r"|leaves(?:\s(?:us|me|only|just)){0,2}(?:\swith)?|left\swith)(?:\s{0,3}:)?\s{1,3}"
    rf"(?:the\s)?(?:(?:correct\s|right\s)?{_NOUN}\s{{1,3}})?)({_LIST})"
)
_CALLED = re.compile(
    rf"(?<!\w)(?i:{_NOUN}\s{{1,3}})?({_LIST})\s{{1,3}}(?:is|are|must\sbe|has\sto\sbe)\s(?:{_FILLER}\s)?(?:the\s)?(?:only\s)?"
    rf"(?:correct|right|best)(?:\s(?:{_NOUN}|one|ones))?(?=[.!,]?\s*$|[.!]\s|,?\s(?:because|since|as)\b)"
)
_CHINESE = re.compile(
    r"(?<![不非误錯错])(?:答案|选择|选项|選項|选|選)\s{0,3}(?:应该?是|应为|是|为|為|：|:)*\s{0,3}[（(]?([A-Z](?:[\s,、和]{0,3}[A-Z])*)(?![A-Za-z])"
    r"|(?<![A-Za-z])([A-Z])\s?(?:选项|選項|项)?(?:是|为)?(?:正确|对)的?(?:[。.]|$)|^([A-Z])\s?(?:选项|選項|项)[。.]?$"
)
_CLOSED = re.compile(
    rf"(?:^|[,;:]\s|\b(?:is|are|be|was|so|thus|hence|therefore|to|with|matches|in|=|→|{_NOUN}|figure|picture|image|panel|statement)"
    rf"(?:[,:]|\s{_FILLER},?|\s{_NOUN}|\sfigure)?\s)({_LIST})[.!]?$|(\([A-Z](?:\)?(?:,|\sand)\s\(?[A-Z])*\))[.!]?$",
    re.IGNORECASE,
)
_NO_CLOSING = re.compile(
    r"\b(?:not|never|neither|nor|either|or|except|without|unlike|wrong|incorrect|false|might|may|could|maybe|perhaps|doubt|unsure|if)\b"
    r"|n['’]t\b|\?",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:\b(?:not|never|wrong|incorrect|false|previous|initial|first|tempting|neither|nor|or|if|might|may|could|cannot|doubt\w*"
    r"|exclude|eliminate|students?|people|some|they)|n['’]t)\b[^.!?\n]{0,16}$",
    re.IGNORECASE,
)
_HEDGED = re.compile(
    r"(?:\b(?:but|though|although|however|or|actually|wait|maybe|perhaps|possibly|alternatively|hmm|no|also)\b[^.!?\n]{0,40}?"
    r"(?<![A-Za-z])\(?([A-Z])\)?(?=[.!?,;)]|\s*$)"
    r"|(?<![A-Za-z])\(?([A-Z])\)?,?\s(?:is|are|could\sbe|may\sbe|might\sbe|would\sbe|seems?|looks?|works?|fits?)\s?"
    r"(?:also|too|equally|just\sas|as\swell)?\s?(?:correct|right|possible|plausible|valid|acceptable|true|too|also|as\swell)\b)",
    re.IGNORECASE,
)
_LED = re.compile(
    r"\(?([A-Z])(?:[).:：、]\)?\s*|\s?[-–—]\s|,\s|\)?\s(?=(?:a|an|the)\s))(?!\s)(.+)", re.DOTALL
)
_OTHER = re.compile(r"(?<![A-Za-z])\(?([A-Z])[).:]|\b(?:option|or|and)\s+\(?([A-Z])\b")
_VERB = re.compile(
    r"(?:is|are|was|can|could|does|has|have|shows?|would|looks?|seems?|and|or|cannot|must)\b|[,&/]"
)
_SENTENCE = re.compile(r"(?<=[\w)\]][.!?])\s+|\n+|(?<=[。！？])")
_PREDICATE = re.compile(
    r"[^.;:!?]{1,120}?\b(?:is|are|was|were|equals?|shows?|has|have|contains?|be|reads?|means)\s+(?:(?:therefore|thus|clearly|exactly)\s+)?",
    re.IGNORECASE,
)
_YES_NO = frozenset({"yes", "no", "true", "false", "correct", "incorrect"})
_ALIKE = str.maketrans("АВСЕΑΒΕ", "ABCEABE")
_WRAP = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_NUMERAL = re.compile(r"\d+(?:[.,/]\d+)*")


def named_options(text: str, texts: Mapping[str, str]) -> set[str]:
    """Letters of the options that `text` names as the answer; empty where it names none.

    texts: letter -> option text in normal form; empty when the options are not declared. A letter with other content
    than its option's brings `OTHER_CONTENT` with it. In this order: what a wrapper marks; the last sentence that
    states an answer (`the answer is`, `I choose`, `B is correct`) with the letters that it does not exclude; a closing
    (`So (B).`) or an opening line (`B. blue`); an option's text alone or as a predicate (`It is blue.`).
    """
    text = text[-MAX_READ:]
    if tagged_answer(text) is not None or boxes(text):
        marked = _plain(_marked(text))
        return _statement(marked, texts, boxed=True) or _prose(marked, texts)
    plain = _plain(stated_answer(text))
    return _statement(" ".join(plain.split()), texts) or _prose(plain, texts)


def _marked(text: str) -> str:
    """What the wrapper marks; boxes joined by no more than `and`, `or` or a comma count as one."""
    tagged = tagged_answer(text)
    found = boxes(tagged if tagged is not None else text)
    parts = [found[-1][2]] if found else [stated_answer(text)]
    inside = tagged if tagged is not None else text
    for (_, end, content), (start, _, _) in zip(reversed(found[:-1]), reversed(found[1:]), strict=True):
        if not re.fullmatch(r"[\s$,]{0,6}(?:and|or|,)?[\s$]{0,6}", inside[end : min(start, end + 20)]):
            break
        parts.append(content)
    return ", ".join(reversed(parts))


def _plain(text: str) -> str:
    """Without markup; a letter in bold or in backticks stands in brackets."""
    text = unicodedata.normalize("NFKC", text)
    while (unwrapped := _WRAP.sub(r"\1", text)) != text:
        text = unwrapped
    text = re.sub(r"\\[()\[\]]|\\[,;! ]|[$`]|\\left|\\right", " ", text)
    text = re.sub(rf"(\*\*|__)\s?({_LIST})[.:]?\s?\1", r"(\2)", text)
    text = re.sub(r"\(\((.{1,40}?)\)\)", r"(\1)", text)
    text = re.sub(r"\*\*|__|(?m:^\s{0,3}(?:#{1,6}|>)\s)", "", text)
    text = re.sub(r"(?<=[A-Z])(?:입니다|이다|です|である)(?=$|[.。\s])", "", text).strip(" *\"'“”‘’.。\n\t")
    return text.translate(_ALIKE) if len(text) < 8 else text


def _statement(text: str, texts: Mapping[str, str], boxed: bool = False) -> set[str]:
    """A text that is an answer and nothing else: letters, an option's text, or a letter before its text."""
    text = re.sub(
        rf"^(?i:the\s)?(?i:correct\s)?(?i:{_NOUN})\s{{1,3}}(?=\(?[A-Za-z]\)?(?:$|[).:\s]))", "", text
    )
    if re.fullmatch(r"[(\[]?[a-z][)\]]?", text, re.IGNORECASE):
        return {text.strip("()[]").upper()}
    if found := _by_text(text, texts) or letters(text):
        return found
    led = _LED.fullmatch(text)
    if led is None or len(led.group(2)) > 2_000 or "\n" in led.group(2):
        return set()
    letter, content = led.groups()
    blank = text[led.end(1) : led.start(2)].strip() in ("", ",", "-", "–", "—")
    own = texts.get(letter)
    if _VERB.match(content) or (blank and not boxed and not (own and _same(content, own))):
        return set()
    others = {a or b for a, b in _OTHER.findall(content)}
    return {letter} | others | _content(letter, content, texts)


def _content(letter: str, content: str, texts: Mapping[str, str]) -> set[str]:
    """What stands behind a letter: nothing new where it is the option's text or explains it, else `OTHER_CONTENT`."""
    own = texts.get(letter)
    if own is None:
        return {OTHER_CONTENT} if texts else set()
    sentence = _SENTENCE.split(content.strip(" :.,-–—"), maxsplit=1)[0]
    form, words = normalise(sentence), normalise(sentence).split()
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


def _prose(text: str, texts: Mapping[str, str]) -> set[str]:
    lines = [line.strip(" *-•") for line in text.split("\n") if line.strip(" *-•")]
    if not lines:
        return set()
    first = _statement(lines[0], texts)
    listed = sum(_LED.match(line) is not None for line in lines[:12]) > 1
    opening = set() if listed or len(lines) == 1 else first
    if stated := _stated(text, texts):
        return stated | opening
    last = _statement(lines[-1], texts) or _closing(_SENTENCE.split(lines[-1])[-1], texts)
    if len(lines) > 1 and last:
        return last | opening
    if found := last or opening or _predicate(_SENTENCE.split(text), texts):
        return found | (_hedges(text, found) if found == opening else set())
    phrase = after_phrase(text)
    return _statement(_plain(phrase), texts) if phrase else set()


def _stated(text: str, texts: Mapping[str, str]) -> set[str]:
    """The letters of the last phrase that states an answer and is not denied, with what is hedged behind it."""
    last: re.Match[str] | None = None
    for pattern in (_STATED, _TAKEN, _CALLED, _CHINESE):
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
    if rest.startswith("?") and not _hedges(rest, named):
        return set()
    content = re.match(r"\)?\s?[).:：、,–—-]\s*([^\n]{1,400})", rest)
    if content and len(named) == 1 and not _VERB.match(content.group(1)):
        named |= _content(next(iter(named)), content.group(1), texts)
    if re.match(r"\W{0,4}(?:or\b|/)\W{0,4}\w", rest):
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
        letter = match.group(1) or match.group(2)
        denied = re.search(r"\bnot\b|n['’]t\b|\bthan\b|\binstead\b", match.group(), re.IGNORECASE)
        if letter.isupper() and letter not in named and not denied:
            found.add(letter)
    return found


def _closing(sentence: str, texts: Mapping[str, str]) -> set[str]:
    """The letters that a last sentence ends in: `So (B).`, `The next figure is D`."""
    sentence = sentence.strip(" .!*")
    match = _CLOSED.search(sentence)
    if match is None or len(sentence) > 400:
        return set()
    written = next(group for group in match.groups() if group)
    bare = not written.startswith("(")
    if not written.isupper() and re.search(r"[a-z]", re.sub(r"\b(?:and|or)\b", "", written)):
        return set()
    if bare and any(text.split()[-1:] == [written.casefold()] for text in texts.values()):
        return set()  # vitamin C
    if _NO_CLOSING.search(re.sub(r"^.*\b(?:so|thus|hence|therefore|but)\b", "", sentence)):
        return set()
    return set(re.findall("[A-Z]", written))


def _predicate(sentences: list[str], texts: Mapping[str, str]) -> set[str]:
    """The option whose text a short answer predicates: `It is a blue cup.`, `Yes, it is.`"""
    if not texts or len(sentences) > 3:
        return set()
    led = re.match(r"([A-Za-z]+)[,.:;]", sentences[0].strip())
    if led and led.group(1).casefold() in _YES_NO:
        return _by_text(led.group(1), texts)
    sentence = sentences[-1].strip()
    match = _PREDICATE.match(sentence)
    while match is not None:
        if _NO_CLOSING.search(match.group()):
            return set()
        if found := _by_text(sentence[match.end() :].strip(" .!"), texts):
            return found
        match = _PREDICATE.match(sentence, match.end())
    return set()


def letters(text: str) -> set[str]:
    """Letters of `B`, `(B)`, `A, C`, `A and C`, `AC`; empty for anything else."""
    text = re.sub(r"(?<![A-Za-z])(?:and|or)(?![A-Za-z])", ",", text.strip(" $*.。"))
    if len(text) > 200 or not re.fullmatch(r"[A-Z()\s,;/&、和与]*", text):
        return set()
    found = re.findall(r"[A-Z]", text)
    runs = re.findall(r"[A-Z]{2,}", text)
    return set(found) if all(len(set(run)) == len(run) for run in runs) else set()


def _by_text(text: str, texts: Mapping[str, str]) -> set[str]:
    return {letter for letter, option in texts.items() if option and _same(text, option)}


def _same(text: str, option: str) -> bool:
    """Equal in normal form; for texts of words alone also without articles."""
    form = normalise(text)
    if form == option:
        return True
    worded = all(c.isalpha() or c.isspace() for c in form + option)
    return worded and bool(form) and normalise(form, "loose") == normalise(option, "loose") != ""
