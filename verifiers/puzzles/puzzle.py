"""`puzzle`: an answer is right when it solves the instance, whichever solution it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference, near_name
from verifiers.puzzles.answer_text import solution_text
from verifiers.puzzles.arithmetic import Countdown, GameOf24, Sorting
from verifiers.puzzles.graph import GraphColouring, GraphPath, StringPuzzle
from verifiers.puzzles.grid import Maze, NQueens, Sudoku
from verifiers.puzzles.protocol import Puzzle
from verifiers.reading.final_line import MAX_ANSWER_CHARS
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, NoOptions, Verifier, shown

PUZZLES: dict[str, type[Puzzle]] = {
    puzzle.name: puzzle
    for puzzle in (
        Sudoku,
        Maze,
        NQueens,
        Countdown,
        GameOf24,
        Sorting,
        GraphPath,
        GraphColouring,
        StringPuzzle,
    )
}


class PuzzleVerifier(Verifier[Puzzle, str]):
    """Score 1 when the stated answer (`solution_text`) is a valid solution.

    Reference: a mapping (or its JSON text) with `type` and the instance; see `verifiers/puzzles/` for each type's keys.
    """

    kind = "puzzle"
    summary = "puzzles checked for validity: " + ", ".join(PUZZLES)
    Config = NoOptions
    max_answer_chars = MAX_ANSWER_CHARS
    example = Example(
        {"type": "game_of_24", "numbers": [4, 7, 8, 8], "solution": "(7 - 8/8) * 4"}, r"\boxed{4*(7-8/8)}"
    )

    def prepare(self, reference: Any) -> Puzzle:
        """The puzzle of the reference's ``type``. Raises: BadReference for an unknown type and a malformed
        instance."""
        if isinstance(reference, str):
            try:
                reference = json.loads(reference)
            except (ValueError, RecursionError):
                raise BadReference(
                    "a reference of 'puzzle' is a mapping, got text that is not JSON"
                ) from None
        if not isinstance(reference, Mapping) or not isinstance(reference.get("type"), str):
            raise BadReference("a reference of 'puzzle' is a mapping with a key 'type'")
        name = reference["type"]
        if name not in PUZZLES:
            raise BadReference(
                f"unknown puzzle type {name!r}{near_name(name, PUZZLES)} (known: {', '.join(PUZZLES)})"
            )
        return PUZZLES[name](reference)

    def extract(self, answer: FinalAnswer) -> str | NoAnswer:
        stated = solution_text(answer.text)
        return stated or NoAnswer.empty()

    def compare(self, prepared: Puzzle, extracted: str) -> Verdict:
        problem = prepared.check(extracted)
        return Verdict.scored(
            float(problem is None),
            "valid" if problem is None else "invalid",
            shown(problem or f"a valid {prepared.name} solution"),
            extracted=shown(extracted),
            tier="structure",
        )

    def reference_answers(self, reference: Any) -> list[str]:
        solution = self.prepare(reference).solution()
        return [] if solution is None else [solution, f"\\boxed{{{solution}}}"]
