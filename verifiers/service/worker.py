"""A worker process: judges the cases of one socket.

Lines in: `[id, key, reference, text, answer status]`, the key being the verifier's name and options.
Lines out: `[id, monotonic time, *verdict]`, and `[key, monotonic time]` when a verifier has been loaded.
"""

from __future__ import annotations

import importlib
import json
import resource
import socket
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from verifiers.answer import FinalAnswer
from verifiers.errors import HoneError
from verifiers.plain_value import json_text
from verifiers.registry import load_verifier
from verifiers.verdict import Verdict
from verifiers.verifier import NoVerdict, Verifier, raised, require_verdict

MAX_PREPARED = 4096


class Judge:
    """Loads verifiers and prepared references once and keeps them; judges one case at a time."""

    def __init__(self) -> None:
        self._verifiers: dict[str, Verifier[Any, Any]] = {}
        self._unloadable: dict[str, Verdict] = {}
        self._prepared: OrderedDict[tuple[str, bool, str], Any] = OrderedDict()

    def knows(self, key: str) -> bool:
        """Whether the verifier of this key is loaded."""
        return key in self._verifiers

    def load(self, key: str) -> bool:
        """Whether the verifier of this key could be loaded now; a failure is kept, and `judge` gives it."""
        name, options = split_key(key)
        if key in self._unloadable:
            return False
        try:
            verifier = load_verifier(name, options)
            for module in verifier.imports:
                importlib.import_module(module)
        except HoneError as why:
            self._unloadable[key] = Verdict.failed("bad_verifier", str(why))
            return False
        except (Exception, SystemExit) as why:  # noqa: BLE001 - importing plug-in code
            self._unloadable[key] = raised(name, "loading", why)
            return False
        self._verifiers[key] = verifier
        return True

    def judge(self, key: str, reference: Any, answer: FinalAnswer) -> Verdict:
        """Never raises; a bad reference or a broken verifier is a verdict of status `error`."""
        if key in self._unloadable:
            return self._unloadable[key]
        verifier = self._verifiers[key]
        started = time.perf_counter()
        method = "prepare"
        try:
            prepared = self._prepare(key, verifier, reference)
            method = "judge_prepared"
            return require_verdict(verifier.judge_prepared(prepared, answer), verifier.kind, method)
        except HoneError as why:
            verdict = Verdict.failed("bad_reference", str(why))
        except NoVerdict as why:
            verdict = Verdict.failed("no_verdict", str(why))
        except (Exception, SystemExit) as why:  # noqa: BLE001 - the boundary where plug-in code may fail
            verdict = raised(verifier.kind, method, why)
        return verdict.with_fields(seconds=time.perf_counter() - started)

    def _prepare(self, key: str, verifier: Verifier[Any, Any], reference: Any) -> Any:
        is_text = type(reference) is str
        text = reference if is_text else json_text(reference)
        cache_key = (key, is_text, text)
        if cache_key in self._prepared:
            self._prepared.move_to_end(cache_key)
        else:
            self._prepared[cache_key] = verifier.prepare(reference if is_text else json.loads(text))
            if len(self._prepared) > MAX_PREPARED:
                self._prepared.popitem(last=False)
        return self._prepared[cache_key]


def case_key(name: str, options: Mapping[str, Any]) -> str:
    """One key for each verifier as configured: its name, and its options as one line of JSON. Raises `TypeError` or
    `ValueError` for options that are not plain JSON."""
    return f"{name}\n{json_text(options) if options else '{}'}\n"


def split_key(key: str) -> tuple[str, dict[str, Any]]:
    """The name and the options of a `case_key`."""
    name, _, options = key[:-1].rpartition("\n")
    return name, json.loads(options)


def serve(connection: socket.socket, case_cpu_s: int) -> None:
    """Judge the cases of one socket until its other end closes; each may take `case_cpu_s` of processor time."""
    judge = Judge()
    _, most_cpu_s = resource.getrlimit(resource.RLIMIT_CPU)
    with connection, connection.makefile("rb", buffering=1 << 16) as lines:
        for line in lines:
            case_id, key, reference, text, status = json.loads(line)
            # The parent's wall clock kills first, unless a case runs in many threads or the parent is stopped.
            resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + case_cpu_s, most_cpu_s))
            if not judge.knows(key) and judge.load(key):
                connection.sendall(json.dumps([key, time.monotonic()]).encode() + b"\n")
            verdict = judge.judge(key, reference, FinalAnswer(text, status))
            connection.sendall(json.dumps([case_id, time.monotonic(), *verdict.to_row()]).encode() + b"\n")
