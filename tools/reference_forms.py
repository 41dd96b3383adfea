"""The table of docs/data.md: which references each verifier takes, from the examples that the tests judge.

python -m tools.reference_forms        # writes the table anew
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "tests" / "golden" / "reference_forms.jsonl"
DOCUMENT = ROOT / "docs" / "data.md"
BEGIN, END = (
    "<!-- reference forms: made by tools/reference_forms.py -->\n",
    "<!-- end of reference forms -->\n",
)


def examples() -> list[dict[str, Any]]:
    """One for each form: verifier, options, form, reference, a right answer and a wrong one."""
    return [json.loads(line) for line in EXAMPLES.read_text().splitlines()]


def table() -> str:
    lines = ["| verifier | reference | for example | which accepts |", "|---|---|---|---|"]
    for one in examples():
        cells = [
            f"`{one['verifier']}`",
            one["form"],
            f"`{json.dumps(one['reference'], ensure_ascii=False)}`",
            f"`{one['right']}`",
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", "⏎") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def with_table(document: str) -> str:
    """The document with today's table."""
    before, _, rest = document.partition(BEGIN)
    return f"{before}{BEGIN}{table()}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text()))
