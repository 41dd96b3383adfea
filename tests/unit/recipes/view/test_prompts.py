"""The table of prompts and a prompt's page: filters, intervals, decisions, export."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest

from recipes.cli import main
from recipes.commands.prompts.opened_store import opened_store
from sampler.data.prompt_dataset import load_prompts, save_prompts
from sampler.store.suspicion.suspects import suspects

NUM_HELDOUT, NUM_TRAIN = 24, 32
NumFound = Callable[[str], int]


def ids(page: str) -> list[str]:
    return re.findall(r'<tr tabindex="0" data-row data-run="\w+" data-id="(\w+)"', page)


def test_filters_narrow_and_add_up(whole: Any, num_found: NumFound) -> None:
    def num(**query: object) -> int:
        return num_found(whole.show("/prompts", run="digits", **query))

    assert num() == NUM_HELDOUT + NUM_TRAIN
    assert num(split="heldout") == NUM_HELDOUT
    assert [num(split="heldout", type=name) for name in ("sum", "largest", "count", "where")] == [6] * 4
    assert num(min_n=1) == NUM_HELDOUT and num(standing="not tried") == NUM_TRAIN
    assert num(low=0.5) + num(high=0.4999) == NUM_HELDOUT
    assert num(policy=60, low=0) == NUM_HELDOUT
    assert num(q="no such words") == 0
    assert 0 < num(move="newly solved") <= NUM_HELDOUT
    first = ids(whole.show("/prompts", run="digits"))[0]
    assert ids(whole.show("/prompts", q=first[:9])) == [first]


def test_a_policy_holds_no_question_again_and_is_one_that_was_sampled(
    run_maker: Any, browse: Any, num_found: NumFound
) -> None:
    for version in (1, 2, 3):
        run_maker.version = version
        run_maker.evaluate(0, "sft", 0.2 * version)
    with browse(run_maker.run) as browser:
        rates = {}
        for version in (1, 2, 3, 1):
            page = browser.show("/prompts", policy=version, min_n=1, sort="id")
            assert num_found(page) == 8 and page.count("of 4</td>") == 8
            assert rates.setdefault(version, re.findall(r'<span class="rate">(\d+)%', page)) == re.findall(
                r'<span class="rate">(\d+)%', page
            )
        assert len(set(map(tuple, rates.values()))) == 3
        status, page, _ = browser.ask("/prompts?policy=999999")
        assert status == 400 and "no run that is open has a policy of version 999999" in page
        tables = (
            "SELECT table_name AS name, column_count AS num FROM duckdb_tables() WHERE temporary ORDER BY 1"
        )
        kept = [row["name"] for row in browser.server.viewer.opened.snapshot().query(tables)]
        assert [name for name in kept if name.startswith("believed_of")] == ["believed_of_1", "believed_of_3"]


def test_a_pass_rate_may_be_a_percentage(whole: Any, num_found: NumFound) -> None:
    share = num_found(whole.show("/prompts", run="digits", low=0.5, high=1))
    for low in ("50", "50%", " 0.50 "):
        assert num_found(whole.show("/prompts", run="digits", low=low, high="100%")) == share
    for wrong in ("101", "-1", "nan", "half"):
        status, page, _ = whole.ask(f"/prompts?low={wrong}")
        assert status == 400 and "pass rate from: a pass rate is a number from 0 to 1" in page


def test_suspect_references_are_a_filter(whole: Any, whole_run: Path) -> None:
    with opened_store([whole_run]) as (store, run):
        expected = suspects(store, run)["prompt_id"].to_pylist()
    assert sorted(set(ids(whole.show("/prompts", run="digits", suspect="yes")))) == sorted(expected)
    assert whole.ask("/prompts?suspect=perhaps")[0] == 400


def test_pages_show_every_prompt_once_in_order(whole: Any) -> None:
    pages = [whole.show("/prompts", run="digits", sort="-rate", page=page) for page in (1, 2)]
    seen = [one for page in pages for one in ids(page)]
    assert len(seen) == len(set(seen)) == NUM_HELDOUT + NUM_TRAIN
    rates = [int(rate) for rate in re.findall(r'<span class="rate">(\d+)%', pages[0])]
    assert rates == sorted(rates, reverse=True) and len(rates) == NUM_HELDOUT
    assert pages[0].count('class="interval"') == NUM_HELDOUT  # wherever there is a rate
    assert pages[0].count('class="spark"') == NUM_HELDOUT


def test_one_prompt_over_all_policies(whole: Any) -> None:
    first = ids(whole.show("/prompts", run="digits", min_n=1))[0]
    page = whole.show("/prompt", of="digits", id=first)
    assert page.count('<div class="attempt ') == 4  # of the best policy
    assert page.count('class="interval"') == 3  # policy versions
    every = whole.show("/prompt", of="digits", id=first, version="")
    assert every.count('<div class="attempt ') == 20
    assert re.findall(r"<h2>(\S+-evaluate-\S+)", every) == [
        "01-evaluate-r0", "03-evaluate-r0", "05-evaluate-r0", "08-evaluate-r1", "10-evaluate-r1",
    ]  # fmt: skip


def test_places_are_drawn_with_how_they_agree(whole: Any) -> None:
    wanted = ids(whole.show("/prompts", run="digits", type="where", min_n=1))[0]
    page = whole.show("/prompt", of="digits", id=wanted, version="")
    assert page.count('<g class="place reference"') == 1
    assert re.search(r'<g class="place right" data-rollout=', page)
    assert "<title>IoU 1.00</title>" in page
    picture = re.search(r'<img src="(/picture\?[^"]*)"', page)
    assert picture is not None
    status, body, headers = whole.ask(picture[1].replace("&amp;", "&"))
    assert (status, headers["content-type"]) == (200, "image/png") and "PNG" in body[:8]


def links(page: str) -> list[str]:
    """To the prompts of a table, in its order."""
    return [unescape(found) for found in re.findall(r'<td class="words"><a href="([^"]*)"', page)]


def follow(browser: Any, page: str, rel: str) -> str | None:
    """The page that a link leads to, none without one."""
    found = re.search(rf'<a rel="{rel}" href="([^"]*)"', page)
    return None if found is None else browser.ask(unescape(found[1]))[1]


def shown(page: str) -> str:
    return re.findall(r'<header data-prompt data-run="\w+" data-id="(\w+)"', page)[0]


@pytest.mark.parametrize("sort", ["id", "rate", "-rate", "-spread", "-unsure", "-n", "type"])
def test_the_next_prompt_of_a_list_is_a_key_away(whole: Any, sort: str) -> None:
    table = whole.show("/prompts", run="digits", sort=sort)
    listed, seen = ids(table), []
    page = whole.ask(links(table)[0])[1]
    assert follow(whole, page, "prev") is None
    for _ in range(5):
        seen.append(shown(page))
        page = follow(whole, page, "next")
    assert seen == listed[:5] and shown(follow(whole, page, "prev")) == listed[4]
    last = links(whole.show("/prompts", run="digits", sort=sort, page=2))[-1]
    assert follow(whole, whole.ask(last)[1], "next") is None


def test_what_is_decided_skips_no_prompt_of_a_list_that_it_shortens(run_maker: Any, browse: Any) -> None:
    with browse(run_maker.run) as browser:
        table = browser.show("/prompts", split="train", decision="open", sort="id")
        listed = ids(table)
        page, seen = browser.ask(links(table)[0])[1], []
        while page is not None:
            seen.append(shown(page))
            browser.decide("accept", seen[-1])
            page = follow(browser, page, "next")
        assert seen == listed
        assert ids(browser.show("/prompts", split="train", decision="accepted", sort="id")) == listed


def test_the_next_page_skips_nothing_that_was_decided_on_this_one(
    run_maker: Any, browse: Any, num_found: NumFound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recipes.view.pages.prompt_table.PAGE_SIZE", 3)
    with browse(run_maker.run) as browser:
        page: str | None = browser.show("/prompts", split="train", decision="open", sort="id")
        every = sorted(prompt.prompt_id for prompt, _ in run_maker.train)
        seen: list[str] = []
        while page is not None:
            seen += ids(page)
            assert num_found(page) == len(every) - len(seen) + len(ids(page))
            for one in ids(page):
                browser.decide("reject", one)
            page = follow(browser, page, "next")
        assert seen == every
        assert browser.ask("/prompts?after=[1]")[0] == browser.ask("/prompts?after=x")[0] == 400
        assert browser.ask('/prompts?after=["digits","train","nobody"]')[0] == 200


@pytest.fixture
def events(run_maker: Any) -> Callable[[], list[dict[str, Any]]]:
    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in (run_maker.run / "curation.jsonl").read_text().splitlines()]

    return read


def test_decisions_are_events_that_can_be_undone(
    run_maker: Any, browse: Any, events: Callable[[], list[dict[str, Any]]], num_found: NumFound
) -> None:
    prompt, _ = run_maker.train[0]
    with browse(run_maker.run) as browser:
        assert browser.decide("reject", prompt.prompt_id, reason="blurred")[0] == 303
        assert browser.decide("tag", prompt.prompt_id, value="odd", author="another")[0] == 303
        (rejected, tagged) = events()
        assert (rejected["action"], rejected["author"], rejected["reason"]) == (
            "reject",
            "a curator",
            "blurred",
        )
        assert (tagged["value"], tagged["author"]) == ("odd", "another")
        assert ids(browser.show("/prompts", decision="rejected")) == [prompt.prompt_id]
        assert ids(browser.show("/prompts", tag="odd")) == [prompt.prompt_id]
        assert num_found(browser.show("/prompts", decision="open")) == 8 + 12 - 1
        browser.decide("undo", prompt.prompt_id, value=rejected["event_id"])
        assert ids(browser.show("/prompts", decision="rejected")) == []
        page = browser.show("/prompt", of="digits", id=prompt.prompt_id)
        assert page.count('<tr class="undone">') == 1 and "blurred" in page


def test_a_correction_names_what_it_was_and_must_be_readable(
    run_maker: Any, browse: Any, events: Callable[[], list[dict[str, Any]]]
) -> None:
    prompt = next(prompt for prompt, _ in run_maker.train if prompt.verifier == "bbox_iou")
    with browse(run_maker.run) as browser:
        status, _, headers = browser.decide("correct", prompt.prompt_id, value="somewhere", back="id=x")
        assert status == 303 and "error=the+verifier+bbox_iou+does+not+take" in headers["location"]
        assert not (run_maker.run / "curation.jsonl").exists()
        browser.decide("correct", prompt.prompt_id, value="<bbox>1 2 300 400</bbox>")
        browser.decide("correct", prompt.prompt_id, value="<bbox>1 2 300 500</bbox>")
        assert [event["previous"] for event in events()] == [prompt.reference, "<bbox>1 2 300 400</bbox>"]
        page = browser.show("/prompt", of="digits", id=prompt.prompt_id)
        assert "corrected, revision 2" in page and "1 2 300 500" in page


def test_a_correction_warns_as_the_command_does(
    run_maker: Any, browse: Any, events: Callable[[], list[dict[str, Any]]], capsys: Any
) -> None:
    """Of words for a number, where a form leads back and where a key asks; it is written all the same."""
    run = run_maker.run
    first, second = [prompt.prompt_id for prompt, _ in run_maker.train if prompt.verifier == "math"][:2]
    assert main(["prompts", "fix", second, str(run), "--reference", "quite a few"]) == 0
    (words,) = [line[2:] for line in capsys.readouterr().out.splitlines() if line.startswith("! ")]
    assert main(["prompts", "fix", second, str(run), "--undo"]) == 0
    with browse(run) as browser:

        def led_to(value: str) -> str:
            _, _, headers = browser.decide("correct", first, value=value, back=f"id={first}")
            return str(headers["location"]).removeprefix(f"/prompt?id={first}")

        assert led_to("977").startswith("&done=")
        warned = led_to("quite a few")
        assert warned.startswith(f"&warning={quote_plus(words)}&done=")
        assert f"<b>Warning.</b> {words}" in browser.ask(f"/prompt?id={first}{warned}")[1]
        assert "warning" not in led_to("some of them"), "it was words already"

        form = {"csrf": browser.server.keys.write, "run": "digits", "action": "correct", "id": second}
        for value, warning in (("977", ""), ("quite a few", words)):
            body = urlencode(form | {"value": value})
            _, told, _ = browser.ask("/decide", "POST", body, Accept="application/json")
            assert json.loads(told)["warning"] == warning
    written = ["977", "quite a few", "some of them", "977", "quite a few"]
    assert [event["value"] for event in events()[2:]] == written


def test_a_form_goes_by_the_verifier_in_force(run_maker: Any, browse: Any) -> None:
    prompt = next(prompt for prompt, _ in run_maker.train if prompt.verifier == "bbox_iou")
    judged = ("--verifier", "math", "--reference", "12")
    assert main(["prompts", "fix", prompt.prompt_id, str(run_maker.run), *judged]) == 0
    with browse(run_maker.run) as browser:
        _, _, headers = browser.decide("correct", prompt.prompt_id, value="a dozen or so", back="id=x")
        assert "warning=no+number" in headers["location"]


def test_a_prompt_of_a_set_finds_its_history_in_the_run_beside_it(
    run_maker: Any, browse: Any, tmp_path: Path, num_found: NumFound
) -> None:
    run_maker.evaluate(0, "sft", 0.5)
    with browse(run_maker.run) as browser:
        tried = ids(browser.show("/prompts", run="digits", min_n=1))
    known = [prompt for prompt, _ in (*run_maker.heldout, *run_maker.train) if prompt.prompt_id in tried[:3]]
    save_prompts(tmp_path / "chosen.parquet", known)
    with browse(run_maker.run, tmp_path / "chosen.parquet") as browser:
        page = browser.show("/prompts", run="chosen", min_n=1)
        assert num_found(page) == 3 and page.count('class="spark"') == 3
        assert num_found(browser.show("/prompts", run="digits", min_n=1)) == len(tried)
        page = browser.show("/prompt", of="chosen", id=tried[0])
        assert '<div class="attempt ' in page and "As sampled in" in page
        flips = browser.show("/flips", run="chosen")
        assert "is a prompt set" in flips and "<select" not in flips
        corrected = next(prompt for prompt in known if prompt.verifier == "math")
        browser.decide("correct", corrected.prompt_id, value="977", run="chosen")  # the run judged by another
        assert num_found(browser.show("/prompts", run="chosen", min_n=1)) == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"action": "delete"}, "is no action"),
        ({"id": "nobody"}, "the prompt is not in the data"),
        ({"run": "elsewhere"}, "no such run"),
        ({"action": "tag", "value": " "}, "needs a tag"),
        ({"action": "undo", "value": "0"}, "to undo"),
    ],
)
def test_what_is_no_decision_is_refused(
    run_maker: Any, browse: Any, fields: dict[str, str], words: str
) -> None:
    given = {"action": "accept", "id": run_maker.train[0][0].prompt_id} | fields
    with browse(run_maker.run) as browser:
        form = {"csrf": browser.server.keys.write, "run": "digits", **given}
        status, body, _ = browser.ask("/decide", "POST", urlencode(form), Accept="application/json")
    assert status == (409 if given["action"] == "undo" else 400) and words in json.loads(body)["error"]
    assert (
        not (run_maker.run / "curation.jsonl").exists() or not (run_maker.run / "curation.jsonl").read_text()
    )


def test_what_is_filtered_is_exported_as_it_was_decided(run_maker: Any, browse: Any, tmp_path: Path) -> None:
    prompt, _ = run_maker.train[0]
    with browse(run_maker.run) as browser:
        browser.decide("tag", prompt.prompt_id, value="odd")
        listed = browser.show("/export", split="train", sort="id").split()
        assert listed == sorted(one.prompt_id for one, _ in run_maker.train)
        connection_body = browser.bytes("/export?as=parquet&tag=odd")
    (tmp_path / "set.parquet").write_bytes(connection_body)
    (exported,) = load_prompts(tmp_path / "set.parquet")
    assert exported.prompt_id == prompt.prompt_id and exported.tags == (*prompt.tags, "odd")
    assert exported.images[0].read() == prompt.images[0].read()


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_a_prompt_file_opens_too(
    run_maker: Any, browse: Any, tmp_path: Path, suffix: str, num_found: NumFound
) -> None:
    path = tmp_path / f"hard.{suffix}"
    if suffix == "parquet":
        save_prompts(path, [prompt for prompt, _ in run_maker.train])
    else:
        rows = [
            {"messages": f"What is {i} + 1?", "verifier": "math", "reference": str(i + 1)} for i in range(12)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with browse(run_maker.run, path) as browser:
        assert num_found(browser.show("/prompts", run="hard")) == 12
        first = ids(browser.show("/prompts", run="hard", sort="id"))[0]
        assert "answers" not in browser.show("/prompt", of="hard", id=first)
        browser.decide("accept", first)
        assert (tmp_path / "hard.curation.jsonl").exists()
        assert "A prompt file" in browser.show("/curves", run="hard")
        assert "is a prompt set" in browser.show("/flips", run="hard")
        assert num_found(browser.show("/prompts")) == 12 + 20  # of both
