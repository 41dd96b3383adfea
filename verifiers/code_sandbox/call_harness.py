"""Runs inside the sandbox: loads a program and calls one function of it; only plain results leave, over a pipe.

Started as `python -I -S call_harness.py cpu_s memory_bytes result_fd jail.py`. Standard input holds one JSON line
`{"code", "entry", "calls": [{"args", "kwargs"}]}`, or for stdin programs `{"code", "stdin"}`. Expected values never
come here. The program's own exit status means nothing: a result counts only when it stands in the pipe.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from types import ModuleType
from typing import Any

MAX_DEPTH = 40
WHOLE = -1  # the number of a line about the program, not one of its calls


def plain(value: Any, depth: int = 0) -> Any:
    """`value` in JSON types, marked by kind; subclasses and objects are refused, so nothing can pretend to be equal."""
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return {"int": str(value)} if abs(value) > 2**53 else value
    if kind is float:
        return {"float": repr(value)}
    if kind in (list, tuple):
        return {kind.__name__: [plain(item, depth + 1) for item in value]}
    if kind in (set, frozenset):
        return {"set": sorted((plain(item, depth + 1) for item in value), key=repr)}
    if kind is dict:
        return {"dict": [[plain(k, depth + 1), plain(v, depth + 1)] for k, v in value.items()]}
    raise TypeError(f"a result of type {kind.__name__} is not plain")


def run_calls(task: dict[str, Any], result_fd: int) -> None:
    """Write one line a call to the pipe: its `value` in plain types, or what it `raised`."""
    space = run_as("solution", task["code"])
    name, _, method = task["entry"].partition(".")
    if name not in space:
        raise NameError(f"the program defines no {name}")
    function = getattr(space[name](), method) if method else space[name]
    for position, call in enumerate(task["calls"]):
        try:
            line = {"n": position, "value": plain(function(*call.get("args", []), **call.get("kwargs", {})))}
        except Exception as why:  # noqa: BLE001 - whatever the program raises is its result
            line = {"n": position, "raised": _said(why)}
        os.write(result_fd, json.dumps(line).encode() + b"\n")


def _said(why: Exception) -> str:
    return f"{type(why).__name__}: {str(why)[:200]}"


def run_as(name: str, code: str) -> dict[str, Any]:
    """Run a program as the module of this name, where `dataclass` and `pickle` look for it; its globals."""
    module = sys.modules[name] = ModuleType(name)
    space: dict[str, Any] = module.__dict__
    exec(compile(code, "solution.py", "exec", dont_inherit=True), space)  # noqa: S102 - this is the sandbox
    return space


def set_stdin(text: str) -> None:
    """Make a text the standard input: of descriptor 0 itself, where `open(0)` and `os.read(0, n)` read it."""
    file = os.memfd_create("stdin", os.MFD_ALLOW_SEALING)
    with open(file, "wb", closefd=False) as writing:
        writing.write(text.encode())
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    os.lseek(file, 0, os.SEEK_SET)
    os.dup2(file, 0)
    os.close(file)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor


def load_jail(path: str) -> Any:
    """The module `jail`, by path: this interpreter runs isolated, without an import path to it."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("jail", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Read the task, close what the program must not reach, enter the jail, then run the program."""
    cpu_s, memory_bytes, result_fd = (int(word) for word in sys.argv[1:4])
    task = json.loads(sys.stdin.buffer.readline())
    jail = load_jail(sys.argv[4])
    if "stdin" in task:
        set_stdin(task["stdin"])
    os.closerange(3, result_fd)
    os.closerange(result_fd + 1, 64)
    sys.argv = ["solution.py"]
    fenced = jail.enter(cpu_s, memory_bytes, 1 << 20)
    os.write(result_fd, json.dumps({"ready": True, "fenced": fenced}).encode() + b"\n")
    try:
        if "stdin" in task:
            run_as("__main__", task["code"])
        else:
            run_calls(task, result_fd)
    except Exception as why:
        os.write(result_fd, json.dumps({"n": WHOLE, "raised": _said(why)}).encode() + b"\n")
        raise


if __name__ == "__main__":
    main()
