"""Prompts chosen by what is known of them: by a rule, evenly over types and references; and what that moved."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from sampler.store.belief import HALF_LIFE, Standing, believed, believed_blind
from sampler.store.decisions.left_prompts import left_prompts
from sampler.store.prompt_store import PromptStore
from sampler.store.reference_shift import reference_shift
from sampler.store.suspicion.suspects import suspects
from verifiers.counted import counted
from verifiers.errors import BadInput

MOVES = ("newly solved", "forgotten", "repaired")
MIN_SAMPLES = 4  # where a rule does not say it, and no profile decided
MAX_UNREADABLE = 0.5  # of the answers without the picture; from there on they say nothing of the picture
MAX_BLIND = 0.25  # pass rate without the picture above which a prompt does not need it


@dataclass(frozen=True)
class SelectionRule:
    """Every condition must hold. ``pass_rate`` bounds the expected pass rate, ends included; where a profile decided
    about this very band, its decision stands. ``min_samples`` is the least evidence: 4 where it is not said, but as
    few as a profile took for its decision. ``min_spread`` bounds the newest policy's best reward minus its mean;
    ``moves`` are of ``turnover``, at any time; ``standings`` as in ``sampler.store.belief``.
    ``needs_picture``: the pass rate without pictures and films is believed, by all runs of the store, to be at most
    0.25, and under that with them. ``suspect`` as in ``sampler.store.suspicion.suspects``.

    Rejected prompts are out whatever the rule. With ``keep_accepted`` accepted ones are in whatever the rule."""

    pass_rate: tuple[float, float] = (0.0, 1.0)
    min_samples: int | None = None
    min_spread: float = 0.0
    standings: tuple[str, ...] = ()
    moves: tuple[str, ...] = ()
    question_types: tuple[str, ...] = ()
    split: str = "train"
    half_life: float = HALF_LIFE
    needs_picture: bool = False
    suspect: bool = False
    keep_accepted: bool = False


@dataclass(frozen=True)
class Selection:
    """The chosen prompts' ids, and how many were left out for which reason. ``moved`` tells by question type how far
    the references' shares went from those of the whole split (total variation, 0 to 1), ``apart`` how far they are from
    those of the split that it was held against; ``warnings`` name what is lost. ``types`` counts the prompts chosen of
    each question type, ``asked`` is the even share that each was to have."""

    prompt_ids: tuple[str, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)
    moved: Mapping[str, float] = field(default_factory=dict)
    apart: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    types: Mapping[str, int] = field(default_factory=dict)
    asked: int | None = None


# The first condition that a prompt does not meet; none where it meets all.
_WEIGHED = """
    WITH asked AS ({asked}), decided AS (
        SELECT prompt_id, any_value(decision) FILTER (run = $run AND shown = 'whole') AS of_run,
               any_value(decision) FILTER (run = $run AND shown = 'whole' AND band_low = $low AND band_high = $high)
                   AS of_band,
               bool_or(shown = 'blind') AS decided_blind
        FROM profiled GROUP BY prompt_id
    ), moves AS (
        SELECT prompt_id, list(DISTINCT move) AS moves
        FROM turnover WHERE run = $run AND len($moves) > 0 GROUP BY prompt_id
    )
    SELECT asked.*, CASE
        WHEN accepted IS FALSE THEN 'rejected'
        WHEN accepted AND $keep_accepted THEN NULL
        WHEN len($types) > 0 AND NOT list_contains($types, asked.question_type) THEN 'other question type'
        WHEN n IS NULL THEN 'not tried'
        WHEN n < coalesce($min_samples, if(of_run IS NULL, $usual, 1)) THEN 'too few samples'
        WHEN coalesce(of_band <> 'inside', mean < $low OR mean > $high) THEN 'pass rate'
        WHEN len($standings) > 0 AND NOT list_contains($standings, standing) THEN 'standing'
        WHEN spread < $min_spread THEN 'spread'
        WHEN len($moves) > 0 AND NOT coalesce(list_has_any(moves, $moves), false) THEN 'move'
        WHEN $needs_picture AND num_pictures + num_films = 0 THEN 'no picture or film'
        WHEN $needs_picture AND coalesce(num_blind, 0)
            < coalesce($min_samples, if(decided_blind, 1, $usual)) THEN 'too few samples without the picture'
        WHEN $needs_picture AND (blind_mean > $max_blind OR blind_mean >= mean) THEN 'right without the picture'
        WHEN $suspect AND NOT list_contains($suspects, prompt_id) THEN 'no suspect'
        END AS why
    FROM asked LEFT JOIN beliefs USING (prompt_id) LEFT JOIN blind USING (prompt_id)
    LEFT JOIN moves USING (prompt_id) LEFT JOIN decided USING (prompt_id)
