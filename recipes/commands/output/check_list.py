"""The checks of the preflight on the terminal: each is named while it runs, and its finding stays with its seconds."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console

from rl.preflight.check import Check, Finding
from rl.run.progress import ProgressDisplay

TITLE_WIDTH = 36


def run_checks(checks: Iterable[Check], console: Console) -> list[Finding]:
    """Run them in order, each before the next is asked for."""
    findings = []
    with ProgressDisplay(console, title_width=TITLE_WIDTH) as display:
        for check in checks:
            with display.stage(check.name) as progress:
                finding = check.run()
                progress.finish(finding.summary, finding.outcome)
            for line in finding.details:
                display.note(f"    {line}")
            findings.append(finding)
    return findings


def any_failed(findings: Iterable[Finding]) -> bool:
    return any(finding.outcome == "failed" for finding in findings)
