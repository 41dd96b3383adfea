"""The form of a response, thought included, in numbers: computed by the loop from text and tokens, seen by no judge."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

# A word of an alphabet has two letters or more (x and n are everyone's); in a script without spaces each sign is one.
_WORDS = {
    "latin": re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]{2,}"),
    "greek": re.compile("[\u0370-\u03ff]{2,}"),
    "cyrillic": re.compile("[\u0400-\u052f]{2,}"),
    "hebrew": re.compile("[\u0590-\u05ff]{2,}"),
    "arabic": re.compile("[\u0600-\u06ff\u0750-\u077f]{2,}"),
    "devanagari": re.compile("[\u0900-\u097f]{2,}"),
    "thai": re.compile("[\u0e00-\u0e7f]"),
    "kana": re.compile("[\u3040-\u30ff]"),
    "han": re.compile("[\u3400-\u4dbf\u4e00-\u9fff]"),
    "hangul": re.compile("[\uac00-\ud7af]+"),
}
_MARKUP = re.compile(
    r"\\[A-Za-z]+|</?[A-Za-z_][^<>\n]{0,200}>"
)  # LaTeX's commands and tags are no language's words


def language_mixing_frac(response: str, prompt: str) -> float:
    """Share of the response's words in scripts that the prompt has no word of; 0 where either has no words.

    One minus the language consistency reward of DeepSeek-R1 (arXiv 2501.12948, section 2.3.2), told by script:
    languages that share one are not told apart.

    >>> language_mixing_frac("so x is 3 或者 4", "What is x?")
    0.5
    """
    asked, used = _words_by_script(prompt), _words_by_script(response)
    if not any(asked.values()) or not any(used.values()):
        return 0.0
    return sum(count for script, count in used.items() if not asked[script]) / sum(used.values())


def repetition_frac(token_ids: npt.NDArray[np.int32], n: int) -> float:
    """Share of the n-grams of tokens [T] that stood before: 1 - distinct / all; 0 for fewer than n tokens.

    The n-gram repetition penalty of Yeo et al. (arXiv 2502.03373, appendix), as one number a response.

    >>> repetition_frac(np.array([1, 2, 1, 2, 1, 2], dtype=np.int32), 2)
    0.6
    """
    data, width = token_ids.tobytes(), token_ids.itemsize
    starts = range(0, len(data) - n * width + 1, width)
    if not starts:
        return 0.0
    return 1 - len({data[start : start + n * width] for start in starts}) / len(starts)


def _words_by_script(text: str) -> dict[str, int]:
    bare = _MARKUP.sub(" ", text)
    scripts = {"latin"} if bare.isascii() else set(_WORDS)
    return {name: len(word.findall(bare)) if name in scripts else 0 for name, word in _WORDS.items()}