"""
# Prompts of a split as people's decisions leave them.
_OF_SPLIT = (
    "(SELECT *, coalesce(tags[1], kind) AS question_type FROM prompts WHERE run = $run AND split = $split)"
)
_DECIDED = "(SELECT * FROM curation WHERE run = $run)"
_ASKED = f"""
    SELECT prompt_id, reference, num_pictures, num_films, accepted, question_type
    FROM ({left_prompts(_OF_SPLIT, _DECIDED, "prompt_id", ("reference", "question_type"))})
"""
# One of each question type in turn, within it one of each reference in turn; which comes first depends on the seed.
# What somebody accepted and is to be kept comes before all else.
_EVENLY = """
    WITH drawn AS (
        SELECT *, md5(prompt_id || $seed) AS draw, NOT ($keep_accepted AND coalesce(accepted, false)) AS is_open
        FROM weighed WHERE why IS NULL
    ), of_reference AS (
        SELECT *, row_number() OVER (PARTITION BY question_type, reference ORDER BY is_open, draw) AS turn FROM drawn
    ), of_type AS (
        SELECT *, row_number() OVER (PARTITION BY question_type ORDER BY is_open, turn, draw) AS place FROM of_reference
    )
    SELECT prompt_id, question_type, reference FROM of_type WHERE place <= $most
    ORDER BY is_open, place, draw LIMIT $num
