"""Two policies on the same prompts: which verdicts flipped, both ways, and whether that is more than noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean

from recipes.report.in_force import part_of_stages
from rl.experience.exams.exam import Exam, PromptResult, exam_change
from rl.experience.exams.interval import LEVEL, paired_change
from rl.run.results.evaluation_result import ExamChange
from rl.run.results.stage_result import Interval
from rl.run.run_record import RunRecord
from sampler.store.prompt_store import PromptStore, StorePart
from verifiers.errors import BadInput

_RATES = """
    SELECT prompt_id, any_value(question_type) AS question_type, bool_and(verifier IS NOT NULL) AS verified,
           avg(worth) AS rate
    FROM {answers} WHERE worth IS NOT NULL AND NOT blind GROUP BY prompt_id
"""
SOLVED = 0.5  # of a prompt's judged samples that are right: from here on it counts as right


@dataclass(frozen=True)
class Side:
    """One stage's rollouts of a run: those of one policy, where it is an evaluation."""

    run: Path
    stage: str
    label: str
    pass_score: float

    @property
    def shards(self) -> list[Path]:
        return sorted((self.run / "rollouts" / self.stage).glob("*.parquet"))

    @property
    def part(self) -> StorePart:
        """Its run's share of a store, of the stage's rollouts alone."""
        return part_of_stages(self.run, [self.stage])

    @classmethod
    def of(cls, run: RunRecord, stage: str) -> Side:
        """Raises: BadInput where the stage has not sampled."""
        from recipes.report.evaluation import evaluation_label

        labels = {str(one["stage"]): evaluation_label(one) for one in run.evaluations}
        side = cls(run.path, stage, labels.get(stage, stage), run.pass_score)
        sampled = sorted(folder.name for folder in (run.path / "rollouts").glob("*") if folder.is_dir())
        if stage not in sampled or not side.shards:
            raise BadInput(
                f"{run.path} has no rollouts of a stage {stage!r}: choose of {', '.join(sampled) or 'none'}"
            )
        return side


@dataclass(frozen=True)
class Flip:
    """A prompt whose verdict changed: the share of right samples before and after."""

    prompt_id: str
    question_type: str
    before: float
    after: float


@dataclass(frozen=True)
class TypeRow:
    """What became of the prompts of one question type, or of all."""

    name: str
    num: int
    before: float
    after: float
    num_gained: int
    num_lost: int
    change: Interval | None

    @property
    def direction(self) -> str:
        """`rose` or `fell` where the interval leaves no change out."""
        if self.change is None:
            return ""
        return "rose" if self.change.low > 0 else "fell" if self.change.high < 0 else ""


@dataclass(frozen=True)
class Flips:
    """``gained`` were wrong and are right, ``lost`` the other way, farthest first; right is from ``SOLVED`` on. All by
    the verdicts in force: ``num_otherwise`` prompts come out otherwise than by the log's, and ``num_waiting`` were
    corrected and have on a side no verdict since."""

    before: Side
    after: Side
    rows: tuple[TypeRow, ...]
    gained: tuple[Flip, ...]
    lost: tuple[Flip, ...]
    num_stayed_right: int
    num_stayed_wrong: int
    num_unpaired: int
    num_otherwise: int = 0
    num_waiting: int = 0

    @cached_property
    def p_value(self) -> float:
        """Exact McNemar test, two-sided: were the flips a coin, how often would they be as lopsided?"""
        from scipy.stats import binomtest

        num = len(self.gained) + len(self.lost)
        return float(binomtest(len(self.gained), num).pvalue) if num else 1.0

    def of_way(self, way: str, question_type: str = "") -> tuple[Flip, ...]:
        """`gained` or `lost`, of one question type or of all."""
        flips = self.gained if way == "gained" else self.lost
        return tuple(flip for flip in flips if question_type in ("", flip.question_type))


def flips_between(before: Side, after: Side) -> Flips:
    """Over the prompts that both were judged on; sides of two runs are called by their runs too. Raises: BadInput where
    there is none."""
    if before.run != after.run:
        before, after = (
            replace(side, label=f"{side.run.resolve().name}, {side.label}") for side in (before, after)
        )
    sides = [_exams(side) for side in (before, after)]
    exams, logged = ([side[which] for side in sides] for which in (0, 1))
    both = [name for name in exams[0] if name in exams[1]]
    if not both:
        raise BadInput(f"{before.label} and {after.label} have no judged prompt in common{_why(logged)}")
    flips = [
        Flip(name, exams[1][name].question_type, *(exam[name].rate for exam in exams))
        for name in sorted(both)
    ]
    gained = [flip for flip in flips if flip.before < SOLVED <= flip.after]
    lost = [flip for flip in flips if flip.after < SOLVED <= flip.before]
    return Flips(
        before,
        after,
        _rows(exams[0], exams[1], flips, exam_change(*exams)),
        tuple(sorted(gained, key=lambda flip: flip.before - flip.after)),
        tuple(sorted(lost, key=lambda flip: flip.after - flip.before)),
        sum(min(flip.before, flip.after) >= SOLVED for flip in flips),
        sum(max(flip.before, flip.after) < SOLVED for flip in flips),
        len(exams[0].keys() ^ exams[1].keys()),
        sum(_verdicts(name, exams) != _verdicts(name, logged) for name in both),
        len({name for exam, of_log in sides for name in of_log.keys() - exam.keys()}),
    )


def _why(logged: Sequence[Exam]) -> str:
    if not set(logged[0]) & set(logged[1]):
        return ""
    return ": references were corrected since, and `hone prompts rejudge` judges the answers by the new ones"


def _verdicts(prompt_id: str, exams: Sequence[Exam]) -> list[bool | None]:
    """Whether the prompt was right before and after; none where nothing was judged."""
    return [exam[prompt_id].rate >= SOLVED if prompt_id in exam else None for exam in exams]


def _exams(side: Side) -> tuple[Exam, Exam]:
    """By the verdicts that count, and by the log's."""

    def exam(store: PromptStore, answers: str) -> Exam:
        rows = store.query(_RATES.format(answers=answers)).to_pylist()
        return {
            row["prompt_id"]: PromptResult(row["question_type"], row["verified"], row["rate"]) for row in rows
        }

    with PromptStore([side.part]) as store:
        return exam(store, "answers_in_force"), exam(store, "rollouts")


def _rows(before: Exam, after: Exam, flips: Sequence[Flip], change: ExamChange) -> tuple[TypeRow, ...]:
    """All, then each question type, whose intervals hold together (Bonferroni)."""
    whole = paired_change(*({flip.prompt_id: exam[flip.prompt_id].rate for flip in flips} for exam in (before, after)),
                          level=LEVEL)  # fmt: skip
    changes: Mapping[str, Interval | None] = {"all": whole, **change.by_type}
    types = sorted({flip.question_type for flip in flips})
    groups = {"all": list(flips)}
    if len(types) > 1:
        groups |= {name: [flip for flip in flips if flip.question_type == name] for name in types}
    return tuple(
        TypeRow(
            name, len(group), fmean(flip.before for flip in group), fmean(flip.after for flip in group),
            sum(flip.before < SOLVED <= flip.after for flip in group),
            sum(flip.after < SOLVED <= flip.before for flip in group), changes.get(name),
        )
        for name, group in groups.items()
    )  # fmt: skip
