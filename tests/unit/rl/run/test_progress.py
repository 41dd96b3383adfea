"""The progress display on a terminal, in a log, on a narrow screen and without Unicode."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from rl.run.progress import ProgressDisplay, duration_words


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class FlushCounter(io.StringIO):
    num_flushes = 0

    def flush(self) -> None:
        self.num_flushes += 1
        super().flush()


def plain_display(clock: Clock, width: int = 80) -> tuple[ProgressDisplay, FlushCounter]:
    stream = FlushCounter()
    return ProgressDisplay(Console(file=stream, width=width, force_terminal=False), clock=clock), stream


def test_a_log_gets_a_line_at_start_one_every_ten_seconds_and_one_at_the_end() -> None:
    clock = Clock()
    display, stream = plain_display(clock)
    with display, display.stage("round 0 · RL", total_steps=40) as stage:
        for _ in range(25):
            clock.now += 1.0
            stage.advance(reward=0.61, tokens_per_s=3100.0)
        stage.finish("reward 0.61")
    lines = stream.getvalue().splitlines()
    assert [line.split()[0:4] for line in lines] == [["round", "0", "·", "RL"]] * 3 + [
        ["✓", "round", "0", "·"]
    ]
    assert "10/40   reward 0.61   ETA 0:30   3,100 tok/s" in lines[1]
    assert "20/40   reward 0.61   ETA 0:20" in lines[2]
    assert lines[3].split("   ")[-2:] == ["reward 0.61", "25.0 s"]
    assert stream.num_flushes >= 4


def test_a_finished_stage_keeps_one_line_and_an_earlier_one_says_so() -> None:
    clock = Clock()
    display, stream = plain_display(clock)
    with display:
        display.done_before("round 0 · SFT")
        with display.stage("round 0 · evaluate") as stage:
            clock.now += 9.1
            stage.finish("pass@1 48.2%")
        display.note("harvest: 312 rows [bold]not markup[/bold]")
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("· round 0 · SFT ") and lines[0].endswith("   (done before)")
    assert lines[-2].startswith("✓ round 0 · evaluate ") and lines[-2].endswith("   pass@1 48.2%   9.1 s")
    assert lines[-1] == "harvest: 312 rows [bold]not markup[/bold]"


def test_a_stage_that_fails_is_named_with_its_step_and_the_error_passes() -> None:
    clock = Clock()
    display, stream = plain_display(clock)
    with (
        pytest.raises(RuntimeError, match="did not take"),
        display,
        display.stage("round 1 · RL", 4) as stage,
    ):
        stage.advance(3)
        raise RuntimeError("sync did not take")
    last = stream.getvalue().splitlines()[-1]
    assert last.startswith("✗ round 1 · RL") and "failed (RuntimeError) at step 3" in last
    with pytest.raises(KeyboardInterrupt), display.stage("round 1 · RL"):
        raise KeyboardInterrupt
    assert "stopped" in stream.getvalue().splitlines()[-1]


def test_a_stage_that_says_no_result_keeps_its_last_values() -> None:
    clock = Clock()
    display, stream = plain_display(clock)
    with display.stage("round 0 · SFT", total_steps=2) as stage:
        stage.advance(loss=1.25)
        stage.advance(loss=None)
    assert "2 steps  loss 1.25" in stream.getvalue().splitlines()[-1]


def test_eta_leaves_out_what_came_before_the_first_step() -> None:
    clock = Clock()
    display, _ = plain_display(clock)
    with display, display.stage("profile", total_steps=10) as stage:
        clock.now += 100.0  # engines start
        stage.advance(0)
        clock.now += 8.0
        stage.advance(4)
        assert stage.eta_s == pytest.approx(8.0 / 4 * 6)
        assert stage.elapsed_s == pytest.approx(108.0)


def test_eta_counts_only_the_steps_of_this_session() -> None:
    clock = Clock()
    display, _ = plain_display(clock)
    with display.stage("round 0 · RL", total_steps=40, done_steps=30) as stage:
        assert stage.eta_s is None
        clock.now += 8.0
        stage.advance(4)
        assert stage.step == 34
        assert stage.eta_s == pytest.approx(8.0 / 4 * 6)


@pytest.mark.parametrize("width", [1, 12, 20, 40, 80, 200])
def test_the_live_line_fits_any_width(width: int) -> None:
    clock = Clock()
    console = Console(file=io.StringIO(), width=width, force_terminal=True)
    display = ProgressDisplay(console, live=True, clock=clock)
    with display.stage("round 0 · RL", total_steps=40) as stage:
        clock.now += 3600.0
        stage.advance(17, reward=0.61, tokens_per_s=3100.0, response_tokens=31.5)
        line = display.live_line(width).plain
    assert cell_len(line) <= width
    assert width < 40 or ("17/40" in line and "reward 0.61" in line)
    assert width < 80 or ("━" in line and "ETA 1:21:10" in line and "3,100 tok/s" in line)


def test_the_live_display_leaves_only_lasting_lines_behind() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=40, force_terminal=True, color_system=None)
    with ProgressDisplay(console, live=True) as display:
        display.note("starting 2 samplers")
        with display.stage("round 0 · RL", total_steps=2) as stage:
            stage.advance(reward=0.5)
            stage.finish("reward 0.50")
    written = stream.getvalue()
    assert "starting 2 samplers" in written and "✓ round 0 · RL   reward 0.50   0.0 s" in written
    assert "\x1b[?25h" in written  # the cursor is back


def test_without_unicode_every_byte_is_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    clock = Clock()
    console = Console(file=stream, width=60, force_terminal=True, color_system=None)
    with ProgressDisplay(console, live=True, clock=clock) as display:
        display.done_before("round 0 · SFT")
        with display.stage("round 0 · RL — 东", total_steps=9) as stage:
            clock.now += 1
            stage.advance(2, reward=0.5)
            assert display.live_line(60).plain.isascii()
            assert display.live_line(8).plain.isascii()
    stream.flush()
    assert b"- round 0 - SFT" in raw.getvalue() and b"+ round 0 - RL - ?" in raw.getvalue()


def test_a_ci_log_is_not_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")
    stream = io.StringIO()
    display = ProgressDisplay(Console(file=stream, force_terminal=True, color_system=None))
    with display, display.stage("evaluate") as stage:
        stage.finish("pass@1 48.2%")
    assert "\x1b" not in stream.getvalue()


def test_durations_read_like_durations() -> None:
    assert [duration_words(seconds) for seconds in (9.1, 125, 4320)] == ["9.1 s", "2 min 05 s", "1 h 12 min"]
