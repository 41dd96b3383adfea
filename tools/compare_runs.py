"""Proof that a refactoring changed nothing: two runs of Hone, compared value by value.

    compare_runs.py run OUT [--recipe NAME]     the tests' tiny programs by this checkout's code, into OUT/NAME
    compare_runs.py digest RUN [--out FILE]     count what a run left; FILE keeps all of it as JSON
    compare_runs.py compare BEFORE AFTER        exit 0 when nothing differs; each is a run directory or a digest

A digest holds the metrics of every step, every logged rollout, the rows harvested, each stage's result, and a hash of
each weights file; nothing that a clock had a hand in. What only AFTER has inside a record (a metric, a column) is
reported as added; a record that only one side has is a difference, and so is anything missing from AFTER.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # as a script this file knows only its own folder

from tools.run_digest import Digest, Part, Record, digest_of, read_digest  # noqa: E402

RECIPES = ("tiny_program", "tiny_hybrid")
PLUGINS = ROOT / "tests" / "integration" / "program" / "plugins"  # the builders that tiny_hybrid names


@dataclass
class Comparison:
    """What two runs share and where they part, in the order of the earlier run."""

    equal: dict[str, Counter[str]] = field(default_factory=dict)  # by part: records and values
    differences: dict[str, list[str]] = field(default_factory=dict)  # by part
    added: Counter[str] = field(default_factory=Counter)  # in how many records each key is new

    @property
    def num_differences(self) -> int:
        return sum(map(len, self.differences.values()))


def compare(before: Digest, after: Digest) -> Comparison:
    """Every value of one digest with that of the other."""
    comparison = Comparison()
    for name in {**before, **after}:
        _compare_part(comparison, name, before.get(name, {}), after.get(name, {}))
    return comparison


def _compare_part(comparison: Comparison, part: str, before: Part, after: Part) -> None:
    equal = comparison.equal[part] = Counter()
    differences = comparison.differences[part] = []
    for name, record in before.items():
        if name not in after:
            differences.append(f"{name}: missing")
            continue
        found = list(_record_differences(record, after[name]))
        differences += [f"{name}: {difference}" for difference in found]
        equal["records"] += not found
        equal["values"] += len(record) - len(found)
        comparison.added.update(f"{part}: {key}" for key in after[name].keys() - record.keys())
    differences += [f"{name}: new" for name in after if name not in before]


def _record_differences(before: Record, after: Record) -> Iterator[str]:
    for key, value in before.items():
        if key not in after:
            yield f"{key}: missing, was {_cut(_text(value))}"
        elif (old := _text(value)) != (new := _text(after[key])):
            parted = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
            start = max(0, parted - 40)
            yield f"{key}: {_cut(old, start)} != {_cut(new, start)}"


def _text(value: Any) -> str:
    """Equal for equal values to the last bit: NaN equals NaN, and 0.0 is not -0.0."""
    return json.dumps(value, sort_keys=True)


def _cut(text: str, start: int = 0, limit: int = 100) -> str:
    """A long text from near the place where it matters."""
    if len(text) <= limit:
        return text
    return f"{'...' * (start > 0)}{text[start : start + limit]}{'...' * (start + limit < len(text))}"


# The commands


def print_digest(digest: Digest) -> None:
    for name, part in digest.items():
        num_values = sum(map(len, part.values()))
        whole = hashlib.sha256(_text(part).encode()).hexdigest()
        print(f"{name:10} {len(part):6} records {num_values:7} values  sha256 {whole[:16]}")


def print_comparison(comparison: Comparison, limit: int) -> None:
    for part, equal in comparison.equal.items():
        differences = comparison.differences[part]
        print(
            f"{part}: {equal['records']} records equal ({equal['values']} values), {len(differences)} differences"
        )
        for difference in differences[:limit]:
            print(f"  {difference}")
    for key, count in sorted(comparison.added.items()):
        print(f"added: {key} (in {count} records)")
    print("identical" if not comparison.num_differences else "DIFFERENT")


def run_recipe(recipe: str, run: Path) -> float:
    """One tiny program from beginning to end by the code of this checkout. Returns its wall time in seconds.

    Raises: ValueError where `run` exists, since a program that is done does nothing; CalledProcessError."""
    if run.exists():
        raise ValueError(f"{run} exists: give another folder or delete it")
    paths = (str(ROOT), str(PLUGINS), os.environ.get("PYTHONPATH"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else every process compiles torch and vLLM again
    command = [
        sys.executable,
        "-m",
        "recipes",
        "run",
        f"tests/data/{recipe}.yaml",
        f"run_dir={run.absolute()}",
    ]
    started = time.monotonic()
    subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=True)
    return time.monotonic() - started


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    digest = commands.add_parser("digest", help="count what a run left, and keep it as JSON")
    digest.add_argument("run", type=Path)
    digest.add_argument("--out", type=Path)
    comparison = commands.add_parser("compare", help="two run directories or digests")
    comparison.add_argument("before", type=Path)
    comparison.add_argument("after", type=Path)
    comparison.add_argument("--limit", type=int, default=10, help="differences shown of each part")
    run = commands.add_parser("run", help="the tests' tiny programs by this checkout's code")
    run.add_argument("out", type=Path)
    run.add_argument("--recipe", choices=(*RECIPES, "both"), default="both")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 1 where the runs differ or one failed, 2 for wrong arguments."""
    asked = parse(arguments)
    try:
        return COMMANDS[asked.command](asked)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"the run failed with exit status {error.returncode}", file=sys.stderr)
        return 1


def _digest_command(asked: argparse.Namespace) -> int:
    digest = digest_of(asked.run)
    print_digest(digest)
    if asked.out:
        asked.out.write_text(json.dumps(digest, indent=1))
    return 0


def _compare_command(asked: argparse.Namespace) -> int:
    comparison = compare(read_digest(asked.before), read_digest(asked.after))
    print_comparison(comparison, asked.limit)
    return int(comparison.num_differences > 0)


def _run_command(asked: argparse.Namespace) -> int:
    for recipe in RECIPES if asked.recipe == "both" else (asked.recipe,):
        print(f"{recipe}: {run_recipe(recipe, asked.out / recipe):.0f} s", flush=True)
    return 0


COMMANDS = {"digest": _digest_command, "compare": _compare_command, "run": _run_command}

if __name__ == "__main__":
    sys.exit(main())
