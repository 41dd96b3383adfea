"""Where a command may write: nothing that is there for another reason is replaced."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sampler.atomic_file import require_writable
from verifiers.errors import BadInput

OF_A_RUN = {
    "stages", "rollouts", "rejudged", "logs", "tensorboard", "store", "policy", "reward-model", "model",
    "recipe.yaml", "metrics.jsonl", "summary.json", "report.json", "curation.jsonl", "progress.json", ".lock",
}  # fmt: skip


def require_out(
    out: Path | None, suffix: str = "", *, option: str = "--out", inputs: Iterable[Path] = ()
) -> None:
    """Before the work begins. Raises: BadInput for another suffix than the one that is written, for a file that is read
    and for one that a run keeps; OSError where it cannot be written. Nothing to ask where there is no ``out``."""
    if out is None:
        return
    if suffix and out.suffix != suffix:
        raise BadInput(f"{option} is {'an' if suffix == '.svg' else 'a'} {suffix} file, got {out.name}")
    place = out.resolve()
    if any(place == one.resolve() or (place.exists() and one.resolve() in place.parents) for one in inputs):
        raise BadInput(f"{option} {out} is what is read: give another file")
    for folder in place.parents:
        is_run = (folder / "recipe.yaml").is_file() and (folder / "stages").is_dir()
        if is_run and place.relative_to(folder).parts[0] in OF_A_RUN:
            raise BadInput(f"{option} {out} is of the run {folder.name}, which keeps it: give another file")
    require_writable(out)


def require_new_folder(out: Path) -> None:
    """Raises: BadInput for a folder that holds anything."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} is there already: name another folder, or empty it")
