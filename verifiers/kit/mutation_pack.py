"""Near misses made from right answers: each is another answer and must not score as the right one."""

from __future__ import annotations

import re

_LAST_NUMBER = re.compile(r"(\d+)(?!.*\d)", re.DOTALL)
# The answer itself stands inside a box or a sentence: a near miss is made there.
_WRAPPED = re.compile(r"(\\boxed\{|The (?:final )?answer is \$?)(.+?)(\}|\$?\.)", re.DOTALL)
_NUMBER = re.compile(r"\d+")


def _off_by_one(text: str) -> str | None:
    """The last number one larger."""
    match = _LAST_NUMBER.search(text)
    if match is None or len(match.group(1)) > 30:
        return None
    digits = match.group(1)
    changed = str(int(digits) + 1).zfill(len(digits))
    return text[: match.start()] + changed + text[match.end() :]


def _sign(text: str) -> str | None:
    """The first number with the other sign."""
    match = re.search(r"(-?)(?<![\w.])(\d+)", text)
    if match is None or not re.search(r"[1-9]", match.group(2)) or "\\pm" in text or "±" in text:
        return None
    changed = match.group(2) if match.group(1) else "-" + match.group(2)
    return text[: match.start()] + changed + text[match.end() :]


def _swap(text: str) -> str | None:
    """Two neighbouring different digits of one number change places."""
    for match in _NUMBER.finditer(text):
        digits = match.group()
        for i in range(len(digits) - 1):
            if digits[i] != digits[i + 1]:
                changed = digits[:i] + digits[i + 1] + digits[i] + digits[i + 2 :]
                return text[: match.start()] + changed + text[match.end() :]
    return None


def _hedge(text: str) -> str | None:
    """The right answer or another one. None where the answer is itself a union: joining a part to it says no more."""
    if re.search(r"[<>≤≥]|\\(?:le|ge|lt|gt|cup)\b|\bor\b", text):
        return None
    other = _off_by_one(text) or text + "x"
    return f"{text} or {other}" if len(text) < 2_000 else None


_MUTATIONS = {"off_by_one": _off_by_one, "sign": _sign, "swap": _swap, "hedge": _hedge}


def near_misses(text: str, kinds: tuple[str, ...]) -> dict[str, str]:
    """Mutation name -> mutated answer, for those that apply and change the text."""
    wrapped = _WRAPPED.fullmatch(text)
    if wrapped is not None:
        before, inside, after = wrapped.groups()
        return {name: before + changed + after for name, changed in near_misses(inside, kinds).items()}
    found = {}
    for kind in kinds:
        changed = _MUTATIONS[kind](text)
        if changed is not None and changed != text:
            found[kind] = changed
    return found