"""
_REFERENCES = (
    "SELECT question_type, reference, count(*) AS num FROM {table} GROUP BY ALL ORDER BY num DESC, reference"
)


def select(
    store: PromptStore,
    run: str,
    rule: SelectionRule,
    *,
    num: int | None = None,
    seed: int = 0,
    against: str | None = None,
    equal: bool = False,
) -> Selection:
    """At most ``num`` prompts of the rule's split, evenly over question types and over references within a type.
    ``equal``: of each type that has one as many, though they are fewer in all. ``against`` names another split
    whose references theirs are held against.

    Raises: BadInput where the rule asks for evidence that the store does not have.
    """
    _check(store, run, rule, against)
    _weigh(store, run, rule)
    counts = {
        row["why"]: row["num"]
        for row in store.query(
            "SELECT why, count(*) AS num FROM weighed GROUP BY why ORDER BY num DESC, why"
        ).to_pylist()
    }
    num_met = counts.pop(None, 0)
    if not num_met and counts.keys() <= {"not tried", "too few samples", "rejected"}:
        least = counted(rule.min_samples or MIN_SAMPLES, "judged sample")
        raise BadInput(
            f"no prompt of split {rule.split!r} has {least} in run {run}: let a stage sample them, or ask for fewer "
            "with --min-samples"
        )
    met = _types(store)
    limit = num_met if num is None else num
    wanted = [name for name in met if not rule.question_types or name in rule.question_types]
    asked = None if num is None else max(1, num // max(1, len(wanted)))
    few = min((count for count in met.values() if count), default=0)
    most = min(few, limit if asked is None else asked) if equal else limit
    given = {"seed": f" {seed}", "num": limit, "most": most, "keep_accepted": rule.keep_accepted}
    store.keep("chosen", _EVENLY, given)
    chosen = store.query("SELECT prompt_id FROM chosen")["prompt_id"].to_pylist()
    if num_met > len(chosen):
        counts["more than asked for"] = num_met - len(chosen)
    taken = _references(store, "chosen")
    moved, warnings = reference_shift(_references(store, "weighed"), taken)
    warnings += _unreadable(store) if rule.needs_picture else ()
    types = {name: taken[name].total() if name in taken else 0 for name in wanted}
    if against is None:
        return Selection(tuple(chosen), counts, moved, {}, warnings, types, asked)
    store.keep("held_against", _ASKED, {"run": run, "split": against})
    apart, more = reference_shift(_references(store, "held_against"), taken)
    named = tuple(f"{against}: {warning}" for warning in more)
    return Selection(tuple(chosen), counts, moved, apart, warnings + named, types, asked)


def _weigh(store: PromptStore, run: str, rule: SelectionRule) -> None:
    """A table ``weighed``: each prompt of the split, and the first condition that it does not meet."""
    beliefs = believed(store, run, half_life=rule.half_life).drop_columns(["question_type"])
    named = suspects(store, run)["prompt_id"].to_pylist() if rule.suspect else []
    low, high = rule.pass_rate
    store.keep("weighed", _WEIGHED.format(asked=_ASKED), {
        "run": run, "split": rule.split, "types": list(rule.question_types), "min_samples": rule.min_samples,
        "usual": MIN_SAMPLES,
        "low": low, "high": high, "standings": list(rule.standings), "min_spread": rule.min_spread,
        "moves": list(rule.moves), "needs_picture": rule.needs_picture, "max_blind": MAX_BLIND,
        "suspect": rule.suspect, "suspects": named, "keep_accepted": rule.keep_accepted,
    }, beliefs=beliefs, blind=believed_blind(store, half_life=rule.half_life))  # fmt: skip


def _check(store: PromptStore, run: str, rule: SelectionRule, against: str | None) -> None:
    """Raises: BadInput where a word of the rule is none, or there is nothing to go by."""
    for noun, given, known in (("standing", rule.standings, get_args(Standing)), ("move", rule.moves, MOVES)):
        if unknown := [one for one in given if one not in known]:
            raise BadInput(f"{unknown[0]!r} is no {noun}: choose of {', '.join(known)}")
    for split in (rule.split, *([against] if against else [])):
        if not store.query(
            "SELECT 1 FROM prompts WHERE run = ? AND split = ? LIMIT 1", [run, split]
        ).num_rows:
            raise BadInput(f"run {run} has no prompts of split {split!r}")
    if rule.needs_picture and not store.query("SELECT 1 FROM blind_attempts_in_force LIMIT 1").num_rows:
        raise BadInput(
            "no run that is given sampled a prompt without its picture: whether one is needed is not known; "
            "`hone prompts profile --blind` makes a run to give beside this one"
        )
    moved = "SELECT 1 FROM turnover WHERE run = ? AND move <> 'first' LIMIT 1"
    if rule.moves and not store.query(moved, [run]).num_rows:
        raise BadInput(f"no prompt of run {run} was tried by two policies: there are no moves to choose by")


def _references(store: PromptStore, table: str) -> dict[str, Counter[str]]:
    """By question type how often each reference stands in a table."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in store.query(_REFERENCES.format(table=table)).to_pylist():
        found[row["question_type"]][row["reference"]] = row["num"]
    return found


def _types(store: PromptStore) -> dict[str, int]:
    """By question type of the split how many of its prompts meet the rule."""
    rows = store.query(
        "SELECT question_type, count(*) FILTER (why IS NULL) AS num FROM weighed GROUP BY 1 ORDER BY 1"
    ).to_pylist()
    return {row["question_type"]: row["num"] for row in rows}


def _unreadable(store: PromptStore) -> tuple[str, ...]:
    """A warning where most answers without the picture were wrong by their form, whatever they say."""
    (row,) = store.query(
        "SELECT count(*) AS num, count(*) FILTER (answer_status <> 'ok') AS bad, "
        "mode(answer_status) FILTER (answer_status <> 'ok') AS status FROM rollouts WHERE blind"
    ).to_pylist()
    if row["bad"] <= MAX_UNREADABLE * row["num"]:
        return ()
    warning = (
        f"{row['bad']:,} of {row['num']:,} answers without the picture have no readable form (mostly "
        f"{row['status']}) and are wrong by that alone: they do not say whether the picture is needed"
    )
    return (warning,)
