"""Pages as jinja templates, in which everything is escaped unless our own code drew it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from recipes.report.drawing.curve import percent, short_number

FOLDER = Path(__file__).parents[1] / "pages"


@cache
def template(name: str, folder: Path = FOLDER) -> Any:
    """A page of ``folder``, or of this one. Everything put into one is escaped unless our own code drew it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([folder, FOLDER]), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(percent=percent, short=short_number, tojson_text=_json_text)
    return environment.get_template(name)


def _json_text(value: Any) -> str:
    """Text as it is, anything else as JSON; the template escapes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
