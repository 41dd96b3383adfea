"""Recipe files: YAML merged by OmegaConf (a base, interpolation, `key=value`), then validated by pydantic."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from recipes.settings.recipe_keys import defaults_of, keys_of, near_keys, section_of
from verifiers.errors import BadInput

if TYPE_CHECKING:
    from rl.recipe.recipe import Recipe

RECIPES = Path(__file__).resolve().parents[1]
BASE_KEY = "base"
PATH_KEYS = ("train_prompts", "heldout_prompts", "cold_start", "train", "heldout", "path", "curation")
WITH_OPTIONS = ("builder", "prompt_source")  # keys whose options stand beside them
SUFFIXES = (".yaml", ".yml")
RENAMED = {
    "program.collect_after_last": "program.harvest_after_last",
    "rl.mini_batches": "rl.num_mini_batches",
}

ModelT = TypeVar("ModelT", bound=BaseModel)
_MESSAGE_HEAD = re.compile(r"^\w+ should")
_OVERRIDE = re.compile(r"(?P<key>[A-Za-z_]\w*(\.[\w-]+)*)=(?P<value>.*)", re.DOTALL)


def load_recipe(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Recipe:
    """The validated recipe of a file, or of a bare name such as `digits_cpu`. Raises `BadInput`, one line each."""
    from rl.recipe.recipe import Recipe

    recipe = load_settings(path, overrides, Recipe)
    _refuse_beside(recipe.model_dump(), find_recipe(path).parent)
    return recipe


def _refuse_beside(section: dict[str, Any], folder: Path, key: str = "") -> None:
    """Raises `BadInput` for a path that is nothing from here, and is there beside the recipe."""
    for name, value in section.items():
        if isinstance(value, dict):
            if name != "split":  # by set, no paths
                _refuse_beside(value, folder, f"{key}{name}.")
        elif name in PATH_KEYS and isinstance(value, str) and not Path(value).exists():
            if (beside := folder / value).exists():
                raise BadInput(
                    f"{key}{name}={value}: not there; paths count from the folder that you run from, and one lies "
                    f"beside the recipe: {beside}"
                )


def load_settings(path: str | os.PathLike[str], overrides: Sequence[str], model: type[ModelT]) -> ModelT:
    """Any pydantic model out of a YAML file: the model's defaults, then `base:` files, the file, the overrides.

    Defaults are merged first and section by section, so that a recipe which sets one key of a section keeps the
    other defaults that the model gives that section, and `${...}` in a default sees what the recipe says.
    """
    file = find_recipe(path)
    layers = [OmegaConf.create(defaults_of(model)), *_with_bases(file), *map(_override, overrides)]
    try:
        merged: Any = layers[0]
        for layer in layers[1:]:
            _forget(merged, layer, model)
            merged = OmegaConf.merge(merged, layer)
        return model.model_validate(_resolved(merged, model))
    except OmegaConfBaseException as why:
        raise BadInput(f"{file.name}: {_one_line(why)}") from None
    except ValidationError as why:
        other = _reader_of(merged, model)
        if other is not None:
            raise BadInput(f"{file.name} is a recipe of another command: {other} {path}") from None
        raise BadInput(_complaint(why.errors(), model, file, overrides)) from None


def _forget(before: Any, layer: Any, model: type[BaseModel] | None) -> None:
    """What ``layer`` replaces and a merge would keep is dropped. Another builder or prompt source takes other options
    than the one before; an empty mapping, ``{}``, empties what is no section of ``model``; and a mapping and a list
    take each other's place."""
    given, had = (OmegaConf.to_container(one, resolve=False) for one in (layer, before))
    if not isinstance(given, dict) or not isinstance(had, dict):
        return
    for key in WITH_OPTIONS:
        if key in given and given[key] != had.get(key):
            before[f"{key}_options"] = {}
    for name in given:
        if isinstance(given[name], dict) and isinstance(had.get(name), dict):
            field = None if model is None else model.model_fields.get(str(name))
            section = None if field is None else section_of(field)
            if section is None and not given[name]:
                before[name] = {}
            else:
                _forget(before[name], layer[name], section)
        elif {type(given[name]), type(had.get(name))} == {dict, list}:
            before[name] = None


