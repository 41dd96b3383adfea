"""SQL over a run's rollout log and prompts, as DuckDB views of its Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from recipes.report.attempt import MAX_SHOWN_CHARS, Attempt, ShownText
from recipes.report.picture import Picture

MAX_ATTEMPTS = 400

PASS_SCORE = 0.5

# An error of the judge is not a wrong answer; a response without a final answer is one, under its own name.
VIEW_SQL = """
    CREATE VIEW rollouts AS SELECT *, coalesce(tags[1], kind) AS question_type,
    CASE WHEN verdict_status IN ('timeout', 'error') THEN verdict_status
         WHEN coalesce(answer_status, 'ok') <> 'ok' THEN replace(answer_status, '_', ' ')
         WHEN coalesce(reward, verdict_score) IS NULL THEN 'not judged'
         WHEN coalesce(reward, verdict_score) >= {pass_score} THEN 'right'
         WHEN verdict_status = 'unparseable' THEN 'unparseable'
         ELSE 'wrong' END AS word
    FROM {table}
"""

Parameters = list[Any] | dict[str, Any] | tuple[()]


@dataclass(frozen=True)
class ShownPrompt:
    """A prompt made ready to be shown."""

    prompt_id: str
    question: ShownText
    pictures: tuple[Picture, ...]
    question_type: str
    verifier: str
    reference: str


class RolloutTable:
    """A context manager. Reads only; the files it sees are those there when it was opened.

    `rollouts` has the columns of the log and two more: `question_type`, and `word`, which is "right" (from
    `pass_score` on), "wrong" or what went wrong.
    """

    def __init__(self, run: Path, pass_score: float = PASS_SCORE) -> None:
        import duckdb

        self.rollout_files = sorted((run / "rollouts").glob("**/*.parquet"))
        self.prompt_files = sorted((run / "data").glob("**/*.parquet"))
        self._db = duckdb.connect(config={"threads": 2})
        if self.rollout_files:
            self._db.execute(
                VIEW_SQL.format(table=table_of(self.rollout_files), pass_score=float(pass_score))
            )

    def __enter__(self) -> RolloutTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def query(self, sql: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
        """Rows as dictionaries; nothing where no rollout has been logged yet."""
        if not self.rollout_files:
            return []
        return self.query_files(sql, parameters)

    def query_files(self, sql: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
        """The same for SQL that names its own files with `table_of`."""
        cursor = self._db.execute(sql, parameters)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def attempts(
        self, prompt_id: str, stages: Sequence[str] | None = None, max_chars: int = MAX_SHOWN_CHARS
    ) -> list[Attempt]:
        """The attempts at one prompt in the order they were made; `stages` of None means all."""
        where = "prompt_id = ?" + ("" if stages is None else " AND list_contains(?, stage)")
        parameters: list[Any] = [prompt_id] if stages is None else [prompt_id, list(stages)]
        order = 'stage, step, "index"'
        sql = f"SELECT {attempt_columns(max_chars)} FROM rollouts WHERE {where} ORDER BY {order} LIMIT {MAX_ATTEMPTS}"
        return [Attempt.from_row(row, max_chars) for row in self.query(sql, parameters)]

    def prompts(self, prompt_ids: Sequence[str]) -> dict[str, ShownPrompt]:
        """The prompts among `prompt_ids` that the run's data files hold."""
        if not prompt_ids:
            return {}
        shown: dict[str, ShownPrompt] = {}
        for file in self.prompt_files:
            columns = {
                row["column_name"] for row in self.query_files(f"DESCRIBE SELECT * FROM {table_of([file])}")
            }
            if not {"prompt_id", "messages"} <= columns:
                continue
            sql = f"SELECT * FROM {table_of([file])} WHERE list_contains(?, prompt_id)"
            for row in self.query_files(sql, [list(prompt_ids)]):
                shown.setdefault(row["prompt_id"], shown_prompt(row))
        return shown


def attempt_columns(max_chars: int) -> str:
    """Text is cut in the database: a response of a megabyte never reaches Python."""
    texts = ("thought", "answer", "response")
    cut = [f"left({name}, {max_chars}) AS {name}, length({name}) AS {name}_chars" for name in texts]
    return f"* EXCLUDE ({', '.join(texts)}), {', '.join(cut)}"


def shown_prompt(row: dict[str, Any]) -> ShownPrompt:
    """From a row with a prompt's columns, be it of a prompt file or of harvested SFT rows."""
    tags = row.get("tags") or []
    images = row.get("images") or []
    return ShownPrompt(
        prompt_id=str(row["prompt_id"]),
        question=ShownText.of(message_text(row.get("messages") or [])),
        pictures=tuple(Picture.of((image or {}).get("bytes")) for image in images[:4]),
        question_type=str(tags[0] if tags else row.get("kind") or ""),
        verifier=str(row.get("verifier") or ""),
        reference=ShownText.of(row.get("reference"), limit=300).text,
    )


def message_text(messages: Sequence[dict[str, Any]]) -> str:
    """What the messages say, without pictures; content is a list of parts, or plain text."""
    words = []
    for message in messages:
        content = message.get("content") or []
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        words += [str(part.get("text") or "") for part in parts if part.get("type") == "text"]
    return "\n".join(words)


def table_of(files: Sequence[Path]) -> str:
    """`read_parquet(...)` over exactly these files, whatever characters their names hold."""
    names = ", ".join(_literal(file) for file in files)
    return f"read_parquet([{names}], union_by_name = true)"


def _literal(file: Path) -> str:
    spelled = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(file))
    return "'" + spelled.replace("'", "''") + "'"
