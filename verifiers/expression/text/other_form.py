"""What a whole answer may also stand for: `3 to 5` for 3:5, `4x = 48 => x = 12` for its last step."""

from __future__ import annotations

import re

AFTER_OPTION = re.compile(r"\W{0,3}(?:\\[a-z]{4,6}\{\s*)?\(?[A-J][).:\]]\)?\s*\}?\s+(?!\W*[A-J]\W*$)(\S.*)")
_PLURAL = (
    r"(?!(?:ten|one|hundred|thousand|million|dozen|half|halve|third|quarter|hour|minute|second|day|week|month|year"
    r"|feet|inche|yard|mile|meter|metre|degree|dollar|cent|pound|ounce|gram|liter|litre|\w*meter|\w*gram)s?\b)"
    r"(?:[a-z]{2,14}s|(?:wo)?men|children|people)"
)
_COUNTED_PAIR = re.compile(rf"([\d,.]*\d)(?:\s*\\text\{{)?\s*{_PLURAL} and {_PLURAL}\s*\}}?")
# What a whole answer may also stand for; one of the characters in front stands in it.
OTHER_FORMS = (
    (" ", re.compile(r"(\d{1,9}) to (\d{1,9})"), r"\1:\2"),
    # 12 (units)
    (
        "(",
        re.compile(
            r"([^()]*[\d}])\s*\((?!(?:base|mod)\b)([a-z][a-z]{3,14}(?: [a-z]{1,12}){0,2}|[ckdm]?m|kg|hrs?)\)"
        ),
        r"\1 \\text{\2}",
    ),
    # 12 boys and girls, which are 12; not 5 hours and minutes
    (" ", _COUNTED_PAIR, r"\1 \\text{things}"),
    # 4x = 48 => x = 12
    (
        "\\>",
        re.compile(
            r"(?=.*?(?:=(?!>)|<|(?<![-=])>)).*(?:\\(?:to|rightarrow|Rightarrow|implies|therefore|Longrightarrow)(?![a-zA-Z])|[=-]>)(.+)",
            re.DOTALL,
        ),
        r"\1",
    ),
    ("ABCDEFGHIJ", AFTER_OPTION, r"\1"),
)
