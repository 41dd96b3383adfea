"""Words that take an answer back or change it: `42 or 43`, `not 42`, `at least 42`, `42 is wrong`, `42 minus two`."""

from __future__ import annotations

import re

from verifiers.expression.text.doubt.unstated import is_unstated

HEDGE = re.compile(
    r"\b(?:or|either|maybe|perhaps|possibly|might|could be|not sure"
    r"|oder|ou|eller|lub|veya|atau|hoặc|или|або)\b|或|または|もしくは|또는|혹은|أو|หรือ|(?<=\d) [o] (?=\d)",
    re.IGNORECASE,
)
# `not 42`, `no 42`, `x != 42`, and 42ではありません, where the denial stands behind
_DENIED = re.compile(
    r"(?:≠|!=|=/=|\\neq?(?![a-z])|\\not\s*=|\bno)[\s$*(\\]*$|"
    r"(?:\b(?:not|never|neither|cannot|(?:all|(?:any|every)[^\W\d_]*) (?:but|except)|"
    r"pas|nicht|kein|no (?:es|son)|não (?:é|são)|non (?:è|sono)"
    r"|не|nie|niet|inte|ikke|değil|(?:wrong|incorrect|false) (?:answer|value|result|number))"
    r"|n't|n’t|不是|不等于|不為|不为|并非|ليس|नहीं)(?![^\W\d_])[^.\n\d,;:。，]{0,24}$"
    r"|\b(?:maybe|perhaps|possibly|(?:might|could|may) be)\s{1,4}(?:[^\W\d_]{1,20}\s{1,4})?[$*(\\]*$",
    re.IGNORECASE,
)
# `at least 42` is a bound, not a value
BOUND = re.compile(
    r"(?:\b(?:at (?:least|most)|up to|(?:less|more|fewer|greater|larger|smaller|higher|lower|bigger) than|exceeds"
    r"|(?:over|under|above|below|almost|nearly|minimum of|maximum of)|mindestens|höchstens|weniger als|mehr als"
    r"|au (?:moins|plus)|(?:moins|plus|menos|más|mais) de|al menos|pelo menos|como m[áa]ximo|almeno|meno di|più di"
    r"|не (?:менее|более)|меньше|больше)(?: or equal to)?"
    r"|\b(?:between|from)\s+[-$€£\d.,]{1,14}\s?\w{0,12}\s+(?:and|to)"
    r"|至少|最多|至多|大于|小于|超过|不少于|不超过|以上|[<≤≥]|(?<![/<]\w)(?<!\w\w)>)[\s$*(\\]*$",
    re.IGNORECASE,
)
# half of 42, a loss of 42, the square root of 42: another value
_CHANGED = re.compile(
    r"(?:\b(?:half|twice|double|doubled|triple|thrice|quadruple|thirds?|quarters?|fifths?|tenths?|loss|deficit|debt"
    r"|drop|decline|fall|reduction|(?:square |cube )?roots?|squares?|cubes?|log(?:arithm)?|reciprocal|inverse|opposite"
    r"|negation|factorial|multiples?|powers?|percent|percentage|%)\s+(?:of\s+)?(?:about\s+)?|\bor\s+"
    r"|\b(?:pairs?|couples?|dozens?|gross)\s+of\s+"
    r"|\b(?:log|ln|lg|sqrt|sin|cos|tan|exp|abs|times|plus|over|cubed|squared|divided by|multiplied by)\s*"
    r"|\b(?:hundred|thousand|million|billion)\s+|[√∛∜]|的一半|一半|两倍|一个负)[$*(\\{]*$",
    re.IGNORECASE,
)
# minus 42, 3 + 42
OPERATED = re.compile(
    r"(?:\b(?:minus|negative)\s*|[-+*/^×÷±<>√~]\s*)[$*(\\{]*$",
    re.IGNORECASE,
)
_DENIED_BEHIND = re.compile(
    r"\s*(?:ではありません|ではない|じゃない|이 아니|가 아니|değil|नहीं)"
    r"|[\s$*(]*(?:(?:is|are|was|were|does|do|can)\s*(?:not\b|n't|n’t)"
    r"|(?:(?:is|are|was|were)\s+)?(?:wrong|incorrect|false|impossible|too\s)"
    r"|at (?:least|most)|(?:or|and) (?:more|less|fewer|above)"
    r"|(?:squared|cubed|plus|minus|factorial|choose|mod(?:ulo)?|(?:less|more|fewer) than|times [a-z]\b|below zero"
    r"|in the negatives?|per ?cent of \d|% of \d)(?![^\W\d_])"
    # 12 boys and two girls, 5 times two, 5 less than ten
    r"|(?:[^\W\d_]{1,20}\s{1,4}){0,3}(?:and|or|plus|minus|times|over|than)\s{1,4}(?:an?\s{1,4})?"
    r"(?:half|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen"
    r"|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundred|thousand|some|several|many|few|another)(?![^\W\d_])"
    r"|[^.!?\n]{0,60}\?\s*(?:$|(?:no|nope|not|wrong)\b))",  # 42 errors? It is 42? No.
    re.IGNORECASE,
)


def is_denied(before: str) -> bool:
    """`not 42`, `I doubt it is 42`."""
    return _DENIED.search(before) is not None or is_unstated(before)


def is_denied_behind(behind: str) -> bool:
    """`42 is wrong`, `42 fails`, `42 minus two`."""
    return _DENIED_BEHIND.match(behind) is not None or is_unstated("", behind)


def is_taken_back(before: str, behind: str = "") -> bool:
    """Whether the words around a value deny it, only bound it, or make another value of it."""
    return (
        is_denied(before)
        or BOUND.search(before) is not None
        or _CHANGED.search(before) is not None
        or is_denied_behind(behind)
    )
