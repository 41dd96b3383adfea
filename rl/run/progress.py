"""What a person sees of a run: one live line for the stage at work, one lasting line per finished stage.

    with ProgressDisplay() as display:
        display.done_before("round 0 · SFT")
        with display.stage("round 0 · RL", total_steps=40) as stage:
            for metrics in steps:
                stage.advance(reward=metrics.reward, tokens_per_s=metrics.tokens_per_s)
            stage.finish("pass@1 48.2%")

    · round 0 · SFT            (done before)
    ✓ round 0 · evaluate       pass@1 48.2%   9.1 s
    ⠹ round 0 · RL  ━━━━━━────────  17/40  reward 0.61  ETA 1:12  3,100 tok/s

Without a terminal (a pipe, CI) the same is told in plain lines: at most one in ten seconds, one at the end.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.text import Text

from verifiers.counted import counted

PLAIN_LINE_EVERY_S = 10.0
TITLE_WIDTH = 24
MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red"), "not asked": ("·", "dim")}
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SPINNER_ASCII = "|/-\\"
ASCII_FOR = str.maketrans(
    {"✓": "+", "✗": "x", "·": "-", "—": "-", "–": "-", "…": ".", "→": ">", "━": "=", "─": "."}
)


class StageProgress:
    """One stage at work: `advance` after every step, `finish` with its result in a few words."""

    def __init__(
        self, title: str, total_steps: int | None, done_steps: int, clock: Callable[[], float]
    ) -> None:
        self.title = title
        self.total_steps = total_steps
        self.step = done_steps
        self.result: str | None = None
        self.outcome: Outcome = "ok"
        self.values: dict[str, float] = {}
        self.warnings: list[str] = []
        self._done_at_start = done_steps
        self._clock = clock
        self._started_at = self._paced_from = clock()
        self.on_advance: Callable[[], None] = lambda: None
        self.note: Callable[[str], None] = lambda words: None

    def advance(self, num_steps: int = 1, **values: float | None) -> None:
        """Count steps done and show the newest values (`reward`, `tokens_per_s`); None keeps the last. No steps before
        the first say that these begin now: starting engines tells nothing of their pace."""
        if not num_steps and self.step == self._done_at_start:
            self._paced_from = self._clock()
        self.step += num_steps
        self.values.update({name: float(value) for name, value in values.items() if value is not None})
        self.on_advance()

    def warn(self, words: str) -> None:
        """A line of its own, once however often it is said."""
        if words not in self.warnings:
            self.warnings.append(words)
            self.note(f"! {self.title}: {words}")

    def finish(self, result: str, outcome: Outcome = "ok") -> None:
        """The words that stay on the line, such as "pass@1 48.2%". The stage ends with its `with` block."""
        self.result, self.outcome = result, outcome

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._started_at

    @property
    def eta_s(self) -> float | None:
        """Time left at the pace of this session's own steps, or None while there is nothing to go by."""
        num_timed = self.step - self._done_at_start
        if self.total_steps is None or num_timed <= 0:
            return None
        return (self._clock() - self._paced_from) / num_timed * max(self.total_steps - self.step, 0)

    def progress_items(self) -> list[str]:
        """What is known now, most important first: a narrow line drops from the end."""
        steps = f"{self.step}/{self.total_steps}" if self.total_steps is not None else f"step {self.step}"
        items = [steps] if self.step or self.total_steps is not None else []
        names = sorted(self.values, key=lambda name: name != "reward")
        items += [value_words(name, self.values[name]) for name in names]
        left = self.eta_s
        items.insert(2, f"ETA {clock_words(left)}" if left is not None else clock_words(self.elapsed_s))
        return items


