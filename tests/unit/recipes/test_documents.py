"""Documents promise only what is there: links lead somewhere, commands parse, recipes and keys exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from recipes import cli

REPOSITORY = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").is_file())
DOCUMENTS = [
    *(REPOSITORY / f"{name}.md" for name in ("README", "CONTRIBUTING", "DECISIONS", "CHANGELOG")),
    *sorted((REPOSITORY / "docs").glob("*.md")),
    *sorted((REPOSITORY / "recipes").glob("*/README.md")),
    REPOSITORY / "verifiers" / "README.md",
]
LOGS = ("DECISIONS", "CHANGELOG")  # they keep the names of their day
MANUALS = [document for document in DOCUMENTS if document.stem not in LOGS]

LINK = re.compile(r"\]\((?P<path>[^)#\s]*)(#(?P<anchor>[^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
NAMED = re.compile(r'<a id="([^"]+)">')
BLOCK = re.compile(r"```(?P<language>\w*)\n(?P<text>.*?)```", re.DOTALL)
KEY = re.compile(r"`([a-z_]+(?:\.[a-z_]+)+)(?=[`:= ])")


def each(documents: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("document", documents, ids=lambda file: str(file.relative_to(REPOSITORY)))


def anchors(document: Path) -> set[str]:
    text = document.read_text()
    slugs = (re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(text))
    return {*slugs, *NAMED.findall(text)}


def commands(document: Path) -> Iterator[list[str]]:
    """The arguments of every `hone ...` in the document's shell blocks."""
    for block in BLOCK.finditer(document.read_text()):
        if block["language"] not in ("", "console"):
            continue
        for line in block["text"].replace("\\\n", " ").splitlines():
            if line.startswith(("hone ", ".venv/bin/hone ")):
                yield shlex.split(line, comments=True)[1:]


def test_the_readme_can_be_read_in_minutes() -> None:
    assert len((REPOSITORY / "README.md").read_text().split()) <= 700


@each(DOCUMENTS)
def test_links_lead_somewhere(document: Path) -> None:
    dead = []
    for link in LINK.finditer(document.read_text()):
        if link["path"].startswith(("http:", "https:")):
            continue
        target = (document.parent / link["path"]).resolve() if link["path"] else document
        if not target.exists() or (link["anchor"] and link["anchor"] not in anchors(target)):
            dead.append(link[0])
    assert not dead


@each([document for document in MANUALS if any(commands(document))])
def test_commands_parse(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Options are parsed before `--help` answers, so an unknown one is an error."""
    for arguments in commands(document):
        assert cli.main([*arguments, "--help"]) == 0, (arguments, capsys.readouterr().err)


@each([document for document in MANUALS if any(commands(document))])
def test_recipes_and_overrides_of_commands_load(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in BLOCK.finditer(document.read_text()):
        name = re.search(r"^name: (\w+)$", block["text"], re.MULTILINE)
        if block["language"] == "yaml" and name:
            Path(f"{name[1]}.yaml").write_text(block["text"])
    for arguments in commands(document):
        if arguments[:2] == ["reward-model", "train"]:
            show, given = ["recipe", "show", "--reward-model"], arguments[2:]
        elif arguments[:1] in (["run"], ["doctor"], ["eval"]):
            show, given = ["recipe", "show"], arguments[1:]
        else:
            continue
        overrides = [word for word in given[1:] if "=" in word]
        assert cli.main([*show, given[0], *overrides]) == 0, (arguments, capsys.readouterr().err)


@each(MANUALS)
def test_recipe_keys_exist(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever looks like a key of a recipe, in back quotes, is one; modules (`rl.program`) and files look alike."""
    assert cli.main(["recipe", "keys"]) == 0
    keys = set(re.findall(r"^([a-z_.]+)[: ]", capsys.readouterr().out, re.MULTILINE))
    sections = {key.partition(".")[0] for key in keys if "." in key}
    named = set(KEY.findall(document.read_text().partition("## Old words")[0]))
    unknown = {
        key
        for key in named - keys
        if key.partition(".")[0] in sections and not (is_module(key) or key.endswith(".jsonl"))
    }
    assert not unknown


def is_module(dotted: str) -> bool:
    path = REPOSITORY / Path(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()
