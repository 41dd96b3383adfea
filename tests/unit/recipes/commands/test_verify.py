"""`hone verify` and `hone verifiers`, through the functions the command line calls."""

import io
import json
import tarfile

import pyarrow as pa
import pytest
import typer
from pyarrow import parquet
from typer.testing import CliRunner

from recipes.commands import verifiers as verifiers_command
from recipes.commands.verify import parse_options, verify
from verifiers.errors import BadInput, BadOption, UnknownVerifier

runner = CliRunner()


@pytest.fixture
def app():
    application = typer.Typer()
    application.command("verify")(verify)
    application.add_typer(verifiers_command.app, name="verifiers")
    return application


def write_rows(path, rows):
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


ROWS = [
    {"id": "a", "response": "<think>6*7</think>\\boxed{42}", "reference": "42"},
    {"id": "b", "response": "<think>6*7</think>\\boxed{43}", "reference": "42"},
    {"id": "c", "response": "\\boxed{42}", "reference": "42"},
    {"id": "d", "response": "<think>\\boxed{42}</think>", "reference": "42"},
]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_one_verdict_per_row_in_input_order(app, tmp_path, suffix):
    source = write_rows(tmp_path / f"rows{suffix}", ROWS)
    out = tmp_path / "verdicts.jsonl"
    done = runner.invoke(
        app, ["verify", str(source), "--verifier", "math", "--out", str(out), "--workers", "1"]
    )
    assert done.exit_code == 0, done.output
    verdicts = [json.loads(line) for line in out.read_text().splitlines()]
    assert [v["id"] for v in verdicts] == ["a", "b", "c", "d"]
    assert [v["score"] for v in verdicts] == [1.0, 0.0, 0.0, 0.0]
    assert [v["code"] for v in verdicts][2:] == ["no_thought", "empty"]
    assert set(verdicts[0]) >= {"status", "score", "confident", "extracted", "reason", "seconds", "tier"}
    assert "4 cases" in done.output
    lines = [line.split("│")[1:] for line in done.output.splitlines() if line.count("│") == 6]
    rows = [
        (line[0].strip(), line[3].strip()[:8]) for line in lines if line[0].strip()
    ]  # the rest is wrapped
    assert rows == [("a", "score 1:"), ("b", "score 0:"), ("c", "score 0:"), ("d", "score 0:")]


def test_of_a_long_file_the_slowest_rows_are_shown(app, tmp_path):
    rows = [{"id": f"row-{number}", "answer": str(number), "reference": "7"} for number in range(30)]
    done = runner.invoke(
        app, ["verify", str(write_rows(tmp_path / "rows.jsonl", rows)), "--verifier", "math"]
    )
    assert done.exit_code == 0, done.output
    assert "slowest" in done.output and done.output.count("row-") == 5


def test_rows_may_choose_verifier_and_options(app, tmp_path):
    rows = [
        {"answer": "103", "reference": "100", "verifier": "number", "options": {"rel_tol": 0.05}},
        {"answer": "103", "reference": "100", "verifier": "number"},
        {"answer": "paris", "reference": "Paris", "verifier": "string"},
    ]
    out = tmp_path / "v.jsonl"
    done = runner.invoke(
        app, ["verify", str(write_rows(tmp_path / "r.jsonl", rows)), "--out", str(out), "--workers", "0"]
    )
    assert done.exit_code == 0, done.output
    assert [json.loads(line)["score"] for line in out.read_text().splitlines()] == [1.0, 0.0, 1.0]
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["1", "2", "3"]


def test_rows_of_a_tar_are_counted(app, tmp_path):
    """Their places end in a name, not in a number."""
    source = tmp_path / "set.tar"
    with tarfile.open(source, "w") as tar:
        for name, reference in (("0000", "7"), ("lamp", "\\frac{1")):
            held = json.dumps({"answer": "7", "reference": reference, "verifier": "math"}).encode()
            member = tarfile.TarInfo(f"{name}.json")
            member.size = len(held)
            tar.addfile(member, io.BytesIO(held))
    done = runner.invoke(app, ["verify", str(source), "--check-references"])
    assert done.exit_code == 1 and "1 of 2 references fail" in done.output
    assert "set.tar, sample 'lamp': " in done.output.replace("\n", "")
    out = tmp_path / "v.jsonl"
    done = runner.invoke(app, ["verify", str(source), "--out", str(out), "--workers", "0"])
    assert done.exit_code == 1, done.output
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(one["id"], one["score"]) for one in found] == [("1", 1.0), ("2", None)]


