"""The runs and prompt files that a viewer was started on, and the tables it asks of them."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from recipes.report.attempt import Attempt
from recipes.report.in_force import RunInForce, attempts_in_force
from recipes.report.shown_prompt import reference_text
from recipes.view.place import Place
from recipes.view.set_history import beliefs_of_sets, suspects_of_all
from sampler.store.belief import believed
from sampler.store.decisions.curation import Curation
from sampler.store.decisions.curation_table import Decisions
from sampler.store.decisions.left_prompts import left_prompts
from sampler.store.prompt_store import PromptStore
from sampler.store.prompt_table import PromptTable
from verifiers.errors import BadInput

LOOK_AGAIN_S = 2.0  # how old may be what is shown of a run in progress

# One row a prompt of a split: what its set says, and what is believed of its pass rate.
_ROWS = """
    SELECT row_number() OVER () AS place, run, coalesce(p.split, '') AS split, prompt_id,
           coalesce(p.question, '') AS question, coalesce(p.reference, '') AS reference,
           coalesce(p.verifier, '') AS verifier, p.kind, coalesce(p.source, '') AS source,
           coalesce(p.tags, []) AS tags, coalesce(p.num_pictures, 0) AS num_pictures,
           coalesce(p.tags[1], b.question_type, p.kind, '') AS question_type, coalesce(b.n, 0) AS n, b.num_right,
           b.num_wrong, b.mean, b.low, b.high, b.spread, b.policy_version,
           coalesce(b.standing, 'not tried') AS standing, b.moves
    FROM prompts p FULL JOIN beliefs b USING (run, prompt_id, split)
"""
# What people decided is laid over these rows, so that a decision makes none of them anew: of the few that it is about
# all that it may change, and then the rows as people left them.
_LEFT = ("verifier", "reference", "tags", "question_type")
_DECIDED_ABOUT = "(SELECT * FROM rows_of_all SEMI JOIN decided USING (run, prompt_id))"
_DECIDED_ROWS = f"""
    SELECT place, {", ".join(_LEFT)} FROM ({left_prompts(_DECIDED_ABOUT, "decided", "run, prompt_id", _LEFT)})
"""
_ROWS_AS_LEFT = f"""(
    SELECT known.* REPLACE ({", ".join(f"coalesce(people.{name}, known.{name}) AS {name}" for name in _LEFT)})
    FROM rows_of_all AS known LEFT JOIN decided_rows AS people USING (place)
)"""
# How many rows have what, by the rows as they were, less and more by what was decided: so it is not counted anew.
_COUNTS = "SELECT {column} AS name, count(*) AS num FROM rows_of_all GROUP BY name"
_COUNTS_AS_LEFT = """(
    SELECT name, sum(num)::BIGINT AS num FROM (
        SELECT name, num FROM {counts} UNION ALL
        SELECT {column}, -1 FROM rows_of_all SEMI JOIN decided_rows USING (place) UNION ALL
        SELECT {column}, 1 FROM decided_rows
    ) GROUP BY name HAVING sum(num) > 0
)"""
# The same rows as one policy alone has it: beside them, so that no question is held twice.
_BELIEVED_OF_POLICY = """
    SELECT place, b.n, b.num_right, b.num_wrong, b.mean, b.low, b.high, b.spread, b.policy_version, b.standing
    FROM rows_of_all JOIN beliefs b USING (run, prompt_id)
