"""A value that a text names without stating it: doubted, supposed, put aside, said by others, a bound, or only near.

`I doubt it is 42`, `if it were 42`, `except 42`, `some say 42`, `close to 42`, `42 fails`. `41 rather than 42` says 41.
"""

from __future__ import annotations

import re

from verifiers.expression.text.number_words import with_digits

_MAX_CHARS = 400
_MAX_CUE = 200
_MARKS = " \t\n\r\u00a0$*(\\}"
_THING = r"(?:it|this|that|[a-z]|(?:the |my )?(?:final |correct )?(?:answer|result|value|number|solution|count|total))"
_IS = r"(?:is|was|were|are|be|being|equals?|equal to|would be|might be|could be|should be|=|\\equiv)"
# it is, that x =, there are, the number: what may stand between such words and the value
_LINK = (
    rf"(?:\s{{1,3}}that)?(?:\s{{1,3}}there)?(?:\s{{1,3}}{_THING})?(?:\s{{0,3}}(?<![^\W\d_](?=[^\W\d_])){_IS})?(?:\s{{1,3}}to\s{{1,3}}be)?"
    r"(?:\s{1,3}(?:the|a|an|exactly|only|just|about|as many as))?"
)
# the number, x =: what may stand between `except` and the value
_NAME = rf"(?:\s{{1,3}}{_THING}(?:\s?=)?)?(?:\s{{1,3}}the)?"
_SAY = r"(?:say|think|claim|guess|answer|believe|argue)"
_ASIDE = (
    r"except(?:ing)?(?:\s{1,3}for)?|besides|other than|apart from|aside from"
    r"|(?:(?<=number )|(?<=value )|(?<=answer )|(?<=one ))but"
)
_REPLACED = (
    r"excluding|excludes?|rather than|instead of|as opposed to|(?:anything|everything) but|none of|without"
    r"|rejects?|discards?|rules? out|ruled out"
)
# the least upper bound is a value
_NEAR = (
    r"(?:shy|short) of|(?:close|near) to|near|nowhere near|far from|(?<!st )(?:upper|lower)\s{1,3}bound"
    r"\s{1,3}(?:is|of)"
)
_DOUBT = r"(?<!no )(?<!without )(?<!beyond )(?<!little )(?<!any )(?<! a )doubt(?:s|ed)?"
_UNLIKELY = r"hardly|scarcely|barely|unlikely|improbable|doubtful"
_SUPPOSED = (
    r"supposing|suppose|assuming|assume|imagin(?:e|ing)|(?:in\s{1,3})?case of"
    rf"|(?<!\bwe )(?<!\bI )(?:might|may|could)\s{{1,3}}{_SAY}"
    rf"|one\s{{1,3}}(?:might|may|could|would)\s{{1,3}}(?:{_SAY}|expect)"
    rf"|(?:some|people|many|most|others)\s{{1,3}}(?:(?:would|might|may)\s{{1,3}})?{_SAY}"
    r"|let(?:\s{1,3}us|['’]s)\s{1,3}say"
    rf"|tempt(?:ing|ed)\s{{1,3}}to\s{{1,3}}{_SAY}"
    r"|(?:at first|first|initially|originally),?\s{1,3}(?:(?:I|we|one)\s{1,3})?(?:thought|guessed|said)"
    r"|(?:first|initial|naive|wild|wrong)\s{1,3}(?:guess|thought|idea)"
)
_WORD = r"[^\W\d_]{1,12}"
# What is supposed stands right behind `if`: it, angle A, the final answer, we say that it
_SUBJECT = (
    rf"(?:(?:I|we|you|one|they)\s{{1,3}}(?:{_SAY}|take|put|set|choose|pick|use|try|have|had|let|want|need)\s{{1,3}}"
    r"(?:that\s{1,3})?|(?:[^\W\d_]{2,10}ly|instead|indeed|somehow|then|now|also)\s{1,3})?"
    rf"(?:(?:the|an?|my|our|your|his|her|its|their)\s{{1,3}}{_WORD}\s{{1,3}}"
    rf"|(?!(?:so|me|us|we|I|you|they|it|true|right|correct|possible|yes)\s){_WORD}(?<!ed)\s{{1,3}}(?!(?:it|this|that|there)[\s=]))?"
    rf"{_WORD}(?<!ed)"
)
_CLAUSE_START = r"(?:^|[.,;:!?\n。，]\s{0,3})\W{0,4}"
# `holds if x = 42` states it: only an `if` that opens a clause supposes
_BEFORE = re.compile(
    rf"(?<![^\W\d_\\])(?:(?:(?P<aside>{_ASIDE})|{_REPLACED}){_NAME}|{_NEAR}"
    rf"|(?:(?P<doubt>{_DOUBT})|{_UNLIKELY}|{_SUPPOSED}){_LINK})$"
    rf"|(?:{_CLAUSE_START}(?:(?:and|but|so|even|what|well|now)\s{{1,3}})?if|(?<![^\W\d_])let)\s{{1,3}}"
    rf"{_SUBJECT}\s{{0,3}}(?<![^\W\d_](?=[^\W\d_])){_IS}(?:\s{{1,3}}(?:exactly|only|just))?$"
    rf"|{_CLAUSE_START}were\s{{1,3}}{_THING}$",
    re.IGNORECASE,
)
# no value of x (other than), nobody (doubts)
_NONE = re.compile(
    r"(?<![^\W\d_])(?:none|nothing|nobody|no-one|no(?:\s{1,3}(?!(?:that|doubt|idea|clue|way|reason|guess|all)(?![^\W\d_])"
    r"|any|every|each)[^\W\d_]{1,20}){1,2})(?:\s{1,3}(?:of|for|in|to|on)(?:\s{1,3}[^\W\d_]{1,20}){1,2})?"
    r"(?:\s{1,3}(?:else|can|could|would|will|ever|really|seriously)){0,2}\s{1,3}$",
    re.IGNORECASE,
)
# it is not true that no value (other than)
_TURNED = re.compile(
    r"(?<![^\W\d_])(?:not|never|neither|cannot|if|whether|unless|doubts?|untrue|false|wrong|incorrect|hardly|suppose|assum(?:e|ing))"
    r"(?![^\W\d_])|n['’]t(?![^\W\d_])",
    re.IGNORECASE,
)
_WRONG = (
    r"(?:excluded|exempt(?:ed)?|rejected|discarded|ruled out|extraneous|impossible|unlikely|improbable|doubtful"
    r"|questionable|wrong|incorrect|false|invalid|absurd|tempting|out of the question|too\s{1,3}[^\W\d_]{2,12}"
    r"|nowhere near|far off|(?:close|near|out)(?=\W*$)"
    r"|(?:an?|the)\s{1,3}(?:upper|lower)\s{1,3}(?:bound|limit)|(?:only\s{1,3})?an?\s{1,3}bound"
    r"|what\s{1,3}(?:I|we)\s{1,3}(?:(?:had|first|once|initially|originally)\s{1,3}){0,2}(?:thought|guessed|expected|said)"
    rf"|what\s{{1,3}}(?:one|some|people|many)\s{{1,3}}(?:[^\W\d_]{{2,12}}\s{{1,3}}){{0,2}}{_SAY}"
    r"|my\s{1,3}(?:first|initial|wild)|(?:an?|the)\s{1,3}(?:(?:naive|wild|wrong)\s{1,3}(?:guess|answer|value)"
    r"|(?:first|initial)\s{1,3}guess))"
)
# 12 fails, 12 would be too many; 12 fail and 12 are excluded count what does
_BEHIND = re.compile(
    r"[\s$*)\\},]*(?:"
    r"(?:[^\W\d_]{1,12}\s{1,3}){0,2}?(?:fails|contradicts|violates|leads to a contradiction"
    r"|(?:is|was|seems|looks|appears|gets|(?:would|must|should|could|can|may|might|will)\s{1,3}be|has\s{1,3}been|turns\s{1,3}out)"
    rf"\s{{1,3}}(?:[^\W\d_]{{3,12}}ly\s{{1,3}})?{_WRONG})"
    r"|(?:it\s{1,3})?(?:would|will|must|does)\s{1,3}(?:[^\W\d_]{3,9}ly\s{1,3})?(?:fail|contradict|violate)"
    r"|(?:cannot|can\s?not|(?:can|could|would|wo|does|must)n?['’]t|(?:could|would|will|does|must|may)\s{1,3}not)"
    r"\s{1,3}(?:be\s{1,3}(?:right|correct|true|it|so|possible|valid|the\s{1,3}(?:case|answer|value))|work|hold|fit|satisfy|happen|occur|solve|do|count|qualify)"
    r"|(?:excluded|exempted|ruled out|aside)"
    r"|(?:but\s{1,3}|though\s{1,3}|although\s{1,3})?I\s{1,3}doubt"
    r")(?![^\W\d_])"
    r"|[\s$*)\\}]*[?.!]\s{1,3}(?:I\s{1,3}doubt|(?:but\s{1,3})?I(?:\s{1,3}am|['’]m)\s{1,3}unsure)(?![^\W\d_])"
    r"|\s?-?ish(?![^\W\d_])",
    re.IGNORECASE,
)
_VALUE = re.compile(r"[-−]?(?:\d[\d.,/]{0,20}(?<![.,])|\\(?:pi|sqrt|[dt]?frac|infty)(?![a-z])|[π√∞])")
_GROUP = re.compile(r"(?:\s?\{[^{}]{0,20}\}|[²³]|\^\d|°){1,3}")
_EXTREME = re.compile(r"\W{0,4}is\s{1,3}(?:an?|the)\s{1,3}(?:maximum|minimum|max|min)\W{0,3}", re.IGNORECASE)
_CLAUSE_END = re.compile(r"[;:。，\n]|,\s|[.!?]\s")
_PRONOUN = re.compile(r"^\W{0,4}(?:(?:then|but|and|so)\s{1,3})?(?:(?:it|this|that)\s{1,3})?", re.IGNORECASE)
_UNSURE = re.compile(r"I(?:\s{1,3}am|['’]m)?\s{1,3}(?:very\s{1,3})?(?:unsure|doubt)", re.IGNORECASE)
_NUMBER_WORD = (
    "(?:(?:twen|thir|for|fif|six|seven|eigh|nine)ty(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?|zero"
    "|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen)"
)
_PLAIN = rf"(?:[-−]?[$€£]?\d[\d.,/]{{0,14}}(?<![.,])\s?%?|{_NUMBER_WORD}(?![^\W\d_]))"
_PREFERRED = re.compile(
    r"(?<=[\w)}\]$*°%])\s{1,3}(?:rather than|instead of|as opposed to)\s{1,3}"
    rf"(?:\$?\\?\(?{_PLAIN}\\?\)?\$|\*\*{_PLAIN}\*\*|\\\({_PLAIN}\\\)|{_PLAIN})(?:\s?[^\W\d_]{{1,15}}){{0,2}}?"
    r"(?=\s{0,3}(?:[.,;!)}*<]|$|\n|(?:because|since|as)\s))",
    re.IGNORECASE,
)


