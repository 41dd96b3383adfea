"""A function that builds a task's data, named in a recipe as `package.module:function` and called with its options."""

from __future__ import annotations

import importlib
import inspect
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from verifiers.errors import BadInput, near_name

BUILDER_KEY = "data.builder"

Folder = str | os.PathLike[str]
Fields = ParamSpec("Fields")
OptionsT = TypeVar("OptionsT")
BuiltT = TypeVar("BuiltT")


def takes_fields_of(
    options: Callable[Fields, OptionsT],
) -> Callable[[Callable[[Folder, OptionsT], BuiltT]], Callable[Concatenate[Folder, Fields], BuiltT]]:
    """For a builder written as `function(out_dir, options)`: it is called with that dataclass's fields as keywords."""

    def decorate(function: Callable[[Folder, OptionsT], BuiltT]) -> Callable[..., BuiltT]:
        @wraps(function)
        def build(out_dir: Folder, /, *args: Fields.args, **fields: Fields.kwargs) -> BuiltT:
            return function(out_dir, options(*args, **fields))

        folder = inspect.Parameter("out_dir", inspect.Parameter.POSITIONAL_ONLY)
        fields = inspect.signature(options).parameters.values()
        build.__signature__ = inspect.Signature([folder, *fields])  # type: ignore[attr-defined]
        build.__annotations__ = get_type_hints(options)
        # `builder_call` makes them to see whether they are in range. To mypy a function has no attribute of its own.
        build.options_type = options  # type: ignore[attr-defined]
        return build

    return decorate


def build_data(builder: str, out_dir: Folder, *, seed: int, options: Mapping[str, Any]) -> dict[str, Path]:
    """`function(out_dir, seed=seed, **options)`, which writes data sets and returns their paths by name.

    `seed` gives way to one among the options. Raises `BadInput` for a function that is not there, an option it does
    not have (with the near name) or whose value has another type than the function's annotation says.
    """
    function, arguments = builder_call(builder, seed=seed, options=options)
    return {name: Path(path) for name, path in function(out_dir, **arguments).items()}


def builder_call(
    builder: str, *, seed: int, options: Mapping[str, Any]
) -> tuple[Callable[..., Mapping[str, Folder]], dict[str, Any]]:
    """The builder and its checked keyword arguments, as `build_data` calls it. Raises: as `build_data`, and what the
    builder's own options raise for a value out of range."""
    function = named_function(BUILDER_KEY, builder)
    checked = checked_options(function, {"seed": seed, **options}, key=BUILDER_KEY, path=builder)
    if (own := getattr(function, "options_type", None)) is not None:  # set by `takes_fields_of`
        own(**checked)
    return function, checked


def named_function(key: str, path: str) -> Callable[..., Any]:
    """What the recipe's ``key`` names as package.module:function. Raises: BadInput where it is not there."""
    module_name, colon, name = path.partition(":")
    if not (module_name and colon and name):
        raise BadInput(f"{key} {path!r} is not of the form package.module:function")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as why:
        raise BadInput(f"{key} {path!r}: {why}") from None
    function = getattr(module, name, None)
    if not callable(function):
        functions = [known for known, found in vars(module).items() if inspect.isfunction(found)]
        raise BadInput(f"{key} {path!r}: no function {name!r} in {module_name}{near_name(name, functions)}")
    return function


def checked_options(
    function: Callable[..., Any], options: Mapping[str, Any], *, key: str, path: str
) -> dict[str, Any]:
    """``options`` as the types that the keyword parameters of a function or a class are annotated with.

    Raises: BadInput for an option that it does not have, with the near name, or whose value has another type. The
    recipe names the function by ``key`` as ``path``, and its options by ``key`` with `_options`."""
    parameters = inspect.signature(function).parameters
    keywords = [name for name, one in parameters.items() if one.kind is inspect.Parameter.KEYWORD_ONLY]
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    hints = _hints(function)
    checked: dict[str, Any] = {}
    for name, value in options.items():
        if name not in keywords and not takes_any:
            if name == "seed" or not keywords:
                raise BadInput(f"{key} {path!r} takes no {name!r}: give it a keyword parameter of that name")
            hint = near_name(name, keywords) or f" (keys: {', '.join(keywords)})"
            raise BadInput(f"unknown key '{key}_options.{name}' of {path}{hint}")
        try:
            checked[name] = TypeAdapter(hints.get(name, Any)).validate_python(value)
        except ValidationError as why:
            wanted = dict.fromkeys(re.sub(r"^\w+ should", "it should", one["msg"]) for one in why.errors())
            message = ", or ".join(wanted)  # of a type that is one of several
            raise BadInput(f"key '{key}_options.{name}' is {str(value)[:80]!r}: {message}") from None
    return checked


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Of a dataclass those of its fields, of another class those of the parameters that it is made with."""
    if isinstance(function, type) and not is_dataclass(function):
        return get_type_hints(function.__init__)  # type: ignore[misc]
    return get_type_hints(function)
