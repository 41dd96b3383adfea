"""The command `hone`: what there is to call, how errors are told, and nothing heavier to import than Typer."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import io
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

FLOORS = ("recipes", "rl", "reward_models", "sampler", "verifiers")
REPOSITORY = Path(__file__).resolve().parents[1]

ASKED_AGAIN_S = 0.5
NEW_OBJECTS = 50_000  # before the collector runs, which by default takes a fifth of the time of all imports
EXIT_FAILED, EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_PIPE, EXIT_TERMINATED = 1, 2, 130, 141, 143


@dataclass(frozen=True)
class CommandLine:
    """A command by name: `recipes/commands/<name>.py` holds it, as a Typer `app` or as a function of that name."""

    name: str
    help: str
    resumes: bool = False

    def load(self) -> Any:
        """Import the module and make the command. Raises `HoneError` when there is no such module."""
        from verifiers.errors import HoneError

        module_name = f"recipes.commands.{self.name.replace('-', '_')}"
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as why:
            if why.name not in (module_name, "recipes.commands"):
                raise
            raise HoneError(f"`hone {self.name}` is not in this checkout: {module_name} is missing") from why
        app = getattr(module, "app", None)
        if app is None:
            app = typer.Typer()
            app.command(self.name)(getattr(module, self.name.replace("-", "_")))
        app.rich_markup_mode, app._add_completion = None, False  # plain help: importing rich takes 0.3 s
        command = get_command(app)
        command.name = self.name
        return command


COMMANDS: dict[str, CommandLine] = {
    line.name: line
    for line in (
        CommandLine("run", "Run a whole program: SFT, RL, rejection sampling, again.", resumes=True),
        CommandLine("doctor", "Preflight: what would fail in an hour fails in a minute."),
        CommandLine("status", "What a run has done, does and has to do, and how long."),
        CommandLine("recipe", "The keys of a recipe explained; a recipe with all of them."),
        CommandLine("eval", "pass@1 and pass@k of a policy on held-out prompts."),
        CommandLine("verify", "Judge a file of responses with the rule verifiers."),
        CommandLine("verifiers", "The rule verifiers: list them, check one."),
        CommandLine(
            "reward-model", "Train a reward model on preferences; score answers with one.", resumes=True
        ),
        CommandLine("gym", "Drawn questions of any difficulty: see some, build sets."),
        CommandLine("prompts", "What runs know of their prompts; choose by it.", resumes=True),
        CommandLine("report", "Write a run's page: curves, before and after, rollouts."),
        CommandLine("compare", "Two policies on the same prompts: what flipped, both ways."),
        CommandLine("view", "Prompts and answers in a web browser; decide about them."),
        CommandLine("bench", "How close Hone comes to bare engines; what learns better."),
    )
}


class LazyGroup(TyperGroup):
    """Knows its commands by name and help line; imports one only when it is called or asked for its own help."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for line in COMMANDS.values():
            self.commands[line.name] = TyperCommand(name=line.name, help=line.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The real command in place of the one that only stands in `hone --help`."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, COMMANDS[name].load() if name in COMMANDS else command, rest

    def make_context(self, *arguments: Any, **settings: Any) -> Any:
        """Help is printed here."""
        try:
            return super().make_context(*arguments, **settings)
        except BrokenPipeError:
            raise SystemExit(EXIT_PIPE) from None

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # Typer would end with 1
            raise SystemExit(EXIT_PIPE) from None


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"hone {version('hone-rl')}")
        except PackageNotFoundError:
            print("hone (not installed: run `make install`)")
        raise typer.Exit


