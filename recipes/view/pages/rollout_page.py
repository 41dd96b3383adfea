"""The rollouts of one stage as they were sampled and judged, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlencode

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from recipes.report.attempt import MAX_SHOWN_CHARS, Attempt
from recipes.report.rollout_table import RolloutTable, attempt_columns
from recipes.report.shown_prompt import ShownPrompt
from recipes.view.opened import Snapshot
from recipes.view.place import Place
from rl.run.metrics_log import stage_order

PAGE_SIZE = 20
MAX_SHARDS = 64  # of a stage that are read at once; of a longer one a step at a time

# The attempts that one step made at a prompt: how many, and how many of them were right.
GROUPS = """
    SELECT stage, step, prompt_id, count(*) AS num, CASE count(*) FILTER (word IN ('right', 'won'))
        WHEN 0 THEN 'never' WHEN count(*) THEN 'always' ELSE 'sometimes' END AS attempts
    FROM rollouts GROUP BY stage, step, prompt_id
"""


class RolloutFilter(BaseModel):
    """Which rollouts a reader asked to see: untrusted text in an address. Empty means all, but of the stage, for which
    the evaluation of the best policy stands; `page` counts from 1."""

    model_config = ConfigDict(frozen=True)

    run: str = ""
    stage: str = ""
    step: Annotated[int, Field(ge=0, lt=10**9)] | None = None
    type: str = ""
    verdict: str = ""
    attempts: Literal["", "sometimes", "always", "never"] = ""
    min_reward: FiniteFloat | None = None
    max_reward: FiniteFloat | None = None
    page: Annotated[int, AfterValidator(lambda page: max(page, 1))] = Field(1, ge=0, lt=10**9)

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> RolloutFilter:
        """Raises `ValueError` with the name of what is wrong."""
        given = {name: query[name].strip() for name in cls.model_fields if query.get(name)}
        try:
            return cls.model_validate({name: text for name, text in given.items() if text})
        except ValidationError as why:
            raise ValueError(f"{why.errors()[0]['loc'][0]}: {why.errors()[0]['msg']}") from None

    def where(self) -> tuple[str, list[Any]]:
        """A condition over the view `rollouts` and its parameters; the stage is that of the files."""
        parts = (
            (
                f"(stage, step, prompt_id) IN (SELECT (stage, step, prompt_id) FROM ({GROUPS}) WHERE attempts = ?)",
                self.attempts or None,
            ),
            ("step = ?", self.step),
            ("question_type = ?", self.type or None),
            ("word = ?", self.verdict or None),
            ("reward >= ?", self.min_reward),
            ("reward <= ?", self.max_reward),
        )
        asked = [(condition, value) for condition, value in parts if value is not None]
        return " AND ".join(condition for condition, _ in asked) or "true", [value for _, value in asked]

    def query_string(self, page: int) -> str:
        """The same filter at another page, for a link."""
        return urlencode(self.model_dump(exclude_defaults=True) | {"page": page})


@dataclass(frozen=True)
class RolloutPage:
    """`wanted` names the stage and the step that are shown. `steps` are the first and the last of the
    stage, where it has several."""

    wanted: RolloutFilter
    num: int
    num_pages: int
    found: list[tuple[str, ShownPrompt | None, Attempt]]
    choices: dict[str, list[tuple[str, int]]]
    stages: list[str]
    steps: tuple[int, int] | None


def rollout_page(snapshot: Snapshot, place: Place, wanted: RolloutFilter) -> RolloutPage:
    """The files are looked at anew, so a run in progress shows what it has by then. Filters go by the log's verdicts;
    those in force are shown."""
    stages = _stages(place.path)
    stage = wanted.stage or _opened_at(place, stages)
    shards = _shards(place.path / "rollouts" / stage) if stage in stages else []
    last = max((shard.last for shard in shards if shard.last < 10**9), default=0)
    step = last if wanted.step is None and len(shards) > MAX_SHARDS else wanted.step
    wanted = wanted.model_copy(update={"stage": stage, "step": step})
    files = [shard.file for shard in shards if step is None or shard.first <= step <= shard.last]
    condition, parameters = wanted.where()
    with RolloutTable(place.path, place.part.pass_score, files) as log:
        count = log.query(f"SELECT count(*) AS num FROM rollouts WHERE {condition}", parameters)
        num, skipped = (count[0]["num"] if count else 0), (wanted.page - 1) * PAGE_SIZE
        sql = f"""
            SELECT {attempt_columns(MAX_SHOWN_CHARS)} FROM rollouts WHERE {condition}
            ORDER BY stage, step, prompt_id, "index" LIMIT {PAGE_SIZE} OFFSET {skipped}
        """
        rows = log.query(sql, parameters)
        found = _found(snapshot, place, rows)
        columns = {"type": "question_type", "verdict": "word"}
        choices = {
            name: _choices(log, f"{column} AS name, 1 AS num FROM rollouts")
            for name, column in columns.items()
        }
        choices["attempts"] = _choices(log, f"attempts AS name, num FROM ({GROUPS})")
    num_pages = max(-(-num // PAGE_SIZE), 1)
    return RolloutPage(wanted, num, num_pages, found, choices, stages, (0, last) if last else None)


def _found(
    snapshot: Snapshot, place: Place, rows: Sequence[dict[str, Any]]
) -> list[tuple[str, ShownPrompt | None, Attempt]]:
    logged: dict[str, list[Attempt]] = {}
    for row in rows:
        logged.setdefault(row["prompt_id"], []).append(Attempt.from_row(row))
    prompts = place.prompts.find(list(logged), snapshot.decisions[place.name].curated)
    now = {name: iter(made) for name, made in snapshot.in_force(place.name, logged).items()}
    names = [row["prompt_id"] for row in rows]
    return [(name, prompts.get(name), next(now[name])) for name in names]


def _opened_at(place: Place, stages: list[str]) -> str:
    """The best policy's evaluation, else what was sampled last."""
    best = str(place.best["stage"]) if place.best else ""
    return best if best in stages else (stages[-1] if stages else "")


def _stages(run: Path) -> list[str]:
    """Those that have sampled, in order."""
    folders = [folder.name for folder in (run / "rollouts").glob("*") if folder.is_dir()]
    return sorted(folders, key=stage_order)


class _Shard(NamedTuple):
    """A file with the first and the last step in it: one, or after compaction several."""

    first: int
    last: int
    file: Path


def _shards(folder: Path) -> list[_Shard]:
    """In order; a file that is named otherwise may hold any step."""
    found = []
    for file in sorted(folder.glob("*.parquet")):
        steps = file.stem.split("-")[1:]
        known = file.stem.startswith("step-") and steps and all(step.isdecimal() for step in steps)
        found.append(_Shard(int(steps[0]), int(steps[-1]), file) if known else _Shard(0, 10**9, file))
    return found


def _choices(log: RolloutTable, columns: str) -> list[tuple[str, int]]:
    sql = f"SELECT name, sum(num) AS num FROM (SELECT {columns}) GROUP BY 1 ORDER BY 1"
    return [(str(row["name"]), int(row["num"])) for row in log.query(sql) if row["name"] is not None]
