"""What people decided, as the table, its filters, its export and an undo have it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recipes.cli import main
from recipes.view.decisions import corrected
from recipes.view.export import num_rejected, write_prompt_set
from recipes.view.opened import Opened, Snapshot
from recipes.view.pages.prompt_table import CHOICES, DECIDED_CHOICES, choices
from recipes.view.prompt_filter import PromptFilter
from sampler.data.prompt_dataset import load_prompts, save_prompts
from sampler.prompt import Prompt
from sampler.store.decisions.event_log import EventLog
from verifiers.errors import BadInput

NumFound = Callable[[str], int]


def ids(page: str) -> list[str]:
    return re.findall(r'<tr tabindex="0" data-row data-run="\w+" data-id="(\w+)"', page)


def choices_of(page: str, field: str) -> list[str]:
    """What a filter offers."""
    (select,) = re.findall(rf'<select name="{field}">(.*?)</select>', page, re.DOTALL)
    return re.findall(r'<option value="([^"]+)"', select)


def asked(number: int, tags: tuple[str, ...] = ("sum", "all"), **fields: Any) -> Prompt:
    message = {"role": "user", "content": [{"type": "text", "text": f"How many are {'abcdef'[number]}?"}]}
    given = {"verifier": "math", "reference": str(number + 1)} | fields
    return Prompt.build(messages=[message], tags=tags, **given)


@pytest.fixture
def prompt_set(tmp_path: Path) -> Path:
    return save_prompts(tmp_path / "hard.parquet", [asked(number) for number in range(6)])


def test_the_samples_of_one_policy_count_whole(run_maker: Any, browse: Any) -> None:
    """However many policies came after it: the table says what the prompt's page says."""
    for version in (0, 6, 300):
        run_maker.version = version
        run_maker.evaluate(0, "sft", 0.6)
    with browse(run_maker.run) as browser:
        for version in (0, 6):
            table = browser.show("/prompts", run="digits", policy=version, min_n=1, sort="id")
            counts = re.findall(r"<td>([\d.]+) of (\d+)</td>", table)
            assert len(counts) == 8 and {num for _, num in counts} == {"4"}
            for prompt_id, (right, num) in zip(ids(table), counts, strict=True):
                page = browser.show("/prompt", of="digits", id=prompt_id, version=version)
                assert f"<td>{version}</td><td>{right} of {num}</td>" in page


def test_a_prompt_set_is_exported_without_what_was_rejected(
    prompt_set: Path, browse: Any, tmp_path: Path
) -> None:
    first, second, *_ = [prompt.prompt_id for prompt in load_prompts(prompt_set)]
    every = {prompt.prompt_id for prompt in load_prompts(prompt_set)}

    def exported(browser: Any, **query: str) -> set[str]:
        path = tmp_path / "got.parquet"
        path.write_bytes(browser.bytes("/export?" + urlencode({"as": "parquet"} | query)))
        return {prompt.prompt_id for prompt in load_prompts(path)}

    with browse(prompt_set) as browser:
        assert "rejected)" not in browser.show("/prompts")
        browser.decide("reject", first)
        browser.decide("accept", second)
        assert "(without 1 rejected)" in browser.show("/prompts")
        assert exported(browser) == every - {first}
        assert "rejected)" not in browser.show("/prompts", decision="rejected")
        assert exported(browser, decision="rejected") == {first}
        assert len(browser.show("/export").split()) == len(every)
        status, page, _ = browser.ask(f"/export?as=parquet&q={first}")
        assert status == 400 and "no prompt that is not rejected" in page


def test_what_one_place_rejected_is_exported_from_no_other(prompt_set: Path, tmp_path: Path) -> None:
    prompts = load_prompts(prompt_set)
    other = save_prompts(tmp_path / "other.parquet", prompts[:2])
    EventLog.beside(other).append(prompts[0].prompt_id, "reject", author="me")
    opened, everything = Opened([prompt_set, other]), PromptFilter()
    assert num_rejected(opened.snapshot(), everything) == 1
    assert write_prompt_set(tmp_path / "got.parquet", opened.snapshot(), everything) == len(prompts) - 1
    assert prompts[0].prompt_id not in {one.prompt_id for one in load_prompts(tmp_path / "got.parquet")}
    of_one = PromptFilter(run="hard", decision="rejected")
    with pytest.raises(BadInput, match="no prompt that is not rejected"):
        write_prompt_set(tmp_path / "none.parquet", opened.snapshot(), of_one)
    opened.close()