class ProgressDisplay:
    """Shows the stages of a program, one at a time. A context manager; `console` defaults to standard output.

    `live` is found out from the console: a line that redraws itself needs a terminal, and a CI log is none. There a
    stage that `announces` itself has a line of its own when it begins.
    """

    def __init__(
        self,
        console: Console | None = None,
        *,
        live: bool | None = None,
        title_width: int = TITLE_WIDTH,
        announces: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console = console or Console(highlight=False)
        on_terminal = self.console.is_interactive and not os.environ.get("CI")
        self._clock = clock
        self._title_width = title_width
        self._announces = announces
        self._stage: StageProgress | None = None
        self._last_plain_line_at = clock()
        self._live: Live | None = None
        if on_terminal if live is None else live:
            # Prints to the same terminal are lifted above the live line. Where third-party output goes to a
            # log file (rl/run/boundary/output.py) the console has a stream of its own, and sys.stdout is left alone.
            shares_stdout = self.console.file is sys.stdout
            self._live = Live(
                get_renderable=lambda: self.live_line(self.console.width),
                console=self.console,
                refresh_per_second=5,
                transient=True,
                redirect_stdout=shares_stdout,
                redirect_stderr=shares_stdout,
            )

    def __enter__(self) -> ProgressDisplay:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @contextmanager
    def stage(
        self, title: str, total_steps: int | None = None, done_steps: int = 0
    ) -> Iterator[StageProgress]:
        """Show a stage for the length of the `with` block; `done_steps` were done by an earlier session."""
        assert self._stage is None, "one stage at a time"
        stage = StageProgress(title, total_steps, done_steps, self._clock)
        stage.on_advance, stage.note = self._tell_plainly, self.note
        self._stage = stage
        if self._announces:
            self._tell_plainly(at_once=True)
        try:
            yield stage
        except BaseException as error:
            stopped = isinstance(error, (KeyboardInterrupt, SystemExit))
            where = f" at step {stage.step}" if stage.step else ""
            self._end_stage(
                "✗", "red", f"{'stopped' if stopped else f'failed ({type(error).__name__})'}{where}"
            )
            raise
        self._end_stage(*MARKS[stage.outcome], stage.result or "  ".join(_lasting_facts(stage)))

    def done_before(self, title: str) -> None:
        """A stage that an earlier run of the same program completed."""
        self._print_line("·", "dim", title, "(done before)")

    def note(self, words: str) -> None:
        """A line of its own, above the live one."""
        self._print(Text(self.spell(words)))

    def spell(self, words: str) -> str:
        """`words` in what the console can write: without Unicode, `✓ round 0 · RL` is `+ round 0 - RL`."""
        if self.console.encoding.startswith("utf"):
            return words
        return words.translate(ASCII_FOR).encode("ascii", "replace").decode("ascii")

    def live_line(self, width: int) -> Text:
        """The stage at work in at most `width` columns: what does not fit is left out, the least first."""
        stage = self._stage
        if stage is None:
            return Text("")
        ascii_only = not self.console.encoding.startswith("utf")
        frames = SPINNER_ASCII if ascii_only else SPINNER
        head = f"{frames[int(stage.elapsed_s * 8) % len(frames)]} {self.spell(stage.title)}"
        items = [self.spell(f"  {item}") for item in stage.progress_items()]
        while items and cell_len(head + "".join(items)) > width:
            items.pop()
        line = Text(head, style="bold", no_wrap=True, overflow="crop" if ascii_only else "ellipsis")
        room = width - cell_len(head + "".join(items)) - 2
        if stage.total_steps and room >= 8:
            length = min(room, 24)
            num_full = min(max(round(stage.step / stage.total_steps * length), 0), length)
            line.append("  " + self.spell("━") * num_full, style="not bold cyan")
            line.append(self.spell("─") * (length - num_full), style="not bold dim")
        line.append("".join(items), style="not bold")
        line.truncate(width)
        return line

    def _end_stage(self, mark: str, style: str, words: str) -> None:
        assert self._stage is not None
        stage, self._stage = self._stage, None
        self._print_line(mark, style, stage.title, words, duration_words(stage.elapsed_s))

    def _print_line(self, mark: str, style: str, title: str, *cells: str) -> None:
        padding = " " * max(self._title_width - cell_len(title), 0) if self.console.width >= 60 else ""
        rest = "dim" if style == "dim" else ""
        line = Text().append(self.spell(mark), style=style).append(f" {self.spell(title)}", style=rest)
        if any(cells):
            line.append(padding)
        for cell in filter(None, cells):
            line.append(f"   {self.spell(cell)}", style=rest)
        self._print(line)

    def _print(self, line: Text) -> None:
        # soft_wrap: a line in a log is never cut or folded to a width that nobody asked for.
        self.console.print(line, soft_wrap=True)
        self.console.file.flush()

    def _tell_plainly(self, at_once: bool = False) -> None:
        if self._live is not None or self._stage is None:
            return
        now = self._clock()
        if at_once or now - self._last_plain_line_at >= PLAIN_LINE_EVERY_S:
            self._last_plain_line_at = now
            words = ["…"] if at_once else self._stage.progress_items()
            self._print(Text(self.spell("   ".join([f"  {self._stage.title}", *words]))))


def duration_words(seconds: float) -> str:
    """9.1 s, 2 min 05 s, 1 h 12 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"


def _lasting_facts(stage: StageProgress) -> list[str]:
    steps = [counted(stage.step, "step")] if stage.step else []
    return steps + [value_words(name, value) for name, value in stage.values.items()]


def value_words(name: str, value: float) -> str:
    words = {"tokens_per_s": "tok/s"}.get(name, name.replace("_", " "))
    if name.endswith("_per_s"):
        return f"{value:,.0f} {words}"
    return f"{words} {value:.3g}" if abs(value) >= 10 else f"{words} {value:.2f}"


def clock_words(seconds: float) -> str:
    whole = int(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


Outcome = Literal["ok", "warning", "failed", "not asked"]
