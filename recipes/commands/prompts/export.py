"""`hone prompts export`: prompts as a folder that `datasets` loads, with a card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recipes.commands.prompts.opened_store import HalfLife, RunOrSet, opened

if TYPE_CHECKING:
    from sampler.store.prompt_store import PromptStore

# One row a prompt for a filter, in the order of the set: a join gives rows in any, so they are numbered before it.
_FILTERED = """
    SELECT prompt_id FROM (
        SELECT asked.*, mean, low, high, n, standing, accepted
        FROM (SELECT *, row_number() OVER () AS place FROM prompts WHERE run = $run AND split = $split) AS asked
        LEFT JOIN beliefs USING (prompt_id)
        LEFT JOIN (SELECT * FROM curation WHERE run = $run) AS curation USING (prompt_id)
        WHERE accepted IS NOT FALSE
    ) WHERE {where} ORDER BY place
"""


def export(
    run_or_set: RunOrSet,
    out: Annotated[Path, typer.Option(help="The folder to write; it must not hold anything else.")],
    split: Annotated[str, typer.Option(help="Of a run: train or heldout.")] = "train",
    where: Annotated[
        str,
        typer.Option(help='SQL over the prompts\' columns and mean, low, high, n, standing: "mean < 0.5".'),
    ] = "true",
    name: Annotated[str | None, typer.Option(help="The set's name in its card.")] = None,
    half_life: HalfLife = 32.0,
) -> None:
    """Write prompts as `datasets` Parquet with a card: columns, counts, where they come from, by which rule they were
    chosen. Rejected prompts are left out, corrected ones written as corrected; of a run, with believed pass rates."""
    from recipes.commands.output.console import plain_console
    from recipes.commands.output.out_file import require_new_folder
    from sampler.data.dataset_export import DatasetExport
    from verifiers.counted import counted
    from verifiers.errors import BadInput

    require_new_folder(out)
    with opened(run_or_set) as (store, run):
        part = store.parts[run]
        if split not in part.prompt_sets:
            raise BadInput(
                f"{run} has no prompts of split {split!r} (there is {', '.join(part.prompt_sets) or 'none'})"
            )
        beliefs = _beliefs(store, run, half_life)
        sql = _FILTERED.format(where=f"({where})")
        chosen = store.query_with(sql, {"run": run, "split": split}, beliefs=beliefs)["prompt_id"].to_pylist()
        if not chosen:
            raise BadInput(f"no prompt is left of {run}, split {split!r}, where {where}")
        prompts = _prompts(store, run, split, chosen)
        known = {row["prompt_id"]: _belief_columns(row) for row in beliefs.to_pylist()}
        events = store.decisions[run].events
    provenance = _provenance(run_or_set, part.prompt_sets[split], where, len(events))
    files = DatasetExport(
        name or run, prompts, split, known if part.rollout_files else None, provenance
    ).write(out)
    console = plain_console()
    console.print(f"{counted(len(prompts), 'prompt')} in {counted(len(files) - 1, 'Parquet file')} in {out}")
    console.print(f"its card is {files[-1]}: say the licence there")


def _beliefs(store: PromptStore, run: str, half_life: float) -> Any:
    from sampler.store.belief import believed

    return believed(store, run, half_life=half_life).select(
        ["prompt_id", "n", "mean", "low", "high", "standing"]
    )


def _belief_columns(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "pass_rate": row["mean"], "pass_rate_low": row["low"], "pass_rate_high": row["high"], "num_samples": row["n"]
    }  # fmt: skip


def _prompts(store: PromptStore, run: str, split: str, chosen: list[str]) -> list[Any]:
    from sampler.data.prompt_dataset import prompts_by_id

    by_id = prompts_by_id(store.parts[run].prompt_sets[split], chosen)
    return [store.decisions[run].of_prompt(one).applied(by_id[one]) for one in chosen]


def _provenance(run_or_set: Path, location: str, where: str, num_events: int) -> dict[str, str]:
    """What the card says of it; of a selection also its rule."""
    import json
    from datetime import UTC, datetime

    from rl.run.provenance import code_version, content_hash
    from sampler.rows.dataset_rows import SELECTED

    said = {
        "made": f"{datetime.now(UTC).date()}, by hone prompts export at {code_version()}",
        "from": run_or_set.absolute().name,
        "prompt set": Path(location).name,
    }
    if Path(location).is_file():
        said["its SHA-256"] = content_hash(Path(location))
    if where != "true":
        said["filter"] = where
    if num_events:
        said["decisions of people"] = f"{num_events:,} curation events, obeyed"
    rule = Path(location).with_suffix(SELECTED)
    if rule.is_file():
        chosen = json.loads(rule.read_text(encoding="utf-8"))
        said["selected from"] = str(chosen.get("run"))
        said["by the rule"] = json.dumps(chosen.get("rule"), ensure_ascii=False)
        said["seed"] = str(chosen.get("seed"))
    return said
