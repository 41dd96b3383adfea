"""The keys of a recipe, read off its pydantic model: what may stand there, what does by default, what it means."""

from __future__ import annotations

import difflib
import inspect
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

REQUIRED = "(required)"
_WORDS: dict[Any, str] = {
    bool: "true or false",
    str: "text",
    dict: "mapping",
    Any: "anything",
    type(None): "null",
}
_BOUNDS = {
    annotated_types.Ge: ("ge", ">="),
    annotated_types.Gt: ("gt", ">"),
    annotated_types.Le: ("le", "<="),
    annotated_types.Lt: ("lt", "<"),
}  # fmt: skip


@dataclass(frozen=True)
class RecipeKey:
    """One key, as `hone recipe keys` shows it; `is_section` where it holds others.

    >>> class Limits(BaseModel):
    ...     steps: int = 10
    >>> list(keys_of(Limits))
    [RecipeKey(name='steps', type='int', default='10', description='', is_section=False)]
    """

    name: str  # dotted
    type: str
    default: str
    description: str
    is_section: bool = False

    @property
    def parent(self) -> str:
        return _parted(self.name)[0]

    @property
    def last(self) -> str:
        return _parted(self.name)[1]


def keys_of(model: type[BaseModel]) -> Iterator[RecipeKey]:
    """Every section and key, in the order of the model, with the default that its section gives it."""
    yield from _keys(model, "", defaults_of(model))


def near_keys(model: type[BaseModel], unknown: str) -> list[str]:
    """Keys that an unknown one may have meant: the same name a section further in or out, else one spelt alike."""
    section, name = _parted(unknown)
    around = {_parted(section)[0]} - {section}
    here = [key for key in keys_of(model) if key.parent == section]
    around |= {key.name for key in here if key.is_section}
    elsewhere = [key for key in keys_of(model) if key.parent in around]
    same = [key.name for key in elsewhere if key.last == name and not key.is_section]
    return same or _spelt_alike(name, here) or _spelt_alike(name, elsewhere)


def defaults_of(model: type[BaseModel]) -> dict[str, Any]:
    """What a model fills in by itself, as a nested mapping; required keys are left out."""
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if not field.is_required():
            default = field.get_default(call_default_factory=True, validated_data={})
            values[name] = default.model_dump() if isinstance(default, BaseModel) else default
        elif inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            values[name] = defaults_of(field.annotation)
    return values


def _keys(model: type[BaseModel], prefix: str, defaults: dict[str, Any]) -> Iterator[RecipeKey]:
    for name, field in model.model_fields.items():
        inner = section_of(field)
        default = defaults.get(name, REQUIRED)
        shown = "" if inner is not None and default is not None else _default_words(default)
        words = field.description or _first_sentence(inner.__doc__ if inner else None)
        yield RecipeKey(prefix + name, _type_words(field), shown, words, inner is not None)
        if inner is not None:
            given = default if isinstance(default, dict) else defaults_of(inner)
            yield from _keys(inner, f"{prefix}{name}.", given)


def _first_sentence(text: str | None) -> str:
    """
    >>> _first_sentence("What is said\\n    on two lines. And more.")
    'What is said on two lines.'
    """
    first, stop, _ = " ".join((text or "").split()).partition(". ")
    return first + stop.strip()


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a section, of an optional one (`Section | None`) too; none of a key that holds no section."""
    candidates = [field.annotation, *get_args(field.annotation)]
    return next((one for one in candidates if inspect.isclass(one) and issubclass(one, BaseModel)), None)


def _type_words(field: FieldInfo) -> str:
    """`float > 0 | null`: the range stands beside the type it narrows."""
    bounds = [
        f"{sign} {getattr(bound, attribute):g}"
        for kind, (attribute, sign) in _BOUNDS.items()
        for bound in field.metadata
        if isinstance(bound, kind)
    ]
    first, *rest = _annotation_words(field.annotation).split(" | ")
    return " | ".join([" ".join([first, ", ".join(bounds)]).strip(), *rest])


def _annotation_words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotation_words(arguments[0])
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return " | ".join(map(_annotation_words, arguments))
    if origin is tuple:
        return f"list of {_annotation_words(arguments[0])}"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "section"
    return _WORDS.get(origin or annotation, getattr(annotation, "__name__", str(annotation)))


def _default_words(default: Any) -> str:
    """As one would write it in YAML."""
    if default == REQUIRED:
        return REQUIRED
    plain = list(default) if isinstance(default, tuple) else default
    return yaml.safe_dump(plain, default_flow_style=True, width=1000).removesuffix("...\n").strip()


def _spelt_alike(name: str, keys: list[RecipeKey]) -> list[str]:
    by_last = {key.last: key.name for key in keys}
    return [by_last[close] for close in difflib.get_close_matches(name, by_last, n=1, cutoff=0.6)]


def _parted(name: str) -> tuple[str, str]:
    """A dotted name as its section and the rest."""
    section, _, last = name.rpartition(".")
    return section, last
