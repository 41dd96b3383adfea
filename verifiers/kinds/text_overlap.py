"""`anls`, `edit_similarity`, `token_f1`, `vqa_soft`: how near a text is to the accepted ones."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference
from verifiers.expression.text.statement import stated_texts
from verifiers.kinds.string_match import alias_list
from verifiers.reading.final_line import MAX_ANSWER_CHARS, stated_answer
from verifiers.reading.plain_text import normalise
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, NoOptions, Verifier, shown

MAX_COMPARED_CHARS = 20_000


class OverlapVerifier(Verifier[tuple[str, ...], str]):
    """Best score over the accepted texts. Reference: a text or a list of texts; the answer is what the last `<answer>`
    tag holds, else the last box, else what an answer phrase states at the end, else the whole final answer.
    """

    max_answer_chars = MAX_ANSWER_CHARS

    def prepare(self, reference: Any) -> tuple[str, ...]:
        forms = tuple(self.form(alias) for alias in alias_list(reference, self.kind))
        if not all(forms):
            raise BadReference(f"a reference of {self.kind!r} is empty once normalised")
        if max(map(len, forms)) > MAX_COMPARED_CHARS:
            raise BadReference(f"a reference of {self.kind!r} is longer than {MAX_COMPARED_CHARS} characters")
        return forms

    def extract(self, answer: FinalAnswer) -> str | NoAnswer:
        stated = stated_answer(answer.text)
        if not stated:
            return NoAnswer.empty()
        if len(stated) > MAX_COMPARED_CHARS:
            reason = (
                f"the stated answer has {len(stated)} characters, at most {MAX_COMPARED_CHARS} are compared"
            )
            return NoAnswer("limit", reason, limit=True)
        return stated

    def compare(self, prepared: tuple[str, ...], extracted: str) -> Verdict:
        forms = [form for text in stated_texts(extracted) if (form := self.form(text))]
        score = max((self.similarity(wanted, form) for wanted in prepared for form in forms), default=0.0)
        return Verdict.scored(
            score,
            "similarity",
            f"{self.kind} {score:.3f} of {shown(extracted, 60)!r} to {shown(prepared[0], 60)!r}",
            extracted=shown(extracted),
            tier="text",
        )

    def reference_answers(self, reference: Any) -> list[str]:
        return alias_list(reference, self.kind)

    def form(self, text: str) -> str:
        """The form in which texts are compared."""
        return normalise(text)

    @abstractmethod
    def similarity(self, wanted: str, found: str) -> float:
        """In [0, 1]; 1 for equal forms."""


def edit_ratio(wanted: str, found: str) -> float:
    """1 - Levenshtein distance / longer length (rapidfuzz, bit-parallel)."""
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity(wanted, found))


@dataclass(frozen=True)
class AnlsOptions:
    """threshold    a similarity that is not above it scores 0 (1 - tau of the paper, where tau = 0.5): exactly
    half gives 0; with 1 equal texts alone score"""

    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is in [0, 1], got {self.threshold}")


class AnlsVerifier(OverlapVerifier):
    """Average normalised Levenshtein similarity of one answer: s = 1 - distance / longer length, best over the accepted
    texts, and 0 where s is not above the threshold. Source: Biten et al. 2019 (arXiv 1905.13648), ST-VQA and DocVQA.
    """

    kind = "anls"
    imports = ("rapidfuzz.distance",)
    summary = "OCR and document answers by normalised Levenshtein similarity, 0 below a threshold"
    Config = AnlsOptions
    example = Example(["Hotel California"], "hotel california")

    def similarity(self, wanted: str, found: str) -> float:
        ratio = edit_ratio(wanted, found)
        return ratio if ratio > self.config.threshold or ratio == 1 else 0.0


class EditSimilarityVerifier(OverlapVerifier):
    """1 - Levenshtein distance / longer length, without a threshold; best over the accepted texts."""

    kind = "edit_similarity"
    imports = ("rapidfuzz.distance",)
    summary = "transcriptions by normalised edit distance"
    Config = NoOptions
    example = Example("INVOICE 1234", "invoice 1234")

    def similarity(self, wanted: str, found: str) -> float:
        return edit_ratio(wanted, found)


class TokenF1Verifier(OverlapVerifier):
    """F1 of the bags of words after articles and punctuation are removed (signs, points within numbers and operators
    stay), best over the accepted texts.

    precision = shared / answer words, recall = shared / reference words, F1 = their harmonic mean.
    Source: SQuAD (Rajpurkar et al. 2016, arXiv 1606.05250).
    """

    kind = "token_f1"
    summary = "free-text answers by F1 of words (SQuAD)"
    Config = NoOptions
    example = Example("the quick brown fox", "quick brown fox")

    def form(self, text: str) -> str:
        return normalise(text, "loose")

    def similarity(self, wanted: str, found: str) -> float:
        a, b = Counter(wanted.split()), Counter(found.split())
        shared = sum((a & b).values())
        if not shared:
            return 0.0
        return 2 * shared / (sum(a.values()) + sum(b.values()))


_DIGITS = {
    word: str(value)
    for value, word in enumerate("zero one two three four five six seven eight nine ten".split())
}
_DIGITS["none"] = "0"
_PUNCTUATION = re.compile(r"[;/\[\]\"{}()=+\\_<>@`?!]|(?<!\d)[.,]|[.,](?!\d)")
_ARTICLES = {"a", "an", "the"}


def vqa_form(text: str) -> str:
    """Normal form of the VQA evaluation: lower case, digits for number words, no articles, no punctuation."""
    words = _PUNCTUATION.sub(" ", normalise(text).replace("'", "")).replace(",", "").split()
    return " ".join(_DIGITS.get(word, word) for word in words if word not in _ARTICLES)


class VqaSoftVerifier(Verifier[tuple[str, ...], str]):
    """VQA accuracy: the mean, over leaving one annotator out, of min(agreeing annotators / 3, 1).

    Reference: the annotators' answers as a list (ten in VQA v2), or a mapping answer -> count.
    Source: Antol et al. 2015 (arXiv 1505.00468) and its evaluation code.
    """

    kind = "vqa_soft"
    summary = "visual question answering against several annotators"
    Config = NoOptions
    max_answer_chars = MAX_ANSWER_CHARS
    example = Example(["yes"] * 8 + ["no"] * 2, "yes")

    def prepare(self, reference: Any) -> tuple[str, ...]:
        if isinstance(reference, Mapping):
            counts = list(reference.items())
            if not counts or any(type(count) is not int or count < 1 for _, count in counts):
                raise BadReference("a reference of 'vqa_soft' maps each answer to how many gave it")
            reference = [answer for answer, count in counts for _ in range(min(count, 1000))]
        forms = tuple(vqa_form(answer) for answer in alias_list(reference, self.kind))
        if not any(forms):
            raise BadReference("a reference of 'vqa_soft' is empty once normalised")
        return forms

    def extract(self, answer: FinalAnswer) -> str | NoAnswer:
        stated = stated_answer(answer.text)
        if len(stated) > MAX_COMPARED_CHARS:
            return NoAnswer("limit", f"the stated answer has {len(stated)} characters", limit=True)
        form = vqa_form(stated)
        return form or NoAnswer.empty()

    def compare(self, prepared: tuple[str, ...], extracted: str) -> Verdict:
        agree, total = prepared.count(extracted), len(prepared)
        if total == 1:
            score = float(agree)
        else:
            with_one_less = min((agree - 1) / 3, 1.0) if agree else 0.0
            score = (agree * with_one_less + (total - agree) * min(agree / 3, 1.0)) / total
        return Verdict.scored(
            score,
            "agreement",
            f"{agree} of {total} annotators said {shown(extracted, 60)!r}",
            extracted=shown(extracted),
            parts={"agree": float(agree)},
            tier="text",
        )

    def reference_answers(self, reference: Any) -> list[str]:
        """The commonest answer, where enough annotators gave it for a full score."""
        counts = Counter(self.prepare(reference))
        answer, count = counts.most_common(1)[0]
        return [answer] if count >= 4 or len(counts) == count == 1 else []