def test_prompts_of_a_set_that_is_not_known_are_not_called_rejected(
    prompt_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Opened([prompt_set])
    monkeypatch.setattr("recipes.view.export.exported_ids", lambda *_: [("hard", "heldout", "lost")])
    with pytest.raises(BadInput, match="no set that is known holds these prompts"):
        write_prompt_set(tmp_path / "got.parquet", opened.snapshot(), PromptFilter())
    opened.close()


def test_verdicts_go_by_the_verifier_in_force_in_an_open_viewer(run_maker: Any) -> None:
    """Also where the undo of an older correction changes it and the newest one stays."""
    run_maker.evaluate(0, "sft", 0.5)
    prompt = next(prompt for prompt, _ in run_maker.heldout if prompt.verifier == "math")
    fix = ["prompts", "fix", prompt.prompt_id, str(run_maker.run)]
    assert main([*fix, "--verifier", "number"]) == 0
    assert main([*fix, "--reference", "977"]) == 0
    opened, log = Opened([run_maker.run]), EventLog.beside(run_maker.run)

    def judged_by() -> tuple[str, str]:
        rows = opened.snapshot().query(
            "SELECT verifier, revision FROM curation WHERE prompt_id = ?", [prompt.prompt_id]
        )
        return rows[0]["verifier"], rows[0]["revision"]

    verifier, revision = judged_by()
    assert verifier == "number"
    log.append(prompt.prompt_id, "undo", log.events()[0].event_id, author="me")
    assert judged_by()[0] is None and judged_by()[1] != revision
    opened.close()


def test_what_was_decided_beside_a_set_is_undone_in_a_run(
    run_maker: Any, browse: Any, prompt_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By an event of the run: the set keeps its own."""
    manifest = run_maker.run / "stages" / "00-prepare" / "manifest.json"
    told = json.loads(manifest.read_text())
    told["result"]["paths"]["train"] = str(prompt_set)
    manifest.write_text(json.dumps(told))
    first, second, *_ = load_prompts(prompt_set)
    beside, own = EventLog.beside(prompt_set), EventLog.beside(run_maker.run)
    for one in (first, second):
        beside.append(one.prompt_id, "reject", author="another")
    correction = beside.append(second.prompt_id, "correct", "7", author="another", previous="2")
    with browse(run_maker.run) as browser:
        page = browser.show("/prompt", of="digits", id=first.prompt_id)
        (event_id,) = re.findall(r'name="value" value="([0-9a-f]{16})"', page)
        _, _, headers = browser.decide("undo", first.prompt_id, value=event_id, back=f"id={first.prompt_id}")
        assert headers["location"].endswith(f"&undone={event_id}")
        assert ids(browser.show("/prompts", decision="rejected")) == [second.prompt_id]
        _, _, headers = browser.decide("undo", first.prompt_id, value=event_id, back="id=x")
        assert "is+undone+already" in headers["location"] and f"undone={event_id}" in headers["location"]
    assert main(["prompts", "mark", second.prompt_id, str(run_maker.run), "--undo"]) == 0
    assert main(["prompts", "fix", second.prompt_id, str(run_maker.run), "--undo"]) == 0
    assert "its reference is '2'" in capsys.readouterr().out
    assert [event.value for event in own.events()][2] == correction.event_id
    assert beside.curated()[first.prompt_id].accepted is False
    with browse(run_maker.run) as browser:
        assert ids(browser.show("/prompts", decision="rejected")) == []


def test_a_reference_of_several_lines_is_corrected_line_by_line(browse: Any, tmp_path: Path) -> None:
    prompt = asked(1, verifier="string", reference="one\n<two>\nthree")
    path = save_prompts(tmp_path / "lines.parquet", [prompt])
    with browse(path) as browser:
        page = browser.show("/prompt", of="lines", id=prompt.prompt_id)
        form = page.split('data-action="correct"')[1].split("</form>")[0]
        assert 'rows="3"' in form and ">\none\n&lt;two&gt;\nthree</textarea>" in form
        as_sent = "one\r\n<two>\r\nthree"
        _, _, headers = browser.decide("correct", prompt.prompt_id, value=as_sent, back="id=x")
        assert "is+that+already" in headers["location"]
        browser.decide("correct", prompt.prompt_id, value=as_sent + "\r\nfour")
    (event,) = EventLog.beside(path).events()
    assert event.value == "one\n<two>\nthree\nfour"


def test_a_row_that_stands_twice_is_one_prompt(run_maker: Any, browse: Any, num_found: NumFound) -> None:
    """As for the run, which leaves out the second."""
    file = run_maker.run / "stages" / "00-prepare" / "data" / "heldout.parquet"
    table = pq.read_table(file)
    run_maker.evaluate(0, "sft", 0.5)
    pq.write_table(pa.concat_tables([table, table.slice(0, 2)]), file)
    with browse(run_maker.run) as browser:
        page = browser.show("/prompts", split="heldout", sort="id")
        assert num_found(page) == table.num_rows == len(set(ids(page)))
        twice = table["prompt_id"][0].as_py()
        after = json.dumps(["digits", "heldout", twice])
        assert browser.ask("/prompts?" + urlencode({"after": after, "policy": 0}))[0] == 200
        shown = browser.show("/prompt", of="digits", id=twice, **{"in": "heldout"})
        assert 'rel="next"' in shown or 'rel="prev"' in shown


def test_filters_obey_what_people_decided(prompt_set: Path, browse: Any) -> None:
    first, second, third, *_ = [prompt.prompt_id for prompt in load_prompts(prompt_set)]
    with browse(prompt_set) as browser:
        assert choices_of(browser.show("/prompts"), "tag") == ["all", "sum"]
        browser.decide("correct", first, value="977")
        assert ids(browser.show("/prompts", q="977")) == [first]
        assert first not in ids(browser.show("/prompts", q="1"))
        browser.decide("tag", second, value="odd")
        assert choices_of(browser.show("/prompts"), "tag") == ["all", "odd", "sum"]
        assert ids(browser.show("/prompts", tag="odd")) == [second]
        browser.decide("tag", second, value="all")  # it has that already
        assert "all (6)" in browser.show("/prompts")
        browser.decide("untag", second, value="sum")
        assert choices_of(browser.show("/prompts"), "type") == ["all", "sum"]
        assert ids(browser.show("/prompts", type="all")) == [second]
        assert second not in ids(browser.show("/prompts", type="sum"))
        assert second not in ids(browser.show("/prompts", tag="sum"))
        assert re.search(r"<h1>all <code", browser.show("/prompt", of="hard", id=second))
        assert main(["prompts", "fix", third, str(prompt_set), "--verifier", "number"]) == 0
        assert ids(browser.show("/prompts", verifier="number")) == [third]
        assert third not in ids(browser.show("/prompts", verifier="math"))
        assert choices_of(browser.show("/prompts"), "verifier") == ["math", "number"]


def test_a_decision_counts_anew_what_it_changes_alone(
    prompt_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, counted, query = Opened([prompt_set]), list[str](), Snapshot.query
    monkeypatch.setattr(Snapshot, "query", lambda self, sql: counted.append(sql) or query(self, sql))
    choices(opened.snapshot(), None)
    num_choices = len(CHOICES) + 1 + len(DECIDED_CHOICES)
    assert len(counted) == num_choices
    EventLog.beside(prompt_set).append(load_prompts(prompt_set)[0].prompt_id, "tag", "odd", author="me")
    snapshot = opened.snapshot()
    assert ("odd", 1) in choices(snapshot, None)["tag"]
    assert len(counted) == num_choices + len(DECIDED_CHOICES)
    opened.close()


def test_a_key_is_told_what_is_left(prompt_set: Path, browse: Any) -> None:
    """An undo may leave what was decided before it; a second one is told apart from a failure."""
    first, *_ = [prompt.prompt_id for prompt in load_prompts(prompt_set)]
    with browse(prompt_set) as browser:

        def ask(action: str, value: str = "") -> tuple[int, dict[str, Any]]:
            form = {
                "csrf": browser.server.keys.write,
                "run": "hard",
                "id": first,
                "action": action,
                "value": value,
            }
            status, told, _ = browser.ask("/decide", "POST", urlencode(form), Accept="application/json")
            return status, json.loads(told)

        def left(told: dict[str, Any]) -> tuple[str, str, bool]:
            return told["decision"], told["reference"], told["is_corrected"]

        assert left(ask("accept")[1]) == ("accepted", "1", False)
        corrected_by = ask("correct", "977")[1]
        assert left(corrected_by) == ("accepted", "977", True)
        rejected = ask("reject")[1]
        assert left(rejected) == ("rejected", "977", True)
        assert left(ask("undo", rejected["event_id"])[1]) == ("accepted", "977", True)
        assert left(ask("undo", corrected_by["event_id"])[1]) == ("accepted", "1", False)
        assert ask("undo", rejected["event_id"])[0] == 409
        assert ask("correct", "1")[0] == 400


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        (["1/3", "0.33"], '["1/3", "1/4"]', ["1/3", "1/4"]),
        ({"answer": "1"}, "5", {"answer": "5"}),
        ("[1]", "[2]", "[2]"),
    ],
)
def test_a_form_takes_a_reference_as_the_command_does(before: Any, text: str, after: Any) -> None:
    assert corrected(text, Prompt("p", (), reference=before)).reference == after


@pytest.mark.parametrize("text", ["5", "0.33", "true", "1/3"])
def test_a_text_replaces_no_list(text: str) -> None:
    with pytest.raises(BadInput, match="the reference was a list: write a JSON list"):
        corrected(text, Prompt("p", (), reference=["1/3", "0.33"]))
