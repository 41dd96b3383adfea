"""The IFEval constraints by their public ids: each takes the text and its own keyword arguments."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from verifiers.instructions.text_measure import num_sentences, paragraphs, words
from verifiers.verifier import LimitExceeded

REGEX_TIMEOUT_S = 0.5
Check = Callable[[str, Mapping[str, Any]], bool]


def holds(count: int, relation: str | None, wanted: int) -> bool:
    """`at least` or `less than`, as IFEval writes relations; `exactly` and `at most` besides."""
    if relation in (None, "at least"):
        return count >= wanted
    if relation == "less than":
        return count < wanted
    if relation == "at most":
        return count <= wanted
    if relation == "exactly":
        return count == wanted
    raise ValueError(f"unknown relation {relation!r}")


def bounded_search(pattern: str, text: str) -> bool:
    """Search with a time limit (the `regex` package); raises `LimitExceeded` when it is spent."""
    import regex  # type: ignore[import-untyped]

    try:
        return regex.search(pattern, text, timeout=REGEX_TIMEOUT_S) is not None
    except TimeoutError:
        raise LimitExceeded(f"matching a regular expression took over {REGEX_TIMEOUT_S} s") from None


def _mentions(text: str, keyword: str) -> int:
    return len(re.findall(re.escape(keyword), text, flags=re.IGNORECASE))


def _word_count(text: str, keyword: str) -> int:
    return len(re.findall(rf"\b{re.escape(keyword)}\b", text, flags=re.IGNORECASE))


def _existence(text: str, a: Mapping[str, Any]) -> bool:
    return all(_mentions(text, keyword) for keyword in a["keywords"])


def _frequency(text: str, a: Mapping[str, Any]) -> bool:
    return holds(_mentions(text, a["keyword"].strip()), a.get("relation"), a["frequency"])


def _forbidden(text: str, a: Mapping[str, Any]) -> bool:
    return not any(_word_count(text, word) for word in a["forbidden_words"])


def _letter_frequency(text: str, a: Mapping[str, Any]) -> bool:
    return holds(text.lower().count(a["letter"].strip().lower()), a.get("let_relation"), a["let_frequency"])


def _language(text: str, a: Mapping[str, Any]) -> bool:
    import langdetect  # type: ignore[import-untyped]

    langdetect.DetectorFactory.seed = 0
    try:
        return bool(langdetect.detect(text[:20_000]) == a["language"])
    except langdetect.LangDetectException:
        return False


def _sentences(text: str, a: Mapping[str, Any]) -> bool:
    return holds(num_sentences(text), a.get("relation"), a["num_sentences"])


def _paragraphs(text: str, a: Mapping[str, Any]) -> bool:
    found = paragraphs(text)
    return found is not None and len(found) == a["num_paragraphs"]


def _words(text: str, a: Mapping[str, Any]) -> bool:
    return holds(len(words(text)), a.get("relation"), a["num_words"])


def _first_word(text: str, a: Mapping[str, Any]) -> bool:
    parts = [part for part in re.split(r"\n\n", text) if part.strip()]
    nth = a["nth_paragraph"]
    if len(parts) != a["num_paragraphs"] or not 1 <= nth <= len(parts):
        return False
    first = parts[nth - 1].strip().split()[0].lstrip("'\"")
    return re.split(r"[.,?!'\"]", first)[0].lower() == a["first_word"].lower()


def _placeholders(text: str, a: Mapping[str, Any]) -> bool:
    return len(re.findall(r"\[[^\[\]]{1,200}\]", text)) >= a["num_placeholders"]


def _postscript(text: str, a: Mapping[str, Any]) -> bool:
    marker = a["postscript_marker"].strip().lower()
    spaced = r"\s*".join(re.escape(char) for char in marker if not char.isspace())
    spaced = {"p.p.s": r"p\.\s?p\.\s?s", "p.s.": r"p\.\s?s\."}.get(marker, spaced)
    return re.search(rf"(?m)^.*?{spaced}.*$", text.lower()) is not None


def _bullets(text: str, a: Mapping[str, Any]) -> bool:
    return len(re.findall(r"(?m)^[ \t]*(?:\*[^*\n]|-).*$", text)) == a["num_bullets"]


def _constrained(text: str, _: Mapping[str, Any]) -> bool:
    return any(f"My answer is {word}." in text for word in ("yes", "no", "maybe"))


def _highlights(text: str, a: Mapping[str, Any]) -> bool:
    single = re.findall(r"(?<!\*)\*([^\n*]{1,2000})\*(?!\*)", text)
    double = re.findall(r"\*\*([^\n*]{1,2000})\*\*", text)
    return sum(bool(part.strip()) for part in (*single, *double)) >= a["num_highlights"]


def _sections(text: str, a: Mapping[str, Any]) -> bool:
    return (
        len(re.findall(rf"\s?{re.escape(a['section_spliter'].strip())}\s?\d+\s?", text)) >= a["num_sections"]
    )


def _json(text: str, _: Mapping[str, Any]) -> bool:
    stripped = text.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        stripped = stripped.removeprefix(fence)
    try:
        json.loads(stripped.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str, _: Mapping[str, Any]) -> bool:
    return any(title.strip("<> ") for title in re.findall(r"<<[^\n<>]{1,500}>>", text))


def _two_responses(text: str, _: Mapping[str, Any]) -> bool:
    parts = text.split("******")
    filled = [part.strip() for part in parts if part.strip()]
    return all(part.strip() for part in parts[1:-1]) and len(filled) == 2 and filled[0] != filled[1]


def _repeat(text: str, a: Mapping[str, Any]) -> bool:
    return text.strip().lower().startswith(a["prompt_to_repeat"].strip().lower())


def _end(text: str, a: Mapping[str, Any]) -> bool:
    return text.strip().strip('"').lower().endswith(a["end_phrase"].strip().lower())


def _capital_words(text: str, a: Mapping[str, Any]) -> bool:
    count = sum(word.isupper() for word in re.findall(r"[\w'-]+", text))
    return holds(count, a.get("capital_relation"), a["capital_frequency"])


def _capital(text: str, _: Mapping[str, Any]) -> bool:
    return text.isupper()


def _lower(text: str, _: Mapping[str, Any]) -> bool:
    return text.islower()


def _no_comma(text: str, _: Mapping[str, Any]) -> bool:
    return not re.search(r"[,，]", text)


def _quotation(text: str, _: Mapping[str, Any]) -> bool:
    stripped = text.strip()
    return len(stripped) > 1 and stripped[0] == '"' and stripped[-1] == '"'


def _regex(text: str, a: Mapping[str, Any]) -> bool:
    found = bounded_search(a["pattern"], text)
    return found if a.get("match", True) else not found


# id -> (check, needed arguments, optional ones)
CONSTRAINTS: dict[str, tuple[Check, tuple[str, ...], tuple[str, ...]]] = {
    "keywords:existence": (_existence, ("keywords",), ()),
    "keywords:frequency": (_frequency, ("keyword", "frequency"), ("relation",)),
    "keywords:forbidden_words": (_forbidden, ("forbidden_words",), ()),
    "keywords:letter_frequency": (_letter_frequency, ("letter", "let_frequency"), ("let_relation",)),
    "language:response_language": (_language, ("language",), ()),
    "length_constraints:number_sentences": (_sentences, ("num_sentences",), ("relation",)),
    "length_constraints:number_paragraphs": (_paragraphs, ("num_paragraphs",), ()),
    "length_constraints:number_words": (_words, ("num_words",), ("relation",)),
    "length_constraints:nth_paragraph_first_word": (
        _first_word,
        ("num_paragraphs", "nth_paragraph", "first_word"),
        (),
    ),
    "detectable_content:number_placeholders": (_placeholders, ("num_placeholders",), ()),
    "detectable_content:postscript": (_postscript, ("postscript_marker",), ()),
    "detectable_format:number_bullet_lists": (_bullets, ("num_bullets",), ()),
    "detectable_format:constrained_response": (_constrained, (), ()),
    "detectable_format:number_highlighted_sections": (_highlights, ("num_highlights",), ()),
    "detectable_format:multiple_sections": (_sections, ("section_spliter", "num_sections"), ()),
    "detectable_format:json_format": (_json, (), ()),
    "detectable_format:title": (_title, (), ()),
    "combination:two_responses": (_two_responses, (), ()),
    "combination:repeat_prompt": (_repeat, ("prompt_to_repeat",), ()),
    "startend:end_checker": (_end, ("end_phrase",), ()),
    "startend:quotation": (_quotation, (), ()),
    "change_case:capital_word_frequency": (_capital_words, ("capital_frequency",), ("capital_relation",)),
    "change_case:english_capital": (_capital, (), ()),
    "change_case:english_lowercase": (_lower, (), ()),
    "punctuation:no_comma": (_no_comma, (), ()),
    "regex": (_regex, ("pattern",), ("match",)),
}