def is_unstated(before: str, behind: str = "") -> bool:
    """Whether the words before or behind a value put it aside, doubt or suppose it, or say that it is wrong."""
    if _BEHIND.match(behind):
        return True
    before = before.rstrip(_MARKS)
    cue = _BEFORE.search(before, max(0, len(before) - _MAX_CUE))
    if cue is None:
        return False
    return not ((cue["aside"] or cue["doubt"]) and _negated(before[: cue.start()]))


def _negated(before: str) -> bool:
    """`no value` before `other than 42`, `nobody` before `doubts that it is 42`: both state 42."""
    clause = _CLAUSE_END.split(before[-_MAX_CUE:])[-1]
    none = _NONE.search(clause)
    return none is not None and not _TURNED.search(clause, 0, none.start())


def preferred(text: str) -> str:
    """`41` of `41 rather than 42`, and `41 instead of 42`; other texts as they are."""
    folded = text[-_MAX_CHARS:].lower()
    if not any(words in folded for words in ("rather than", "instead of", "as opposed to")):
        return text
    return text[:-_MAX_CHARS] + _PREFERRED.sub("", text[-_MAX_CHARS:])


def withdrawn(text: str) -> bool:
    """Whether a short text has a value and states none: it takes back or only supposes each, and says nothing else."""
    if len(text) > _MAX_CHARS or not re.search(r"[^\W\d_]{2}|\dish", text):
        return False
    text = with_digits(text)
    found = list(_VALUE.finditer(text))
    if not found or not all(_unstated(text, match) for match in found):
        return False
    clause = _CLAUSE_END.search(text, found[-1].end())
    rest = _PRONOUN.sub("", text[clause.end() :]) if clause else ""
    if not re.search(r"\w", rest) or _UNSURE.match(rest):
        return True
    return _BEHIND.match(rest) is not None and not re.match(r"(?:the|my)\s", rest)  # the answer is false


def _unstated(text: str, value: re.Match[str]) -> bool:
    end = group.end() if (group := _GROUP.match(text, value.end())) else value.end()
    before = text[: value.start()]
    if is_unstated(before, text[end:]):
        return True
    clause = _CLAUSE_END.split(before)[-1]
    return not clause.strip(" $*(\\") and _EXTREME.fullmatch(text, end) is not None
