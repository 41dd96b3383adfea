"""Follows the tutorial of verifiers/README.md literally: its files, its commands."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[3] / "verifiers" / "README.md"
RUN = (
    "import sys, typer; from recipes.commands.verify import verify; from recipes.commands.verifiers import app; "
    "hone = typer.Typer(); hone.command('verify')(verify); hone.add_typer(app, name='verifiers'); hone()"
)


@pytest.fixture
def folder(tmp_path):
    text = README.read_text(encoding="utf-8")
    files = re.findall(r"^File `([^`]+)`[^\n]*:\n\n```\w+\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert [name for name, _ in files] == ["colour.py", "colour_cases.jsonl"]
    for name, content in files:
        (tmp_path / name).write_text(content, encoding="utf-8")
    rows = [{"answer": "#ff8800", "reference": "#ff8800"}, {"answer": "#ff8810", "reference": "#ff8800"}]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def hone(arguments, folder):
    repository = str(README.parents[1])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([repository, str(folder)]), "COLUMNS": "160"}
    return subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_command_of_the_tutorial(folder):
    commands = re.findall(r"^hone (.+)$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        done = hone(command.split(), folder)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "mean score 0.7500" in done.stdout


def test_under_pytest(folder):
    (folder / "test_colour.py").write_text(
        'def test_conformance(check_verifier):\n    check_verifier("colour:ColourVerifier")\n'
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(README.parents[1]), str(folder)])}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "test_colour.py",
    ]
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_readme_snippets_run():
    text = README.read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(from verifiers import.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(snippets) == 2
    for snippet in snippets:
        done = subprocess.run(
            [sys.executable, "-c", snippet], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