@app.callback(epilog="Errors are one line; HONE_DEBUG=1 shows where they come from.")
def hone(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Post-training of vision-language models: RL alternating with rejection-sampling fine-tuning."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line. Exit status: 0, 1 failed, 2 bad usage or input, 130 interrupted, 141 its reader has gone, 143
    terminated."""
    _expect_narrow_streams()
    gc.set_threshold(NEW_OBJECTS)
    if threading.current_thread() is threading.main_thread():
        if not signal.getsignal(signal.SIGTERM):
            signal.signal(signal.SIGTERM, _terminate)  # as Ray does for itself later
        if not signal.getsignal(signal.SIGINT):
            signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        status = EXIT_PIPE
    if status == EXIT_PIPE:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes as it ends
    return status


def _terminate(number: int, _: object) -> None:
    """Ends the command. A library that swallows that while it is imported is asked again."""
    signal.signal(signal.SIGALRM, lambda *_: None if _is_ending() else sys.exit(signal.SIGTERM))
    signal.setitimer(signal.ITIMER_REAL, ASKED_AGAIN_S, ASKED_AGAIN_S)
    sys.exit(number)


def _is_ending() -> bool:
    """Whether the exit is on its way up: handled, or behind what is."""
    error: BaseException | None = sys.exc_info()[1]
    while error is not None and not isinstance(error, SystemExit):
        error = error.__context__
    return error is not None


def _expect_narrow_streams() -> None:
    """What a terminal's encoding lacks is written as `?`, not raised; a stream that is closed (`>&-`) goes nowhere."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _run(arguments: Sequence[str] | None) -> int:
    if str(Path.cwd()) not in sys.path:  # where a plug-in may lie; after everything that is installed
        sys.path.append(str(Path.cwd()))
    misplaced = misplaced_floor()
    if misplaced is not None:
        return _fail(misplaced, EXIT_FAILED)
    from verifiers.errors import BadInput, HoneError

    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = get_command(app).main(given or ["--help"], prog_name="hone", standalone_mode=False)
    except typer.TyperException as why:
        return _usage_error(why)
    except typer.Abort:
        return _fail("aborted", EXIT_FAILED)
    except SystemExit as stop:
        if stop.code == signal.SIGTERM:
            signal.setitimer(signal.ITIMER_REAL, 0)
            return _stopped("terminated", given, EXIT_TERMINATED)
        if stop.code != EXIT_PIPE:
            raise
        return EXIT_PIPE
    except HoneError as why:
        if os.environ.get("HONE_DEBUG", "0") not in ("", "0"):
            raise
        return _fail(str(why), EXIT_BAD_INPUT if isinstance(why, BadInput) else EXIT_FAILED)
    except BrokenPipeError:
        raise
    except OSError as why:
        from rl.run.boundary.engine_failure import FULL, refusal

        debugging = os.environ.get("HONE_DEBUG", "0") not in ("", "0")
        if debugging or (why.filename is None and why.errno not in FULL):
            raise
        return _fail(refusal(why), EXIT_BAD_INPUT)
    if result == EXIT_INTERRUPTED:  # what Typer makes of Ctrl-C
        return _stopped("interrupted", given, EXIT_INTERRUPTED)
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def misplaced_floor() -> str | None:
    """Why Hone cannot start: one of its five package names belongs to something else. None when all is well.

    A distribution called `verifiers` exists, and a folder `rl` in the current directory wins over an installed one.
    """
    for name in FLOORS:
        spec = importlib.util.find_spec(name)
        places = list(spec.submodule_search_locations or ()) if spec is not None else []
        if spec is None or not places:
            return f"package {name!r} is not found beside {REPOSITORY / 'recipes'}: install this repository again"
        if Path(places[0]).resolve() != REPOSITORY / name:
            return (
                f"package {name!r} is {places[0]}, not {REPOSITORY / name}: uninstall the other distribution of that "
                "name, or start Hone from its own virtual environment and another directory"
            )
    return None


def _usage_error(why: typer.TyperException) -> int:
    context = getattr(why, "ctx", None)
    if type(why).__name__ == "NoArgsIsHelpError":  # a group called bare; its message is its help
        print(why.format_message())
        return EXIT_BAD_INPUT
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    return _fail(why.format_message().rstrip(".") + hint, EXIT_BAD_INPUT)


def _stopped(how: str, arguments: Sequence[str], status: int) -> int:
    line = COMMANDS.get(arguments[0]) if arguments else None
    print(f"\nhone: {how}{'; the same command resumes' if line and line.resumes else ''}", file=sys.stderr)
    return status


def _fail(message: str, status: int) -> int:
    """One line on stderr. Text may come from a data file, so nothing in it may steer the terminal."""
    line = "".join(letter if letter.isprintable() else "?" for letter in " ".join(message.split()))
    print(f"hone: error: {line}", file=sys.stderr)
    return status