def test_a_row_without_a_response_is_empty_and_the_rest_is_judged(app, tmp_path):
    rows = [{"response": None, "reference": "1"}, {"response": "<think>.</think>1", "reference": "1"}]
    out = tmp_path / "new" / "v.jsonl"
    source = write_rows(tmp_path / "r.jsonl", rows)
    done = runner.invoke(
        app, ["verify", str(source), "--verifier", "math", "--out", str(out), "--workers", "0"]
    )
    assert done.exit_code == 0, done.output
    verdicts = [json.loads(line) for line in out.read_text().splitlines()]
    assert [v["score"] for v in verdicts] == [0.0, 1.0]
    assert verdicts[0]["code"] == "empty"


def test_rows_that_cannot_be_judged_are_named_and_the_exit_status_says_so(app, tmp_path):
    rows = [
        {"answer": "1", "reference": "1", "verifier": "mth"},
        {"answer": "1", "reference": "\\frac{1", "verifier": "math"},
        {"answer": "1", "reference": "1", "verifier": "math"},
    ]
    out = tmp_path / "v.jsonl"
    source = write_rows(tmp_path / "r.jsonl", rows)
    done = runner.invoke(app, ["verify", str(source), "--out", str(out), "--workers", "0"])
    assert done.exit_code == 1
    assert [json.loads(line)["score"] for line in out.read_text().splitlines()] == [None, None, 1.0]
    assert "not judged 1 (mth, bad_verifier)" in done.output
    assert "not judged 2 (math, bad_reference)" in done.output


def test_wrong_rows_are_named_and_left_out(app, tmp_path):
    """A long file is judged to its end, whatever some of its rows are."""
    rows = [
        {"id": "a", "answer": "1", "reference": "1"},
        {"id": "b", "answer": "1"},
        {"id": "a", "answer": "2", "reference": "2"},
        {"id": "c", "answer": ["1"], "reference": "1"},
        {"id": "d", "answer": "1"},
        {"id": "e", "answer": "2", "reference": "1"},
    ]
    out = tmp_path / "v.jsonl"
    source = write_rows(tmp_path / "r.jsonl", rows)
    first, *rest = source.read_text().splitlines()
    source.write_text("\n".join((first, "", *rest[:-1], '{"id": "f", "ans', "[1]", rest[-1])))
    done = runner.invoke(
        app, ["verify", str(source), "--verifier", "math", "--out", str(out), "--workers", "0"]
    )
    assert done.exit_code == 1
    verdicts = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(one["id"], one["score"]) for one in verdicts] == [("a", 1.0), ("e", 0.0)]
    told = [line.replace(f"{source}, ", "") for line in done.stderr.splitlines()]
    assert told[0] == "6 wrong rows, left out:" and len(told) == 6
    assert told[1].startswith("  line 3: no column 'reference'") and told[1].endswith(
        "(and 1 more row alike)"
    )
    assert told[2].startswith("  line 4: the id 'a' stands twice")
    assert told[3].startswith("  line 5: column 'answer' must be text")
    assert told[4].startswith("  line 7: not valid JSON") and told[5].startswith(
        "  line 8: a row is a JSON object"
    )
    kept = out.read_text()
    refused = runner.invoke(app, ["verify", str(source), "--verifier", "math", "--out", str(source)])
    assert isinstance(refused.exception, BadInput) and "is what is read" in str(refused.exception)
    assert out.read_text() == kept and source.read_text().startswith(first)


@pytest.mark.parametrize(
    ("rows", "arguments", "error", "message"),
    [
        (ROWS, ["--verifier", "mth"], UnknownVerifier, "did you mean 'math'"),
        (ROWS, ["--verifier", "math", "--option", "percnt=strict"], BadOption, "did you mean 'percent'"),
        (ROWS, [], BadInput, "line 1: no verifier"),
        ([{"response": "x", "refrence": "1"}], ["--verifier", "math"], BadInput, "did you mean 'refrence'"),
        ([{"reference": "1"}], ["--verifier", "math"], BadInput, "line 1: no column 'response' or 'answer'"),
        ([], ["--verifier", "math"], BadInput, "holds no rows"),
        (ROWS, ["--option", "a=1"], BadInput, "--option needs --verifier"),
        (ROWS, ["--verifier", "math", "--option", "tolerance"], BadInput, "expected key=value"),
    ],
)
def test_bad_input_is_one_clear_error(app, tmp_path, rows, arguments, error, message):
    source = write_rows(tmp_path / "rows.jsonl", rows)
    out = tmp_path / "out.jsonl"
    done = runner.invoke(app, ["verify", str(source), "--workers", "0", "--out", str(out), *arguments])
    assert isinstance(done.exception, error)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not out.exists()


def test_files_that_cannot_be_read(app, tmp_path):
    for name, content in (
        ("gone.jsonl", None),
        ("rows.csv", "a,b"),
        ("bad.jsonl", "{"),
        ("bad.parquet", "x"),
    ):
        if content is not None:
            (tmp_path / name).write_text(content)
        done = runner.invoke(app, ["verify", str(tmp_path / name), "--verifier", "math"])
        assert isinstance(done.exception, BadInput), name


