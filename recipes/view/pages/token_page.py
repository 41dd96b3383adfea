"""One rollout token by token: how far trainer and sampler are apart, how sure the policy was, what each was worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from recipes.report.attempt import Attempt, ShownText
from recipes.report.drawing.curve import short_number
from recipes.report.rollout_table import RolloutTable, attempt_columns
from recipes.view.opened import Snapshot
from recipes.view.pages.as_seen import model_directory
from recipes.view.place import Place

MAX_TOKENS = 4000
MAX_CHARS = 200_000
# Columns of the log that hold a number a token, with what each is called and the size that is drawn at full strength.
COLUMNS: Mapping[str, tuple[str, float]] = {
    "difference": ("trainer − sampler, nats", 0.5),
    "entropies": ("entropy, nats", 3.0),
    "advantages": ("advantage", 2.0),
    "sample_logprobs": ("sampler's log-probability", 5.0),
    "trainer_logprobs": ("trainer's log-probability", 5.0),
}


@dataclass(frozen=True)
class Token:
    """Its text, and by column its number; none where the log has none."""

    text: str
    values: Mapping[str, float | None]

    @property
    def words(self) -> str:
        """Every number, for the pointer."""
        known = ((COLUMNS[name][0], value) for name, value in self.values.items() if value is not None)
        return "; ".join(f"{name} {value:.4g}" for name, value in known)

    def strength(self, name: str) -> float:
        """From -1 to 1, by which it is coloured."""
        value = self.values.get(name)
        return 0.0 if value is None else max(-1.0, min(1.0, value / COLUMNS[name][1]))


@dataclass(frozen=True)
class TokenPage:
    """``columns`` are those that the log has, by what they are called; ``note`` says what is missing or is a guess."""

    attempt: Attempt
    tokens: list[Token]
    columns: Mapping[str, str]
    note: str
    num_cut: int


def token_page(
    snapshot: Snapshot, place: Place, prompt_id: str, rollout_id: str, files: Sequence[Path] | None = None
) -> TokenPage | None:
    """None where there is no such rollout; ``files`` of the log alone are looked at, where they are given."""
    if place.run is None:
        return None
    with RolloutTable(place.path, place.part.pass_score, files) as log:
        sql = f"SELECT {attempt_columns(MAX_CHARS)} FROM rollouts WHERE prompt_id = ? AND rollout_id = ? LIMIT 1"
        rows = log.query(sql, [prompt_id, rollout_id])
    if not rows:
        return None
    row = rows[0]
    numbers = _numbers(row)
    length = max((len(values) for values in numbers.values()), default=0)
    texts, note = _texts(place, row, length)
    tokens = [
        Token(ShownText.of(text).text, {name: _at(values, at) for name, values in numbers.items()})
        for at, text in enumerate(texts[:MAX_TOKENS])
    ]
    if not numbers:
        note = "The log keeps no numbers for the tokens of this rollout: rl.log_tokens keeps them."
    columns = {name: f"{COLUMNS[name][0]}: {_range(values)}" for name, values in numbers.items()}
    (attempt,) = snapshot.in_force(place.name, {prompt_id: [Attempt.from_row(row)]})[prompt_id]
    return TokenPage(attempt, tokens, columns, note, max(0, len(texts) - MAX_TOKENS))


def _range(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{short_number(min(known))} to {short_number(max(known))}" if known else "none"


def _numbers(row: Mapping[str, Any]) -> dict[str, Sequence[float | None]]:
    found: dict[str, Sequence[float | None]] = {
        name: [_finite(value) for value in row[name]]
        for name in COLUMNS
        if isinstance(row.get(name), (list, tuple)) and row[name]
    }
    ours, theirs = found.get("trainer_logprobs"), found.get("sample_logprobs")
    if ours and theirs:
        apart = [None if a is None or b is None else a - b for a, b in zip(ours, theirs, strict=False)]
        return {"difference": apart, **found}
    return found


def _texts(place: Place, row: Mapping[str, Any], length: int) -> tuple[list[str], str]:
    """The tokens' texts: by the ids where the log has them, else by cutting the response anew."""
    model = model_directory(place)
    response = str(row.get("response") or "")
    if model is None or not (model / "tokenizer.json").is_file():
        numbered = [f"[{at}]" for at in range(length)]
        return numbered or [response], "No tokenizer is in the run directory: tokens are numbered."
    tokenizer = _tokenizer(model, (model / "tokenizer.json").stat().st_mtime_ns)
    ids = row.get("response_token_ids")
    if ids:
        return [tokenizer.decode([int(one)], skip_special_tokens=False) for one in ids], ""
    offsets = tokenizer.encode(response, add_special_tokens=False).offsets
    texts = [response[start:end] for start, end in offsets]
    if length == len(texts) + 1:
        return [
            *texts,
            "⏎",
        ], "The log keeps no token ids: the response was cut anew, and an end of turn added."
    if length and length != len(texts):
        numbered = [f"[{at}]" for at in range(length)]
        return numbered, "The response does not cut into as many tokens as there are numbers."
    return texts, "The log keeps no token ids: the response was cut anew."


@lru_cache(maxsize=2)
def _tokenizer(model: Path, _time: int) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(model / "tokenizer.json"))


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _at(values: Sequence[float | None], at: int) -> float | None:
    return values[at] if at < len(values) else None
