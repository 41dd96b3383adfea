"""`hone prompts duplicates`: what it says and writes, and a page that hostile rows cannot leave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes.cli import main
from sampler.data.prompt_dataset import load_prompts, save_prompts
from sampler.store.decisions.event_log import EventLog
from tests.unit.sampler.duplicates.test_look_alikes import changed, photo, stored
from tests.unit.sampler.duplicates.test_pairs import LONG, QUESTION, ask

SCRIPT = "</title><script>alert(1)</script>"
PHOTO, PIXEL, OTHER, FOURTH = stored(photo(1)), stored(changed(photo(1))), stored(photo(2)), stored(photo(3))


@pytest.fixture
def sets(tmp_path: Path) -> tuple[str, str]:
    train = [
        ask(f"{QUESTION}{SCRIPT}", PHOTO), ask(f"{QUESTION}{SCRIPT} ", PHOTO), ask(f"{QUESTION}{SCRIPT}", PIXEL),
        ask("Is it dark?", OTHER), ask("Is it late?", OTHER), ask(LONG.format(40)), ask("Is it?", FOURTH),
    ]  # fmt: skip
    heldout = [ask("IS IT DARK?", OTHER), ask("Thus: " + LONG.format(40)), ask("Or is it not?", FOURTH)]
    return (
        str(save_prompts(tmp_path / "train.parquet", train)),
        str(save_prompts(tmp_path / "heldout.parquet", heldout)),
    )


def test_pairs_are_told_shown_and_left_out(
    sets: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, heldout = sets
    report, out = tmp_path / "pairs.html", tmp_path / "clean.parquet"
    assert (
        main(
            ["prompts", "duplicates", train, "--against", heldout, "--report", str(report), "--out", str(out)]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "duplicates within, exact: 1 (" in said and "duplicates within, near: 1 (" in said
    for kind, count in {"exact": 1, "12-gram": 1, "picture": 2}.items():
        assert f"held out in {heldout}, {kind}: {count} (" in said
    page = report.read_text()
    assert page.count("data:image/png") >= 6 and "http" not in page.replace("http-equiv", "")
    assert SCRIPT not in page and "&lt;script&gt;alert(1)" in page
    # The first of each pair of duplicates stays, of a leak the held-out one; a picture alone leaves nothing out.
    assert (page.count("left out by --out"), page.count("· stays")) == (4, 8)
    kept = load_prompts(out)
    assert [one.text for one in kept] == [f"{QUESTION}{SCRIPT}", "Is it late?", "Is it?"]
    assert all(image.read() for one in kept for image in one.images)
    made = json.loads(out.with_suffix(".duplicates.json").read_text())
    stays, held_out = kept[0].prompt_id, [one.prompt_id for one in load_prompts(heldout)]
    assert made["num_kept"] == 3 and sorted(made["left_out"].values()) == [
        f"duplicate of {stays}",
        f"duplicate of {stays}",
        f"held out in {heldout} (12-gram) as {held_out[1]}",
        f"held out in {heldout} (exact) as {held_out[0]}",
    ]


def test_pictures_that_are_held_out_go_too_where_asked(sets: tuple[str, str], tmp_path: Path) -> None:
    train, heldout = sets
    out = tmp_path / "clean.parquet"
    assert (
        main(["prompts", "duplicates", train, "--against", heldout, "--out", str(out), "--same-picture"]) == 0
    )
    assert [one.text for one in load_prompts(out)] == [f"{QUESTION}{SCRIPT}"]


def test_what_people_decided_is_obeyed(tmp_path: Path) -> None:
    """A rejected prompt is no first of its copies, and a corrected one is compared as corrected."""
    wrong, right, copy, kept = (ask("Which one?", PHOTO, reference=said) for said in ("7", "3", "4", "5"))
    rejected, other = ask("Is it dark?", OTHER), ask("IS IT DARK?", OTHER)
    path = save_prompts(tmp_path / "set.parquet", [wrong, right, copy, kept, rejected, other])
    log = EventLog.beside(path)
    log.append(copy.prompt_id, "correct", "3", author="me")
    log.append(kept.prompt_id, "correct", "6", author="me")
    log.append(rejected.prompt_id, "reject", author="me")
    out = tmp_path / "clean.parquet"
    assert main(["prompts", "duplicates", str(path), "--out", str(out)]) == 0
    assert [(one.prompt_id, one.reference) for one in load_prompts(out)] == [
        (wrong.prompt_id, "7"), (right.prompt_id, "3"), (kept.prompt_id, "6"), (other.prompt_id, "3"),
    ]  # fmt: skip
    assert json.loads(out.with_suffix(".duplicates.json").read_text())["left_out"] == {
        rejected.prompt_id: "rejected", copy.prompt_id: f"duplicate of {right.prompt_id}"
    }  # fmt: skip


def test_a_set_without_any(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_prompts(tmp_path / "set.parquet", [ask("Is it dark?", OTHER)])
    assert main(["prompts", "duplicates", str(path), "--report", str(tmp_path / "pairs.html")]) == 0
    assert "duplicates within: none" in capsys.readouterr().out
    assert "No pair was found" in (tmp_path / "pairs.html").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--out", "x.json"], "--out is a .parquet file"), (["--against", "none.parquet"], "no such file")],
)
def test_slips(
    sets: tuple[str, str], options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prompts", "duplicates", sets[0], *options]) == 2
    assert message in capsys.readouterr().err