def test_reference_check_lists_what_fails(app, tmp_path):
    rows = [{"reference": "1/2"}, {"reference": "\\frac{1"}, {"reference": "7"}]
    source = write_rows(tmp_path / "prompts.jsonl", rows)
    done = runner.invoke(app, ["verify", str(source), "--verifier", "math", "--check-references"])
    assert done.exit_code == 1
    assert "1 of 3 references fail" in done.output
    good = write_rows(tmp_path / "good.jsonl", [rows[0], rows[2]])
    assert (
        runner.invoke(app, ["verify", str(good), "--verifier", "math", "--check-references"]).exit_code == 0
    )


def test_reference_check_names_every_kind_of_fault_once(app, tmp_path):
    rows = [
        *({"verifier": "number", "reference": "birch"},) * 3,
        {"verifier": "nmber", "reference": "3"},
        {"verifer": "math", "reference": "3"},
        {"verifier": "math", "refernce": "3"},
        {"verifier": "math", "reference": "3", "verifier_options": {"tolerence": 1}},
        {"verifier": "count", "reference": ["3", "4"]},
        {"problem": "1 + 3?", "answer": "4"},  # EasyR1's, which a run reads too
    ]
    source = write_rows(tmp_path / "prompts.jsonl", rows)
    done = runner.invoke(app, ["verify", str(source), "--check-references"])
    assert done.exit_code == 1
    head, *lines = done.output.splitlines()
    assert head == "8 of 9 references fail"
    told = (
        ("line 1", "is one number, got 'birch' (and 2 more rows alike)"),
        ("line 4", "unknown verifier 'nmber'; did you mean 'number'?"),
        (
            "line 5",
            "no verifier; pass --verifier or give the row a 'verifier' column; is 'verifer' a slip of it?",
        ),
        ("line 6", "no column 'reference'; did you mean 'refernce'?"),
        ("line 7", "has no option 'tolerence'; did you mean 'tolerance'?"),
        ("line 8", "for a list of accepted answers use 'any_of' with the option verifier: count"),
    )
    assert len(lines) == len(told)
    for line, (where, what) in zip(lines, told, strict=True):
        assert f"prompts.jsonl, {where}: " in line and what in line


def test_a_prompt_set_is_checked_as_a_run_reads_it(app, tmp_path):
    """Its own names of columns, floats of 32 bits, lists as JSON text; a reward model's rows are none of it."""
    rows = [
        {"verifier": "number", "verifier_options": '{"rel_tol": 0.1}', "reference": 0.1, "answer": "0.105"},
        {"verifier": "string", "reference": 0.1, "answer": "0.1"},
        {"verifier": "string", "reference_json": '["a", "b"]', "answer": "b"},
        {"kind": "general", "answer": "-"},
    ]
    schema = pa.schema([
        *((name, pa.string()) for name in ("kind", "verifier", "verifier_options", "reference_json", "answer")),
        ("reference", pa.float32()),
    ])  # fmt: skip
    path = tmp_path / "set.parquet"
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    checked = runner.invoke(app, ["verify", str(path), "--check-references"])
    assert (checked.exit_code, checked.output) == (0, "3 references, each scores 1 against itself\n")
    out = tmp_path / "v.jsonl"
    parquet.write_table(pa.Table.from_pylist(rows[:3], schema=schema), path)
    done = runner.invoke(app, ["verify", str(path), "--out", str(out), "--workers", "0"])
    assert done.exit_code == 0, done.output
    assert [json.loads(line)["score"] for line in out.read_text().splitlines()] == [1.0, 1.0, 1.0]


def test_option_values():
    assert parse_options(["a=1", "b=x", "c=[1, 2]", "d=true"]) == {"a": 1, "b": "x", "c": [1, 2], "d": True}


def test_list_and_check(app):
    listed = runner.invoke(app, ["verifiers", "list"], env={"COLUMNS": "200"})
    assert listed.exit_code == 0
    assert "bbox_iou" in listed.output
    checked = runner.invoke(app, ["verifiers", "check", "count"], env={"COLUMNS": "200"})
    assert checked.exit_code == 0, checked.output
    assert "hostile answers" in checked.output


def test_an_answer_with_thinking_tags_is_warned_of_once(app, tmp_path):
    source = tmp_path / "rows.jsonl"
    rows = [{"answer": "7"}, *[{"answer": "<think>3+4</think>7"}] * 2]
    source.write_text("".join(json.dumps({**row, "reference": "7"}) + "\n" for row in rows))
    done = runner.invoke(app, ["verify", str(source), "--verifier", "math", "--workers", "0"])
    warnings = [line for line in done.stderr.splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert "line 2" in warnings[0] and "'response'" in warnings[0]
    source.write_text(json.dumps({"response": "<think>3+4</think>7", "reference": "7"}) + "\n")
    assert "warning" not in runner.invoke(app, ["verify", str(source), "--verifier", "math"]).stderr
