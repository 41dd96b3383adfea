"""`math`: mathematical answers up to equivalence."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, replace
from typing import Any

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference
from verifiers.expression.equality.equality import AnswerEquality
from verifiers.expression.equality.scalar_equality import Match
from verifiers.expression.grammar.parser import parse_notation
from verifiers.expression.text.chemical_formula import same_formula
from verifiers.expression.text.lexer import MAX_CHARS, Unreadable
from verifiers.expression.text.notation import standard_notation
from verifiers.expression.text.number_range import Range, number_range
from verifiers.expression.text.number_words import spelt_number, with_digits
from verifiers.expression.text.other_form import AFTER_OPTION, OTHER_FORMS
from verifiers.expression.text.sentence import is_prose
from verifiers.expression.text.statement import candidates, option_letter
from verifiers.expression.text.written_sign import date_words, without_approximation
from verifiers.expression.tree.math_options import MathOptions
from verifiers.expression.tree.node import (
    Call,
    Measure,
    Node,
    Percent,
    Power,
    Product,
    Quotient,
    Ratio,
    Relation,
    Sequence,
    Sum,
    Symbol,
    Words,
    children,
    contains,
)
from verifiers.expression.values.implication import contradicts_itself
from verifiers.expression.values.reduced import is_reduced
from verifiers.kinds.string_match import alias_list
from verifiers.reading.final_line import MAX_ANSWER_CHARS
from verifiers.verdict import Verdict
from verifiers.verifier import Example, LimitExceeded, NoAnswer, Verifier, shown

_DECIMAL_COMMA = re.compile(r"(-?\s*)(\d{1,9}),(\d{1,12})(\s*(?:[^\d,]{1,12})?)")
_WRAPPER = re.compile(r"\\(?:text|textbf|mathrm|mathbf|textit|mbox|operatorname)\s*\{([^{}]*)\}")
# s = at + c: short words that are products, where nothing but letters, digits and operators stands beside them
_PLAIN_LETTERS = re.compile(
    r"(?=.{0,80}[-+=*/^])[A-Za-z0-9\s+\-*/^=(){}._]{1,80}|(?!no|on|ok|pm|am|hi|yes|mp|op)[a-z]{2}"
)
_SHORT_WORD = re.compile(
    r"(?<![A-Za-z\\])(?!(?:sin|cos|tan|log|ln|exp|gcd|lcm|max|min|pi|or|and|not|is)\b)[a-z]{2,3}(?![A-Za-z])"
)
_VERB = re.compile(r"\b(?:is|are|was|were|has|have|gives|equals|becomes)\b")
_CLAUSE = re.compile(r" .* |[\u4e00-\u9fff]{4}", re.DOTALL)
_AMOUNT = re.compile(
    r"-?\d{1,15}(?: \d{1,3})?(?:/\d{1,4})?(?: [a-z]{2,14}){0,2}"
)  # 2 1/2 hours, of two and a half hours
_OPTION_KEY = re.compile(r"\(?([A-J])\)?")
_SMALL_OPTION = re.compile(
    r"(?:\(|option|choice)*([a-df-hj]|(?<=[(n])[ei])\)?"
)  # a bare e or i is a constant
MAX_CANDIDATES = 10


@dataclass(frozen=True)
class MathAnswer:
    """One answer as read: its text, that text reduced for comparison, and every tree it may stand for."""

    text: str
    compact: str
    readings: tuple[Node, ...]
    confident: bool = True
    behind_option: Node | None = None  # 24 of `(B) 24`, where it is mathematics
    stated: str = ""  # compact text of the first candidate, where another one was read
    range: Range | None = None


def compact_text(notation: str) -> str:
    """Text that two equal answers share whatever their spacing and wrappers."""
    text = notation
    if "\\" in text:
        text = _WRAPPER.sub(r"\1", notation)
        text = re.sub(r"\\[dtc]frac(?![a-zA-Z])", r"\\frac", text)
    text = text.replace("$", "").strip()
    if "{" in text:
        text = re.sub(r"(?<=[\^_])\{(\w)\}", r"\1", text)
    if len(text.split()) > 1:
        text = "".join(re.sub(r"(?<=\d)\s+(?=\d)", "_", text).split())  # "4 2" is not "42"
    return text if text.endswith("..") else text.rstrip(".")


def read_answer(text: str, *, confident: bool = True) -> MathAnswer:
    """Every reading of one candidate; none where it is not mathematics. Raises `LimitExceeded`."""
    if len(text) > MAX_CHARS:
        raise LimitExceeded(f"{len(text)} characters of mathematics, at most {MAX_CHARS}")
    if (date := date_words(text)) is not None:
        return MathAnswer(text, compact_text(standard_notation(text)), (Words(date),), confident)
    notation = standard_notation(without_approximation(text))
    if "=" in notation and contradicts_itself(notation):
        return MathAnswer(text, compact_text(notation), (), confident)
    readings: list[Node] = []
    with contextlib.suppress(Unreadable):
        node = parse_notation(notation)
        if not contains(node, Words) or not computes_with_words(node):
            readings.append(node)
    worded = not readings or text[:2].lower() in ("a ", "an") or contains(readings[0], Words)
    if worded and _PLAIN_LETTERS.fullmatch(notation) and _SHORT_WORD.search(notation):
        with contextlib.suppress(Unreadable):
            node = parse_notation(_SHORT_WORD.sub(lambda match: " ".join(match.group()), notation))
            readings.extend([node] if not contains(node, Words) and node not in readings else [])
    comma = _DECIMAL_COMMA.fullmatch(notation.strip()) if "," in notation else None
    if comma and not (len(comma.group(3)) == 3 and comma.group(2) != "0" and len(comma.group(2)) <= 3):
        with contextlib.suppress(Unreadable):
            readings.append(
                parse_notation("".join((comma.group(1), comma.group(2), ".", *comma.groups()[2:])))
            )
    letter = option_letter(text)
    if letter is not None:
        readings.append(Symbol(letter))
    behind_option = None
    whole = notation.strip()
    characters = frozenset(whole)
    for marks, pattern, form in OTHER_FORMS:
        if not characters.isdisjoint(marks) and (match := pattern.fullmatch(whole)):
            with contextlib.suppress(Unreadable):
                node = parse_notation(standard_notation(match.expand(form)))
                readings.append(node)
                if pattern is AFTER_OPTION and not contains(node, Words):
                    behind_option = node
    digits = with_digits(text) if worded else text
    for spelt in (spelt_number(text), digits if digits != text and _AMOUNT.fullmatch(digits) else None):
        if spelt:
            with contextlib.suppress(Unreadable):
                readings.append(parse_notation(spelt))
    span = number_range(whole)
    return MathAnswer(text, compact_text(notation), tuple(readings), confident, behind_option, range=span)


def computes_with_words(node: Node) -> bool:
    """Whether words are an operand somewhere: a sentence whose marks were taken for mathematics (`is **24**`)."""
    if isinstance(node, (Sum, Product, Quotient, Power, Call, Percent, Ratio)) and any(
        isinstance(child, Words) for child in children(node)
    ):
        return True
    if isinstance(node, Sequence) and not all(isinstance(item, Words) for item in node.items):
        if any(isinstance(item, Words) and _CLAUSE.search(item.text) for item in node.items):
            return True  # 8, because the end is left out
    if isinstance(node, Relation) and any(
        isinstance(i, Words) and _VERB.search(i.text) for i in node.operands
    ):
        return True
    return any(map(computes_with_words, children(node)))


class MathVerifier(Verifier[tuple[MathAnswer, ...], MathAnswer]):
    """Score 1 when the stated answer equals the reference: numbers, expressions, sets, intervals, tuples, matrices,
    relations, units, words, in LaTeX, plain, Python-like or Unicode notation and many languages' answer phrases.

    Tiers: normalised text, exact rationals, structure, numeric value at 50 digits or at sample points, and where that
    cannot say, an exact normal form of quotients of polynomials (`symbolic`). Model text is parsed by an allow-list
    grammar and never evaluated. Reference: one answer as text or number, or a list of accepted answers. What a budget
    refuses scores 0 with code `limit`.
    """

    kind = "math"
    imports = ("mpmath",)
    summary = "mathematical answers up to equivalence: LaTeX, plain, Unicode"
    Config = MathOptions
    max_answer_chars = MAX_ANSWER_CHARS
    example = Example(r"\frac{1}{2}", r"\boxed{0.5}")

    def prepare(self, reference: Any) -> tuple[MathAnswer, ...]:
        aliases = alias_list(reference, self.kind) if not isinstance(reference, str) else [reference]
        return tuple(self._prepare_one(alias) for alias in aliases)

    def _prepare_one(self, reference: str) -> MathAnswer:
        if not reference.strip("\x00 \n\t"):
            raise BadReference("a reference of 'math' is empty")
        try:
            for candidate in candidates(reference):
                found = read_answer(candidate.text)
                if found.readings and candidate.confident:
                    return found  # a guess would reduce `Figure 3` to 3
            first = next(iter(candidates(reference)), None)
            text = first.text if first is not None else reference.strip()
            if not _balanced(text) or not compact_text(text):
                raise BadReference(f"a reference of 'math' cannot be read: {shown(text, 80)!r}")
            return read_answer(text)
        except LimitExceeded as why:
            raise BadReference(f"a reference of 'math' exceeds a limit: {why}") from None

    def extract(self, answer: FinalAnswer) -> MathAnswer | NoAnswer:
        """The first stated answer that reads as mathematics and is no prose; else the first stated at all."""
        first: MathAnswer | None = None
        for position, candidate in enumerate(candidates(answer.text)):
            if not candidate.text:
                continue
            if candidate.withdrawn:  # only the same words are right
                compact = compact_text(standard_notation(candidate.text))
                first = first or MathAnswer(candidate.text, compact, (), candidate.confident)
                continue
            found = read_answer(candidate.text, confident=candidate.confident)
            if not candidate.words and all(contains(node, Words) for node in found.readings):
                continue
            first = first or found
            prose = found.readings and isinstance(found.readings[0], Words) and is_prose(candidate.text)
            if found.range or (found.readings and not prose):
                return found if found is first else replace(found, stated=first.compact)
            if position >= MAX_CANDIDATES:
                break
        return first or NoAnswer("no_answer", "no answer is stated")

    def compare(self, prepared: tuple[MathAnswer, ...], extracted: MathAnswer) -> Verdict:
        """1 where an accepted reference is equal, by the tiers of ``Match``, or is written as the same formula."""
        match = Match(False, "text")
        for reference in prepared:
            match = self._compare_one(reference, extracted)
            if not match.equal and same_formula(reference.text, extracted.text):
                match = Match(True, "text")
            if match.equal:
                break
        wanted = shown(" | ".join(reference.text for reference in prepared), 60)
        relation = "equals" if match.equal else "is not"
        return Verdict.scored(
            float(match.equal),
            match.code or ("equal" if match.equal else "different"),
            f"{shown(extracted.text, 60)!r} {relation} {wanted!r}",
            extracted=shown(extracted.text),
            confident=match.confident and extracted.confident,
            tier=match.tier,
        )

    def _compare_one(self, reference: MathAnswer, found: MathAnswer) -> Match:
        if self.config.reduced and not any(is_reduced(node) for node in found.readings):
            return Match(False, "structure", True, "not_reduced")
        if reference.compact in (found.compact, found.stated):
            return Match(True, "text")
        if any(map(_is_residue, found.readings)) and "mod" not in reference.compact:
            return Match(False, "structure")
        if (wanted := reference.range) is not None:
            if found.range is not None:
                return Match(wanted.same(found.range), "text")
            if wanted.dash and wanted.low <= wanted.high:
                return Match(False, "text")  # -1 for 2019-2020; 10-3 may be 7
        if (small := _SMALL_OPTION.fullmatch(found.compact)) and (
            option := _OPTION_KEY.fullmatch(reference.compact)
        ):
            return Match(option.group(1) == small.group(1).upper(), "text", confident=False)
        if not reference.readings or not found.readings:
            equal = _spelt(reference.compact) in (_spelt(found.compact), _spelt(found.stated))
            return Match(equal, "text", confident=equal)
        equality = AnswerEquality(self.config)
        match = Match(False, "structure")
        if (
            reference.behind_option is not None
            and found.behind_option is not None
            and not equality.match(reference.behind_option, found.behind_option).equal
        ):
            return match  # (B) 25 for (B) 24
        for reading in reference.readings:
            for node in found.readings:
                one = equality.match(reading, node)
                if one.equal:
                    return one
                match = one if match.code == "" else match
        return match

    def reference_answers(self, reference: Any) -> list[str]:
        aliases = alias_list(reference, self.kind) if not isinstance(reference, str) else [reference]
        texts = [self._prepare_one(alias).text for alias in aliases]
        return [f"\\boxed{{{text}}}" for text in texts] + [f"The final answer is ${text}$." for text in texts]


def _is_residue(node: Node) -> bool:
    """`12 (mod 13)`: a class of numbers, where `x \\equiv 12 \\pmod{13}` gives the one that is asked for."""
    return isinstance(node, Measure) and node.unit.startswith("mod ")


def _spelt(compact: str) -> str:
    """Text that is not mathematics, without case and without the points of `p.m.`."""
    return re.sub(r"(?<=[a-z])\.(?=[a-z]|$)", "", compact.casefold().replace("\\%", "%").replace("\\$", "$"))


def _balanced(text: str) -> bool:
    """Braces close, brackets of any kind close in number, and no fraction or root stands without its group."""
    plain = text.replace("\\{", "").replace("\\}", "")
    rounds = plain.count("(") + plain.count("[") == plain.count(")") + plain.count("]")
    bare = re.search(r"\\(?:[dt]?frac|sqrt)\s*(?:$|\{\s*\}|[+=*/)])", text)
    return rounds and plain.count("{") == plain.count("}") and bare is None
