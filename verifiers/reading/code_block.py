"""Fenced blocks of code in a text."""

from __future__ import annotations

import re

_OPENING = re.compile(r"([ \t]*+)[^`]*+(`{3,})[ \t]*+([\w+.#-]*+)[^`]*")


def code_blocks(text: str) -> list[tuple[str, str]]:
    """(language in small letters, or empty; content) of each block in order. A fence may be indented, which its content
    then loses, stand behind words, or behind the last line of its content; one that never closes goes to the end.

    >>> code_blocks("Run:\\n```Python\\nprint(1)\\n```\\nOutput:\\n```\\n1\\n```")
    [('python', 'print(1)'), ('', '1')]
    """
    blocks: list[tuple[str, str]] = []
    lines: list[str] = []
    indent = fence = language = ""
    for line in text.replace("\r\n", "\n").split("\n"):
        if not fence:
            if opening := _OPENING.fullmatch(line):
                indent, fence, language = opening.groups()
                lines = []
            continue
        before, found, after = line.rpartition(fence)
        if not found or after.strip("` \t"):
            lines.append(line.removeprefix(indent))
            continue
        if before.strip("` \t"):
            lines.append(before.removeprefix(indent))
        blocks.append((language.lower(), "\n".join(lines)))
        fence = ""
    if fence:
        blocks.append((language.lower(), "\n".join(lines)))
    return blocks
