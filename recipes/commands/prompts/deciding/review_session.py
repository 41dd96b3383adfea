"""Somebody at the terminal who decides about prompts, a key each."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import typer
from rich.console import Console

from recipes.commands.output.key_input import read_key, read_line
from recipes.commands.prompts.deciding.fix import append_correction
from recipes.commands.prompts.deciding.fix import said as judged_so
from recipes.commands.prompts.deciding.mark import said
from recipes.commands.prompts.opened_store import row_of
from sampler.data.prompt_dataset import prompts_by_id
from sampler.prompt import Prompt
from sampler.store.decisions.correction import correction_warning, reference_typed
from sampler.store.decisions.curation_events import Action, CurationEvent
from sampler.store.decisions.curation_table import as_judged
from sampler.store.decisions.event_log import EventLog
from sampler.store.prompt_store import PromptStore
from verifiers.counted import counted
from verifiers.errors import BadInput
from verifiers.verifier import shown

KEYS = "a accept   r reject   t tag   c correct the reference   o open pictures   n next   u undo   q quit"
_ANSWERS = """
    SELECT coalesce(verdict_extracted, answer, answer_status) AS said, worth, count(*) AS num
    FROM answers WHERE NOT blind GROUP BY ALL ORDER BY num DESC, said LIMIT 6
"""


@dataclass
class ReviewSession:
    """Somebody at work, and where decisions go. ``sampled`` is the run whose answers are shown: itself, or for a set
    one beside it."""

    console: Console
    store: PromptStore
    run: str
    sampled: str
    split: str
    log: EventLog
    author: str
    decided: list[tuple[int, CurationEvent]] = field(default_factory=list)

    def go_through(self, waiting: pa.Table) -> None:
        """One row after the other, and back to what is undone."""
        place, is_shown = 0, False
        while place < waiting.num_rows:
            (row,) = waiting.slice(place, 1).to_pylist()
            prompt_id = row["prompt_id"]
            if not is_shown:
                self.console.rule(f"{place + 1:,} of {waiting.num_rows:,}")
                self._show(row)
            self.console.print(KEYS)
            is_shown = True
            try:
                step = self._take(read_key(), place, prompt_id)
            except BadInput as why:
                self.console.print(f"! {why}")
                continue
            if step is None:
                return
            place, is_shown = place + step, step == 0

    def _take(self, key: str, place: int, prompt_id: str) -> int | None:
        """What a key asks for, done; how many prompts to go on by, none where all is to end. Raises: BadInput."""
        match key:
            case "a":
                self._append(place, prompt_id, "accept")
                return 1
            case "r":
                self._append(place, prompt_id, "reject", reason=read_line("reason, or enter for none"))
                return 1
            case "t":
                self._append(place, prompt_id, "tag", read_line("tag"))
            case "c":
                self._correct(place, prompt_id)
                return 1
            case "u":
                return self._undo() - place
            case "o":
                self._open_pictures(prompt_id)
            case "n" | " ":
                return 1
            case "q" | "":
                return None
            case _:
                raise BadInput(f"{key!r} is no key of these")
        return 0

    def _append(
        self, place: int, prompt_id: str, action: Action, value: str | None = None, reason: str = ""
    ) -> None:
        event = self.log.append(prompt_id, action, value, author=self.author, reason=reason)
        self.decided.append((place, event))

    def _correct(self, place: int, prompt_id: str) -> None:
        """Raises: BadInput for what its verifier refuses; the prompt is then asked about again."""
        now = self._now(prompt_id)
        as_json = not isinstance(now.reference, str)
        text = read_line(f"right reference{', as JSON, or its answer alone' if as_json else ''}")
        reference = reference_typed(now.reference, text) if text.strip() else None
        if reference is None:
            raise BadInput("the reference is empty")
        corrected = replace(now, reference=reference)
        event = append_correction(self.log, now, corrected, self.author)
        self.decided.append((place, event))
        if warning := correction_warning(now, corrected):
            self.console.print(f"! {warning}; u takes it back")

    def _undo(self) -> int:
        """Take back the newest decision of this session; where its prompt stands. Raises: BadInput."""
        if not self.decided:
            raise BadInput(
                "nothing was decided yet; `hone prompts mark ID RUN --undo` takes back what was before"
            )
        place, event = self.decided.pop()
        self.log.append(event.prompt_id, "undo", event.event_id, author=self.author)
        self.console.print(f"undone: {said(event)}")
        return place

    def _now(self, prompt_id: str) -> Prompt:
        """As all decisions so far leave it, those of this session too."""
        curation = self.store.decisions[self.run].with_events(event for _, event in self.decided)
        return curation.of_prompt(prompt_id).applied(as_judged(row_of(self.store, prompt_id)))

    def _show(self, row: dict[str, Any]) -> None:
        asked, now = row_of(self.store, row["prompt_id"]), self._now(row["prompt_id"])
        self.console.print(f"{row['prompt_id']}: {asked['question']}", highlight=False)
        pictures = "".join(
            f", {counted(asked[f'num_{noun}s'], noun)}"
            for noun in ("picture", "film")
            if asked[f"num_{noun}s"]
        )
        self.console.print(f"reference {judged_so(now)}, tags {list(now.tags)}{pictures}", highlight=False)
        if row["mean"] is not None:
            interval = f"{row['mean']:.0%} ({row['low']:.0%} to {row['high']:.0%})"
            self.console.print(f"{row['standing']}: pass rate {interval} of {row['n']:,}", highlight=False)
        if row["num_agree"]:
            agree = f"{row['num_agree']:,} of {row['num_answers']:,} answers say {row['answer']!r}"
            self.console.print(f"! {agree}", highlight=False)
        answers = self.store.answers_of(self.sampled, row["prompt_id"])
        for one in self.store.query_with(_ANSWERS, (), answers=answers).to_pylist():
            verdict = "not judged" if one["worth"] is None else f"{one['worth']:g}"
            self.console.print(f"  {one['num']:5,} x {_short(one['said'])}  ({verdict})", highlight=False)

    def _open_pictures(self, prompt_id: str) -> None:
        prompts = prompts_by_id(self.store.parts[self.run].prompt_sets[self.split], [prompt_id])
        folder = Path(tempfile.mkdtemp(prefix="hone-review-"))
        for index, image in enumerate(prompts[prompt_id].pil_images()):
            file = folder / f"{index}.png"
            image.save(file)
            self.console.print(f"{file}", soft_wrap=True)
            if has_display():
                typer.launch(str(file))


def has_display() -> bool:
    """Whether there is a screen to open a picture on. Without one `xdg-open` tries terminal browsers one by one."""
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _short(text: str | None) -> str:
    return shown(" ".join((text or "").split()), 70)