def _reader_of(settings: Any, model: type[BaseModel]) -> str | None:
    """The command that takes these settings as they stand, where it is another one than asked."""
    from rl.recipe.recipe import Recipe, RewardRecipe

    unknown = set(OmegaConf.to_container(settings, resolve=False) or {}) - set(model.model_fields)
    for reader, command in ((RewardRecipe, "hone reward-model train"), (Recipe, "hone run")):
        if reader is not model and unknown and unknown <= set(reader.model_fields):
            return command
    return None


def _resolved(merged: Any, model: type[BaseModel]) -> Any:
    """Plain settings with every `${...}` filled in. A missing or unknown key is told before what it breaks."""
    try:
        return OmegaConf.to_container(merged, resolve=True, throw_on_missing=True)
    except InterpolationResolutionError:
        try:
            model.model_validate(OmegaConf.to_container(merged, resolve=False))
        except ValidationError as why:
            if any(error["type"] in ("missing", "extra_forbidden") for error in why.errors()):
                raise
        raise


def dump_recipe(recipe: BaseModel) -> str:
    """The resolved recipe as YAML with every key; loading it again gives an equal recipe."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)


def keys_command(model: type[BaseModel], section: str = "") -> str:
    """What to type to see the keys of a section explained."""
    from rl.recipe.recipe import RewardRecipe

    parts = ["hone recipe keys", section, "--reward-model" if model is RewardRecipe else ""]
    return " ".join(filter(None, parts))


def find_recipe(path: str | os.PathLike[str], folder: Path | None = None) -> Path:
    """A file by path (relative to `folder`), or by bare name in recipes/. Raises `BadInput` with the near name."""
    given = os.fspath(path)
    candidate = Path(given) if folder is None else folder / given
    if candidate.is_file():
        return candidate
    bare = len(Path(given).parts) == 1
    if bare:
        for name in (given, *(given + suffix for suffix in SUFFIXES)):
            for home in (candidate.parent, *_task_folders()):
                if (home / name).is_file():
                    return home / name
    if candidate.is_dir():
        raise BadInput(f"recipe {given!r} is a directory; give a YAML file")
    if not candidate.parent.is_dir():
        raise BadInput(f"no recipe {given!r}: there is no directory {str(candidate.parent)!r}")
    folders = _task_folders()
    names = sorted(file.name for home in folders for file in home.iterdir() if file.suffix in SUFFIXES)
    if candidate.parent.resolve() not in folders:
        names += [file.name for file in candidate.parent.iterdir() if file.suffix in SUFFIXES]
    by_stem = {Path(name).stem: name for name in names}
    close = difflib.get_close_matches(candidate.stem, by_stem, n=1, cutoff=0.6)
    hint = (
        f"; did you mean {by_stem[close[0]]!r}?"
        if close
        else f" (there are: {', '.join(sorted(names)[:8]) or 'none'})"
    )
    raise BadInput(f"no recipe {given!r}: no such file{', nor one in recipes/' if bare else ''}{hint}")


def _task_folders() -> list[Path]:
    """The folders of recipes/ that hold recipes, one a task."""
    return sorted(folder for folder in RECIPES.iterdir() if any(folder.glob("*.yaml")))


def _with_bases(file: Path) -> list[DictConfig]:
    """The file's settings, after those of the recipe it names under `base:`, and so on."""
    layers: list[DictConfig] = []
    seen: list[Path] = []
    at: Path | None = file
    while at is not None:
        if at.resolve() in seen:
            raise BadInput(
                f"{at.name}: recipes are each other's {BASE_KEY}: {' -> '.join(f.name for f in seen)}"
            )
        seen.append(at.resolve())
        settings = _read_yaml(at)
        base = settings.pop(BASE_KEY, None)
        if base is not None and not isinstance(base, str):
            raise BadInput(f"{at.name}: {BASE_KEY} is the path of one recipe, got {base!r}")
        layers.insert(0, settings)
        at = find_recipe(base, at.parent) if base is not None else None
    return layers


