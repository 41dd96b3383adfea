"""The form in which texts are compared."""

from __future__ import annotations

import re
import unicodedata

_TEXT_WRAP = re.compile(r"\\(?:text|mathrm|textbf|mathbf|textit|mbox|operatorname)\s*\{([^{}]*)\}")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b\s*", re.IGNORECASE)


def normalise(text: str, match: str = "normalised") -> str:
    """The form in which two strings are compared under `match`."""
    if match == "exact":
        return text.strip()
    text = unicodedata.normalize("NFKC", text)
    while (unwrapped := _TEXT_WRAP.sub(r"\1", text)) != text:
        text = unwrapped
    text = " ".join(text.replace("$", "").split()).casefold()
    text = text.strip("\"'`“”‘’«»* ").strip()
    text = re.sub(r"[.。!]$", "", text).strip()
    if match == "loose":
        text = "".join(c if c.isalnum() or c.isspace() else " " for c in text)
        text = " ".join(_ARTICLE.sub("", text).split())
    return text
