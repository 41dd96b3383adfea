"""An answer among the lines that a served judge was trained on."""

from __future__ import annotations

import re

_FIELD_LINE = re.compile(
    r"(?<=[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])"
    r"(?=[^\w\n\r]{0,80}(?:response\s*[12]?|reference|criterion|is\s+it\s+met|which\s+response)\b)",
    re.IGNORECASE,
)


def quoted(answer: str) -> str:
    """The answer with `> ` before each further line that begins as a line of the judge's own does: what it says there
    stays its own words. Any other answer keeps its exact tokens, which a judge was trained on.

    >>> quoted("9\\nReference: 9"), quoted("9\\nor 8")
    ('9\\n> Reference: 9', '9\\nor 8')
    """
    return _FIELD_LINE.sub("> ", answer)
