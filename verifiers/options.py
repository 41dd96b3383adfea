"""Verifier options: a mapping from a recipe row becomes the verifier's own frozen dataclass, checked."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

from verifiers.errors import BadOption, near_name

ConfigT = TypeVar("ConfigT")


@functools.lru_cache(maxsize=256)
def _field_types(config_class: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(config_class)
    return {f.name: hints[f.name] for f in dataclasses.fields(config_class) if f.init}


def build_config(config_class: type[ConfigT], options: Mapping[str, Any] | None, *, owner: str) -> ConfigT:
    """`config_class(**options)` with every name and type checked.

    A misspelt option is a `BadOption` that names the near one; `owner` is the verifier's kind, for the message.
    Range checks belong in the class's own `__post_init__` and may raise `ValueError`.
    """
    known = _field_types(cast(Any, config_class))
    values: dict[str, Any] = {}
    for name, value in (options or {}).items():
        if name not in known:
            allowed = ", ".join(sorted(known)) or "none"
            raise BadOption(
                f"verifier {owner!r} has no option {name!r}{near_name(name, known)} (options: {allowed})"
            )
        try:
            values[name] = coerce(value, known[name])
        except (TypeError, ValueError) as why:
            raise BadOption(f"option {name!r} of verifier {owner!r}: {why}") from None
    for one in dataclasses.fields(cast(Any, config_class)):
        has_default = (one.default, one.default_factory) != (dataclasses.MISSING, dataclasses.MISSING)
        if one.init and not has_default and one.name not in values:
            raise BadOption(f"verifier {owner!r} needs the option {one.name!r}")
    try:
        return config_class(**values)
    except BadOption:
        raise
    except (TypeError, ValueError) as why:
        raise BadOption(f"options of verifier {owner!r}: {why}") from None


def coerce(value: Any, wanted: Any) -> Any:
    """`value` as the annotated type `wanted`; strings from a command line become numbers and booleans.

    Raises `ValueError` with one clause that says what was expected.
    """
    origin, args = get_origin(wanted), get_args(wanted)
    if wanted is Any:
        return value
    if origin in (Union, types.UnionType):
        return _coerce_union(value, args)
    if origin is Literal:
        if value in args:
            return value
        raise ValueError(f"expected one of {', '.join(map(repr, args))}, got {value!r}")
    if origin in (tuple, list):
        return _coerce_sequence(value, origin, args)
    if origin in (dict, Mapping) or wanted is dict or origin is getattr(typing.Mapping, "__origin__", None):
        if not isinstance(value, Mapping):
            raise ValueError(f"expected a mapping, got {value!r}")
        return dict(value)
    return _coerce_scalar(value, wanted)


def _coerce_union(value: Any, args: tuple[Any, ...]) -> Any:
    if value is None and type(None) in args:
        return None
    for arg in args:
        if isinstance(arg, type) and type(value) is arg:
            return value
    wanted = []
    for arg in args:
        if arg is type(None):
            continue
        try:
            return coerce(value, arg)
        except ValueError as why:
            wanted.append(str(why).removeprefix("expected ").partition(", got ")[0])
    raise ValueError(f"expected {' or '.join(wanted)}, got {value!r}")


def _coerce_sequence(value: Any, origin: Any, args: tuple[Any, ...]) -> Any:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"expected a list, got {value!r}")
    if origin is tuple and args and args[-1] is not Ellipsis:
        if len(value) != len(args):
            raise ValueError(f"expected {len(args)} items, got {len(value)}")
        return tuple(coerce(v, a) for v, a in zip(value, args, strict=True))
    item = args[0] if args else Any
    return origin(coerce(v, item) for v in value)


def _coerce_scalar(value: Any, wanted: Any) -> Any:
    if wanted is bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false", "yes", "no", "1", "0"):
            return value.lower() in ("true", "yes", "1")
        raise ValueError(f"expected true or false, got {value!r}")
    if wanted is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str) and value.strip().lstrip("+-").isdecimal():
            return int(value)
        raise ValueError(f"expected a whole number, got {value!r}")
    if wanted is float:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError(f"expected a number, got {value!r}")
        try:
            number = float(value)
        except ValueError:
            raise ValueError(f"expected a number, got {value!r}") from None
        if math.isnan(number):
            raise ValueError("expected a number, got NaN")
        return number
    if wanted is str:
        if isinstance(value, str):
            return value
        raise ValueError(f"expected text, got {value!r}")
    if isinstance(wanted, type) and isinstance(value, wanted):
        return value
    raise ValueError(f"expected {getattr(wanted, '__name__', wanted)}, got {value!r}")
