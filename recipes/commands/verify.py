"""`hone verify FILE`: judge a file of responses with the rule verifiers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from verifiers.case import Case
    from verifiers.case_file import Columns
    from verifiers.verdict import Verdict

NUM_SLOWEST = 5
IN_FLIGHT = 2000


def verify(
    file: Annotated[Path, typer.Argument(help="JSONL or Parquet: id, response or answer, reference.")],
    verifier: Annotated[str | None, typer.Option(help="Kind, plug-in name or package.module:Name.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="key=value of the verifier; repeatable.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0 judges in this one.")] = 1,
    timeout: Annotated[float, typer.Option(help="Seconds for one case.")] = 10.0,
    out: Annotated[Path | None, typer.Option(help="Write one verdict per row as JSONL.")] = None,
    check_references: Annotated[
        bool,
        typer.Option("--check-references", help="Judge each reference against itself; no responses needed."),
    ] = False,
    prefilled_think: Annotated[bool, typer.Option(help="Responses start inside the thought.")] = False,
    expects_thought: Annotated[bool, typer.Option(help="A response without a thought scores 0.")] = True,
    id_column: str = "id",
    response_column: str = "response",
    answer_column: str = "answer",
    reference_column: str = "reference",
    verifier_column: str = "verifier",
    options_column: str = "options",
) -> None:
    """Judge a file of responses: one verdict per row, a table of outcomes, the slowest cases.

    Rows with an `answer` are judged as they stand; a `response` is cut at the end of its thought first. A
    `verifier` and an `options` column choose per row. Exit status 1 when --check-references finds a bad row.
    """
    from verifiers.case_file import Columns
    from verifiers.errors import BadInput

    if timeout <= 0:
        raise BadInput(f"--timeout is positive, got {timeout:g}")
    columns = Columns(
        id=id_column, response=response_column, answer=answer_column, reference=reference_column,
        verifier=verifier_column, options=options_column,
        prefilled_think=prefilled_think, expects_thought=expects_thought,
    )  # fmt: skip
    options = parse_options(option or [])
    if verifier is not None:
        from verifiers.registry import load_verifier

        load_verifier(verifier, options)  # a wrong name or option is said before the file is read
    elif options:
        raise BadInput("--option needs --verifier")
    if check_references:
        _check_references(file, columns, verifier, options)
        return
    _judge_file(file, columns, verifier, options, workers=workers, timeout_s=timeout, out=out)


def parse_options(pairs: Iterable[str]) -> dict[str, Any]:
    """`key=value` words; a value that reads as JSON is taken as that, else as text. Raises `BadInput`."""
    import json

    from verifiers.errors import BadInput

    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise BadInput(f"--option {pair!r}: expected key=value")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options


def _check_references(file: Path, columns: Columns, verifier: str | None, options: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from verifiers.case_file import read_rows
    from verifiers.dataset_check import check_references
    from verifiers.errors import BadInput

    num_rows = 0

    def rows() -> Iterator[tuple[int, str, dict[str, Any], Any]]:
        nonlocal num_rows
        from verifiers.case_file import case_of

        for number, row in read_rows(file):
            num_rows += 1
            case = case_of({**row, columns.answer: "-"}, number, columns, verifier, options)
            yield number, case.verifier, dict(case.options), case.reference

    bad = check_references(rows())
    if not num_rows:
        raise BadInput(f"{file.name} holds no rows")
    console = Console()
    if not bad:
        console.print(f"{num_rows} references, each scores 1 against itself")
        return
    table = Table("row", "verifier", "problem", title=f"{len(bad)} of {num_rows} references fail")
    for row in bad[:100]:
        table.add_row(str(row.number), row.verifier, row.problem)
    console.print(table)
    raise typer.Exit(1)


def _judge_file(
    file: Path,
    columns: Columns,
    verifier: str | None,
    options: dict[str, Any],
    *,
    workers: int,
    timeout_s: float,
    out: Path | None,
) -> None:
    """Stream rows through the service, a bounded number in flight, verdicts written in input order."""
    import json
    from collections import Counter, deque

    from verifiers.case_file import case_of, read_rows
    from verifiers.errors import BadInput
    from verifiers.service import VerifierService

    counts: Counter[str] = Counter()
    scores: list[float] = []
    slowest: list[tuple[float, Case, Verdict]] = []
    partial = out.with_name(out.name + ".partial") if out is not None else None
    if out is not None and not out.absolute().parent.is_dir():
        raise BadInput(f"--out: no such folder: {out.parent}")
    sink = partial.open("w", encoding="utf-8") if partial is not None else None
    waiting: deque[tuple[Case, Any]] = deque()
    seen: set[str] = set()

    def take() -> None:
        case, future = waiting.popleft()
        verdict: Verdict = future.result()
        counts[outcome(verdict)] += 1
        if verdict.score is not None:
            scores.append(verdict.score)
        slowest.append((verdict.seconds, case, verdict))
        slowest.sort(key=lambda item: -item[0])
        del slowest[NUM_SLOWEST:]
        if sink is not None:
            sink.write(json.dumps(verdict_row(case, verdict), ensure_ascii=True) + "\n")

    try:
        with VerifierService(num_workers=workers, timeout_s=timeout_s) as service:
            for number, row in read_rows(file):
                case = case_of(row, number, columns, verifier, options)
                if case.case_id in seen:
                    raise BadInput(
                        f"row {number}: the id {case.case_id!r} stands twice in column {columns.id!r}"
                    )
                seen.add(case.case_id)
                waiting.append((case, service.submit(case)))
                if len(waiting) >= IN_FLIGHT:
                    take()
            while waiting:
                take()
    except BaseException:
        if sink is not None and partial is not None:
            sink.close()
            partial.unlink()
        raise
    if not seen:
        raise BadInput(f"{file.name} holds no rows")
    if sink is not None and partial is not None and out is not None:
        sink.close()
        partial.replace(out)
    _print_summary(counts, scores, slowest, out)


def outcome(verdict: Verdict) -> str:
    """The line of the outcome table that a verdict counts under."""
    if verdict.status != "scored":
        return verdict.status
    if verdict.score in (0.0, 1.0):
        return f"score {verdict.score:g}: {verdict.code}"
    return "score between 0 and 1"


def verdict_row(case: Case, verdict: Verdict) -> dict[str, Any]:
    """One row of the output file."""
    row = verdict.to_json()
    names = ("status", "score", "confident", "extracted", "code", "reason", "parts", "seconds", "tier")
    return {"id": case.case_id, "verifier": case.verifier, **{name: row[name] for name in names}}


def _print_summary(
    counts: dict[str, int], scores: list[float], slowest: list[tuple[float, Case, Verdict]], out: Path | None
) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    total = sum(counts.values())
    table = Table("outcome", "cases", "rate", title=f"{total} cases")
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(name, str(count), f"{count / total:.1%}")
    console.print(table)
    if scores:
        console.print(f"mean score {sum(scores) / len(scores):.4f} over {len(scores)} judged cases")
    slow = Table("slowest", "verifier", "ms", "outcome", "reason")
    for seconds, case, verdict in slowest:
        slow.add_row(
            case.case_id, case.verifier, f"{1000 * seconds:.2f}", outcome(verdict), verdict.reason[:80]
        )
    console.print(slow)
    if out is not None:
        console.print(f"verdicts written to {out}")
