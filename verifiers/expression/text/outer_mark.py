"""A text without the marks around it, and the formulas and links that stand in one."""

from __future__ import annotations

import re

MAX_LINE = 4_000
SEGMENT = re.compile(
    r"\$\$(.{1,2000}?)\$\$|\\\[(.{1,2000}?)\\\]|\\\((.{1,2000}?)\\\)|(?<!\\)\$((?:\\.|[^$\\\n]){1,2000})\$",
    re.DOTALL,
)
_GAP = r"\s$*]|\\q?quad\b|\\[,;:! ]"
LINK = re.compile(
    rf"(?:[,;.{_GAP})*(?:,|;|\band\b|\bor\b|&|\\(?:text|mathrm)\s*\{{\s*(?:and|or)\s*\}})(?:[{_GAP})*",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"^(?:\\text\s*\{\s*)?((?:[^\W\d_]{3,15}|[\u4e00-\u9fff]{2,6})(?: [^\W\d_]{2,14}){0,3})"
    r"\s*[:：]\s*\}?\s*(?=[-$\\(\[\d])"
)
_NO_LABEL = re.compile(
    r"wrong|incorrect|not|guess|hint|example|note|step|except|option|choice|previous|bound|attempt|initial|lambda|else",
    re.IGNORECASE,
)
_LEADING = re.compile(
    r"^(?:\s|>\s(?=\*\*)|[✅✔✓☑➡👉🎯]\ufe0f?|\*|`|:|=>|->|=|：|≈|~|∴|→|⇒|⟹"
    r"|\\(?:therefore|Rightarrow|implies|Longrightarrow|rightarrow|to)(?![A-Za-z])"
    r"|(?:approx\.?|ca\.|circa|etwa|environ|约|大约|大概)\s*(?=[\d$€£.-])"
    r"|(?:approximately|about|roughly|simply|just|equal to|exactly"
    r"|thus|therefore|so|is|are|hence|dus|donc|par conséquent|итак|следовательно|значит|daher|folglich|por lo tanto"
    r"|(?:the )?(?:point|ordered pair|ordered triple|interval|vector|matrix|value|number|coordinates)(?= [\d(\[\\{$-])"
    r"|(?:hay|il y a|es gibt|há|ci sono)(?= \d)"
    r"|portanto|logo|quindi|así que|então)\b,?|因此|所以|よって|したがって|따라서|그러므로)+",
    re.IGNORECASE,
)
_HTML = re.compile(r"</?(?:b|i|u|em|strong|p|span|code)>|<br ?/?>", re.IGNORECASE)
_TAIL = re.compile(
    r",?\s+as (?:was |is )?(?:required|desired|needed|expected|claimed|requested|stated|asked|wanted)\s*\.?$",
    re.IGNORECASE,
)


# A text that begins and ends like this has no outer marks.
_BARE_START = re.compile(r"[-+]?[\d(\[{]|\\(?:[dt]?frac|sqrt)\b")
_BARE_ENDS = frozenset("0123456789)]}")


def content(match: re.Match[str]) -> str:
    """What stands between the marks: the group of several that matched."""
    return next(group for group in match.groups() if group is not None)


def cleaned(text: str) -> str:
    """Without outer marks: white space, markdown, quotes, dollar signs, a final full stop."""
    text = text.strip()
    if text[-1:] in _BARE_ENDS and _BARE_START.match(text) and "<" not in text:
        return text
    text = _HTML.sub("", text).strip()
    for _ in range(4):
        before = text
        text = _LEADING.sub("", text)
        label = _LABEL.match(text)
        if label and not _NO_LABEL.search(label.group(1)):
            text = text[label.end() :]
        text = text.strip().rstrip("。．।✓✔✅☑\ufe0f ").strip('`"“”')
        text = re.sub(r"^(?:'([^']*)'|‘([^‘’]*)’|«([^«»]*)»|「([^「」]*)」)$", r"\1\2\3\4", text)
        text = re.sub(r"^\*{1,3}(.*?)\*{1,3}$", r"\1", text, flags=re.DOTALL).strip()
        if text.endswith("*") and not text.endswith("^*"):
            text = text.rstrip("*").rstrip()
        text = re.sub(r"^__?([^_].*?)__?$", r"\1", text)
        text = _TAIL.sub("", text)
        if text.endswith((".", ",", ";")) and not text.endswith(("..", "\\,", "\\;")):
            text = text[:-1].rstrip()
        match = SEGMENT.fullmatch(text)
        if match:
            text = content(match).strip()
        if text == before:
            break
    return text
