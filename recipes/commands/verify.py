"""`hone verify FILE`: judge a file of responses with the rule verifiers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from concurrent.futures import Future

    from sampler.rows.row import DatasetRow
    from sampler.rows.wrong_rows import WrongRows
    from verifiers.case import Case
    from verifiers.files.case_file import Columns
    from verifiers.verdict import Verdict

IN_FLIGHT = 2000


def verify(
    file: Annotated[Path, typer.Argument(help="JSONL or Parquet: id, response or answer, reference.")],
    verifier: Annotated[str | None, typer.Option(help="Kind, plug-in name or package.module:Name.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="key=value of the verifier; repeatable.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0 judges in this one.")] = 1,
    timeout: Annotated[float, typer.Option(help="Seconds for one case.")] = 10.0,
    out: Annotated[Path | None, typer.Option(help="Write one verdict a row (JSONL).")] = None,
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
    `verifier` and an `options` (or `verifier_options`) column choose per row. Wrong rows are named and left out. Exit
    status 1 when a row was wrong or could not be judged (its verifier, options or reference are wrong, or the verifier
    failed), or when --check-references finds a bad row.
    """
    from recipes.commands.output.out_file import require_out
    from verifiers.errors import BadInput
    from verifiers.files.case_file import Columns

    require_out(out, inputs=[file])
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
        if out is not None:
            raise BadInput("--check-references tells what fails and writes no --out")
        _check_references(file, columns, verifier, options, timeout_s=timeout)
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


def _values(row: DatasetRow, columns: Columns) -> dict[str, Any]:
    """Read as a run reads a prompt set, with the reference as its verifier gets it."""
    from sampler.data.reference import row_reference

    values = dict(row.values)
    if columns.reference in values or "reference_json" in values:
        values[columns.reference] = row_reference(row, columns.reference)
    return values


def _check_references(
    file: Path, columns: Columns, verifier: str | None, options: dict[str, Any], *, timeout_s: float
) -> None:
    """Tell which references do not score 1 against themselves, rows that fail alike in one line, as a dry run does."""
    from recipes.commands.output.console import plain_console
    from sampler.data.reference import row_reference
    from sampler.rows.dataset_rows import every_row
    from sampler.rows.known_format import known_format
    from sampler.rows.wrong_rows import WrongRows
    from verifiers.counted import counted
    from verifiers.errors import BadInput
    from verifiers.files.case_file import case_of
    from verifiers.files.dataset_check import ReferenceCheck

    num_rows, check, wrong = 0, ReferenceCheck(timeout_s), WrongRows()
    for number, row in enumerate(wrong.reading(every_row(file)), 1):
        with wrong.collected(row.location):
            if row.fault is not None:
                num_rows += 1
                raise row.fault
            if row.values.get("kind") == "general" and not (verifier or row.values.get(columns.verifier)):
                continue  # a reward model judges it
            num_rows += 1
            values, theirs = _values(row, columns), known_format(row.values)
            if theirs is not None and values.get(columns.reference) is None:
                values |= {
                    columns.reference: row_reference(row, theirs.columns.get("reference", "reference"))
                }
            judge = verifier or (theirs and theirs.verifier)
            try:
                with_answer = {**values, columns.answer: "-"}
                case = case_of(with_answer, number, columns, judge, options, where=row.location)
                problem = check.problem(case.verifier, case.options, case.reference)
            except BadInput as why:
                problem = str(why).removeprefix(f"{row.location}: ")
            if problem is not None:
                raise BadInput(f"{row.location}: {problem}")
    if not num_rows:
        raise BadInput(f"{file.name} holds no rows")
    console = plain_console()
    if not wrong:
        console.print(f"{counted(num_rows, 'reference')}, each scores 1 against itself")
        return
    console.print(f"{wrong.num_rows:,} of {counted(num_rows, 'reference')} fail", soft_wrap=True)
    for line in wrong.named():
        console.print(f"  {line}", soft_wrap=True)
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
    from collections import deque

    from recipes.commands.output.verdict_file import VerdictFile
    from sampler.rows.wrong_rows import WrongRows
    from verifiers.counted import counted
    from verifiers.service.service import VerifierService

    waiting: deque[tuple[Case, Future[Verdict]]] = deque()
    wrong = WrongRows()
    with VerdictFile(out) as verdicts, VerifierService(num_workers=workers, timeout_s=timeout_s) as service:
        for case in _cases(file, columns, verifier, options, wrong):
            waiting.append((case, service.submit(case)))
            if len(waiting) >= IN_FLIGHT:
                first, future = waiting.popleft()
                verdicts.add(first, future.result())
        for case, future in waiting:
            verdicts.add(case, future.result())
        if not verdicts.counts:
            wrong.raise_any()
    verdicts.show()
    if wrong:
        typer.echo(f"{counted(wrong.num_rows, 'wrong row')}, left out:", err=True)
        for line in wrong.named():
            typer.echo(f"  {line}", err=True)
    if wrong or verdicts.unjudged:
        raise typer.Exit(1)


def _cases(
    file: Path, columns: Columns, verifier: str | None, options: dict[str, Any], wrong: WrongRows
) -> Iterator[Case]:
    """The rows as cases; those that are none are added to ``wrong``. Raises: BadInput for a file without rows."""
    from sampler.rows.dataset_rows import every_row
    from verifiers.errors import BadInput
    from verifiers.files.case_file import case_of

    seen: set[str] = set()
    thinking = False
    number = 0
    for number, row in enumerate(wrong.reading(every_row(file)), 1):
        with wrong.collected(row.location):
            if row.fault is not None:
                raise row.fault
            values = _values(row, columns)
            if not thinking and _holds_thought(values.get(columns.answer)):
                thinking = True
                typer.echo(
                    f"warning: {row.location}: column {columns.answer!r} holds thinking tags and is judged as it "
                    f"stands; for whole responses use column {columns.response!r}",
                    err=True,
                )
            case = case_of(values, number, columns, verifier, options, where=row.location)
            if case.case_id in seen:
                raise BadInput(
                    f"{row.location}: the id {case.case_id!r} stands twice in column {columns.id!r}"
                )
            seen.add(case.case_id)
            yield case
    if not number:
        raise BadInput(f"{file.name} holds no rows")


def _holds_thought(answer: Any) -> bool:
    return isinstance(answer, str) and ("<think>" in answer or "</think>" in answer)
