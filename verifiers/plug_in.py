"""Code of a user's own, by the name of an entry point or as `package.module:Name`."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import Any

from verifiers.errors import BadInput, HoneError


def plug_ins(group: str) -> dict[str, str]:
    """The entry points of installed packages: name -> `package.module:Name`."""
    return {point.name: point.value for point in entry_points(group=group)}


def plug_in_path(group: str, name: str) -> str | None:
    """`package.module:Name` as it is, an entry point's by its name; None where there is none."""
    return name if ":" in name else plug_ins(group).get(name)


def load_object(path: str, what: str, unknown: type[HoneError] = BadInput) -> Any:
    """What `package.module:Name` leads to. ``what`` names it in messages, such as `verifier 'math'`.

    Raises: ``unknown`` where it leads nowhere, BadInput for a module that cannot be parsed.
    """
    module_name, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as why:
        raise unknown(
            f"{what} cannot be imported from {path!r}: {why} (looked in the current folder and among the installed "
            "packages)"
        ) from why
    except SyntaxError as why:
        raise BadInput(f"{what}: {why.filename}, line {why.lineno}: {why.msg}") from None
    except (ImportError, AttributeError, ValueError) as why:
        raise unknown(f"{what} cannot be imported from {path!r}: {why}") from why