def _read_yaml(file: Path) -> DictConfig:
    try:
        settings = OmegaConf.load(file)
    except yaml.MarkedYAMLError as why:
        line = f", line {why.problem_mark.line + 1}" if why.problem_mark else ""
        raise BadInput(f"{file.name}{line}: not valid YAML: {why.problem or why.context}") from None
    except (yaml.YAMLError, OmegaConfBaseException, OSError, ValueError, RecursionError) as why:
        raise BadInput(f"{file.name}: cannot be read as a recipe: {_one_line(why)}") from None
    if not isinstance(settings, DictConfig):
        raise BadInput(f"{file.name}: a recipe is a mapping of keys, got a list")
    return settings


def _override(text: str) -> DictConfig:
    found = _OVERRIDE.fullmatch(text)
    if found is None:
        raise BadInput(f"override {text!r} is not of the form key=value, such as rl.steps=50")
    if found["key"] == "name":  # whatever it looks like: a job's number, a date
        return OmegaConf.create({"name": found["value"]})
    try:
        return OmegaConf.from_dotlist([text])
    except yaml.MarkedYAMLError as why:
        raise BadInput(f"override {text!r}: the value is not valid YAML: {why.problem}") from None
    except (yaml.YAMLError, OmegaConfBaseException, ValueError) as why:
        raise BadInput(f"override {text!r}: the value cannot be read: {_one_line(why)}") from None


def _complaint(
    errors: Sequence[ErrorDetails], model: type[BaseModel], file: Path, overrides: Sequence[str]
) -> str:
    """The first error in one line. An unknown key goes first: what else is wrong often follows from it."""
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    key = ".".join(map(str, first["loc"]))
    culprit = next((text for text in reversed(overrides) if key and _touches(text, key)), None)
    where = file.name if culprit is None else f"override {culprit!r}"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where}: {_what_is_wrong(first, key, model)}{more}"


def _touches(override: str, key: str) -> bool:
    name = override.partition("=")[0]
    return name == key or name.startswith(f"{key}.") or key.startswith(f"{name}.")


def _what_is_wrong(error: ErrorDetails, key: str, model: type[BaseModel]) -> str:
    if error["type"] == "extra_forbidden":
        new = _new_name(key)
        return f"key {key!r} is now {new!r}" if new else f"unknown key {key!r}{_instead(key, model)}"
    if error["type"] == "missing":
        return f"key {key!r} is required and not given"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if error["type"] in ("value_error", "assertion_error"):
        return f"{key}: {message}" if key else message
    given = repr(error["input"])
    shown = given if len(given) <= 80 else given[:80] + "…"
    return f"key {key!r} is {shown}: {_MESSAGE_HEAD.sub('it should', message)}"


def _new_name(key: str) -> str | None:
    """What a key of before 2026-11-28 is called today; None for any other."""
    section, _, rest = key.partition(".")
    if section == "rft":
        return f"harvest.{rest}" if rest else "harvest"
    return RENAMED.get(key)


def _instead(unknown: str, model: type[BaseModel]) -> str:
    """What the key may have meant, else which there are, and the command that explains them."""
    section = unknown.rpartition(".")[0]
    near = near_keys(model, unknown)
    if near:
        return f"; did you mean {' or '.join(map(repr, near))}?"
    known = ", ".join(key.last for key in keys_of(model) if key.parent == section)
    return f" (keys: {known}; `{keys_command(model, section)}` explains them)"


def _one_line(why: BaseException) -> str:
    if isinstance(why, OmegaConfBaseException) and why.full_key:  # its own text goes on for three lines
        return f"key {why.full_key!r}: {' '.join(str(why.msg).partition('full_key:')[0].split())[:200]}"
    return (" ".join(str(why).split()) or type(why).__name__)[:200]