"""
_ROWS_OF_POLICY = """(
    SELECT known.* REPLACE (coalesce(b.n, 0) AS n, b.num_right AS num_right, b.num_wrong AS num_wrong, b.mean AS mean,
        b.low AS low, b.high AS high, b.spread AS spread, b.policy_version AS policy_version,
        coalesce(b.standing, 'not tried') AS standing)
    FROM {rows} AS known LEFT JOIN {beliefs} b USING (place)
)"""
MAX_POLICIES = 2  # of which beliefs are kept


@dataclass
class Snapshot:
    """The places as they were when they were looked at. DuckDB answers one question at a time."""

    places: Mapping[str, Place]
    state: tuple[Any, ...]
    store: PromptStore
    decisions: Mapping[str, Decisions] = field(default_factory=dict)
    _decided_state: tuple[Any, ...] | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _made: set[str] = field(default_factory=set)
    _policies: dict[int, None] = field(
        default_factory=dict
    )  # of which beliefs are kept, the last asked for last
    _counted: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    _counted_as_left: dict[str, list[tuple[str, int]]] = field(default_factory=dict)

    def read_decisions(self) -> None:
        """Anew where a person decided something since; the tables of prompts stay."""
        with self._lock:
            state = tuple(place.decided_state for place in self.places.values())
            if state != self._decided_state:
                self.decisions = {
                    name: Decisions.of(place.part.event_files) for name, place in self.places.items()
                }
                self._decided_state = state
                self._made -= {"decided", "decided rows"}
                self._counted_as_left = {}

    @property
    def is_corrected_anew(self) -> bool:
        """Whether a reference or a verifier in force is another than when the tables were made: then other verdicts
        count."""
        return any(
            one.corrections != self.store.decisions[name].corrections for name, one in self.decisions.items()
        )

    def curation_of(self, run: str, prompt_id: str) -> Curation | None:
        """None where nobody decided anything."""
        return self.decisions[run].curated.get(prompt_id)

    def in_force(self, run: str, attempts: Mapping[str, Sequence[Attempt]]) -> dict[str, tuple[Attempt, ...]]:
        """By prompt id a run's attempts with the verdicts that count."""
        with self._lock:
            return attempts_in_force(self.store, run, attempts)

    def run_in_force(self, run: str) -> RunInForce:
        """The same, and what people decided, for a page over several runs."""
        return RunInForce(
            self.decisions[run].curated, partial(self.in_force, run), partial(self.shards_of, run)
        )

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows as dictionaries. Raises: BadInput."""
        with self._lock:
            return self.store.query(sql, parameters).to_pylist()

    def counted(self, sql: str, *, as_left: bool) -> list[tuple[str, int]]:
        """Rows of `name` and `num` as pairs, asked once for these tables; ``as_left``, where what people decide changes
        them, once for these decisions."""
        held = self._counted_as_left if as_left else self._counted
        if sql not in held:
            held[sql] = [(str(row["name"]), int(row["num"])) for row in self.query(sql)]
        return held[sql]

    def shards_of(self, run: str, prompt_id: str) -> list[Path]:
        """The files of the log that hold a rollout of one prompt."""
        with self._lock:
            return self.store.shards_of(run, prompt_id)

    def rows_table(self, policy: int | None) -> str:
        """A table, as SQL names it, with one row a prompt of a split, as people left it; believed over all policies, or
        of one alone. Raises: BadInput for a policy that no run has."""
        with self._lock:
            if "rows" not in self._made:
                self.store.keep("rows_of_all", _ROWS, {}, beliefs=self._believed())
                self._made.add("rows")
            if "decided rows" not in self._made:
                self.decided_table()
                self.store.keep("decided_rows", _DECIDED_ROWS, {})
                self._made.add("decided rows")
            if policy is None:
                return _ROWS_AS_LEFT
            if policy not in self._policies:
                beliefs = self._believed_of(policy)
                self.store.keep(f"believed_of_{policy}", _BELIEVED_OF_POLICY, {}, beliefs=beliefs)
            self._policies.pop(policy, None)
            self._policies[policy] = None
            for old in list(self._policies)[:-MAX_POLICIES]:
                self.store.drop(f"believed_of_{old}")
                del self._policies[old]
            return _ROWS_OF_POLICY.format(rows=_ROWS_AS_LEFT, beliefs=f"believed_of_{policy}")

    def counts_table(self, name: str, column: str) -> str:
        """A table, as SQL names it, of what a column of ``rows_table`` that people may change holds: name and num."""
        with self._lock:
            self.rows_table(None)
            counts = f"counts_of_{name}"
            if counts not in self._made:
                self.store.keep(counts, _COUNTS.format(column=column), {})
                self._made.add(counts)
        return _COUNTS_AS_LEFT.format(counts=counts, column=column)

    def decided_table(self) -> str:
        """The name of a table with what people decided."""
        with self._lock:
            if "decided" not in self._made:
                rows = [
                    {
                        "run": run, "prompt_id": prompt_id, "accepted": one.accepted, "revision": one.revision,
                        "tags_added": one.tags_added, "tags_removed": one.tags_removed,
                        "reference": reference_text({"reference": one.reference}) or None,
                        "verifier": None if one.verifier is None else one.verifier.name,
                    }
                    for run, decided in self.decisions.items() for prompt_id, one in decided.curated.items()
                ]  # fmt: skip
                table = pa.Table.from_pylist(rows, schema=_DECIDED)
                self.store.keep("decided", "SELECT * FROM decisions", {}, decisions=table)
                self._made.add("decided")
        return "decided"

    def suspects_table(self) -> str:
        """The name of a table of the prompts (run, prompt_id) whose reference the answers speak against."""
        with self._lock:
            if "suspected" not in self._made:
                suspected = suspects_of_all(self.store)
                self.store.keep("suspected", "SELECT * FROM named", {}, named=suspected)
                self._made.add("suspected")
        return "suspected"

    def _believed(self) -> pa.Table:
        """Over all policies, by split, with the moves: of the tables that the runs keep."""
        tables = [PromptTable(self.store, name).tried(", ".join(_BELIEF.names[1:])) for name in self._sampled]
        return self._of_runs(tables)

    def _believed_of(self, policy: int) -> pa.Table:
        where = f"policy_version = {policy}"
        runs = (place.run for place in self.places.values() if place.run is not None)
        evaluated = {one.get("policy_version") for run in runs for one in run.evaluations}
        if policy not in evaluated and not self.query(f"SELECT 1 FROM attempts WHERE {where} LIMIT 1"):
            raise BadInput(f"no run that is open has a policy of version {policy}")
        # What one policy did is no older in one prompt than in another: it counts whole.
        tables = [believed(self.store, one, half_life=math.inf, where=where) for one in self._sampled]
        return self._of_runs(tables)

    @property
    def _sampled(self) -> list[str]:
        return [name for name, place in self.places.items() if place.part.rollout_files]

    def _of_runs(self, tables: Sequence[pa.Table]) -> pa.Table:
        """One table of the sampled runs' own, with a column that names them, and of the sets beside them; columns that
        one lacks are none."""
        named = [
            table.append_column("run", pa.array([name] * table.num_rows, pa.string()))
            for name, table in zip(self._sampled, tables, strict=True)
        ]
        whole = pa.concat_tables([_BELIEF.empty_table(), *named], promote_options="permissive")
        return pa.concat_tables([whole, beliefs_of_sets(self.store, whole)], promote_options="permissive")


_DECIDED = pa.schema(
    [("run", pa.string()), ("prompt_id", pa.string()), ("accepted", pa.bool_()), ("revision", pa.int64()),
     ("tags_added", pa.list_(pa.string())), ("tags_removed", pa.list_(pa.string())), ("reference", pa.string()),
     ("verifier", pa.string())]
)  # fmt: skip
_BELIEF = pa.schema(
    [("run", pa.string()), ("split", pa.string()), ("prompt_id", pa.string()), ("question_type", pa.string())]
    + [
        ("n", pa.int64()),
        ("policy_version", pa.int64()),
        ("standing", pa.string()),
        ("moves", pa.list_(pa.string())),
    ]
    + [(name, pa.float64()) for name in ("num_right", "num_wrong", "mean", "low", "high", "spread")]
)


class Opened:
    """All that the viewer was started on. ``snapshot`` looks at the files anew where they have changed."""

    def __init__(self, paths: Sequence[str | Path]) -> None:
        """Raises: BadInput where one is neither a run nor a prompt file, or two have one name."""
        self._paths = [Path(path) for path in paths]
        self._lock = threading.Lock()
        self._looked_s = 0.0
        self._snapshot: Snapshot | None = None
        self.snapshot()

    @property
    def newest(self) -> str:
        """The name of the place given last, which a page is about unless told otherwise."""
        return list(self.snapshot().places)[-1]

    def snapshot(self) -> Snapshot:
        """The same one while no run has gone on and no reference was corrected; what people decided since is in it."""
        with self._lock:
            snapshot = self._snapshot
            if snapshot is None or time.monotonic() - self._looked_s >= LOOK_AGAIN_S:
                snapshot = self._looked_at(snapshot)
                self._looked_s = time.monotonic()
            snapshot.read_decisions()
            if snapshot.is_corrected_anew:
                snapshot = self._looked_at(None)
                snapshot.read_decisions()
            self._snapshot = snapshot
        return snapshot

    def close(self) -> None:
        """The tables are gone."""
        with self._lock:
            if self._snapshot is not None:
                self._snapshot.store.close()
                self._snapshot = None

    def _looked_at(self, before: Snapshot | None) -> Snapshot:
        if before is not None and _state(before.places.values()) == before.state:
            return before
        places = [Place.of(path) for path in self._paths]
        state = _state(places)  # before what it is of: what comes meanwhile is seen the next time
        store = PromptStore([place.part for place in places], may_lack_rollouts=True)
        return Snapshot({place.name: place for place in places}, state, store)


def _state(places: Iterable[Place]) -> tuple[Any, ...]:
    return tuple(place.state for place in places)
