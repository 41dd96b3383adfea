"""The digits task: honest split, right answers, stated proportions, the same bytes for the same seed."""

import gzip
import hashlib
import random
import re
from pathlib import Path

import numpy as np
import pytest

from recipes.digits import picture
from recipes.digits.builder import build_digits
from recipes.digits.picture import cell_box, digit_banks, draw_picture
from recipes.digits.question import QUESTION_TYPES, ask
from sampler.data.prompt_dataset import load_prompt_dataset, load_prompts
from sampler.data.sft_row import load_sft_rows
from verifiers.errors import BadInput
from verifiers.reading.response import split_response
from verifiers.registry import load_verifier

SMALL = {"num_train_prompts": 200, "num_heldout_prompts": 80, "num_cold_start_rows": 600}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_digits(tmp_path_factory.mktemp("digits"), **SMALL)


def cells_in(picture_png_array):
    """The non-empty 16 x 16 cells of a [32, 32, 3] picture, as bytes of one channel."""
    grey = picture_png_array[:, :, 0]
    cells = [grey[y : y + 16, x : x + 16] for y in (0, 16) for x in (0, 16)]
    return [cell.tobytes() for cell in cells if cell.any()]


def shown_cells(prompts):
    return {cell for prompt in prompts for cell in cells_in(np.asarray(prompt.pil_images()[0]))}


def digits_in(prompt, *banks):
    by_bytes = {cell.tobytes(): digit for bank in banks for digit in range(10) for cell in bank.cells[digit]}
    return [by_bytes[cell] for cell in cells_in(np.asarray(prompt.pil_images()[0]))]


def test_banks_are_ucis_digits_split_by_image_and_stratified():
    table = Path(picture.__file__).with_name("handwriting.csv.gz")
    assert hashlib.sha256(gzip.decompress(table.read_bytes())).hexdigest().startswith("6ebb3d2fee246a4e")
    train, heldout = digit_banks(0.2, 0)
    published = [
        178,
        182,
        177,
        183,
        181,
        182,
        181,
        179,
        174,
        180,
    ]  # images of each digit, by scikit-learn's manual
    for digit, number in enumerate(published):
        both = len(train.cells[digit]) + len(heldout.cells[digit])
        assert both == number
        assert len(heldout.cells[digit]) / both == pytest.approx(0.2, abs=0.01)
    assert train.num_images + heldout.num_images == 1797


def test_no_heldout_handwriting_is_ever_shown_in_training(built):
    heldout = shown_cells(load_prompts(built["heldout"]))
    train = shown_cells(load_prompts(built["train"]))
    supervised = shown_cells([row.prompt for row in load_sft_rows(built["cold_start"])])
    assert len(heldout) > 100
    assert not heldout & (train | supervised)


def test_the_heldout_split_is_the_same_for_every_seed(built, tmp_path):
    other = build_digits(tmp_path, seed=7, **SMALL)
    assert not shown_cells(load_prompts(other["heldout"])) & shown_cells(load_prompts(built["train"]))


def test_sizes_types_and_distinct_prompts(built):
    for name, number in (("train", 200), ("heldout", 80)):
        loaded = load_prompt_dataset(built[name])
        assert (len(loaded.prompts), loaded.num_duplicates) == (number, 0)
        types = [prompt.question_type for prompt in loaded.prompts]
        assert {kind: types.count(kind) for kind in types} == dict.fromkeys(QUESTION_TYPES, number // 4)
        assert {prompt.tags[1] for prompt in loaded.prompts} == {"2", "3", "4"}
    train_ids = {prompt.prompt_id for prompt in load_prompts(built["train"])}
    assert not train_ids & {row.prompt.prompt_id for row in load_sft_rows(built["cold_start"])}


def test_references_are_what_the_picture_shows(built):
    _train, heldout = digit_banks(0.2, 0)
    for prompt in load_prompts(built["heldout"]):
        digits = digits_in(prompt, heldout)
        assert prompt.tags[1] == str(len(digits))
        if prompt.question_type == "sum":
            assert prompt.reference == str(sum(digits))
        elif prompt.question_type == "largest":
            assert prompt.reference == str(max(digits))
        elif prompt.question_type == "count":
            assert prompt.reference == str(len([d for d in digits if d in (0, 2, 4, 6, 8)]))
        else:
            asked = int("".join(letter for letter in prompt.text if letter.isdigit()))
            assert digits.count(asked) == 1
            boxes = ["0 0 499 499", "500 0 999 499", "0 500 499 999", "500 500 999 999"]
            assert prompt.reference == f"<bbox>{boxes[digits.index(asked)]}</bbox>"


def test_every_right_response_scores_one_and_every_broken_one_none():
    train, _ = digit_banks(0.2, 0)
    rng = random.Random(3)
    for question_type in (*QUESTION_TYPES, "transcribe"):
        for _ in range(30):
            question = ask(draw_picture(train, rng, 4), question_type, rng)
            if question is None:
                continue
            verifier = load_verifier(question.verifier)
            for easy in (False, True):
                answer = split_response(question.response(easy=easy)).answer
                assert verifier.judge(question.reference, answer).score == 1.0
                broken = split_response(question.broken_response(rng, easy=easy)).answer
                assert not broken.ok


def test_a_listing_thought_names_the_digits_in_reading_order(built):
    train, _ = digit_banks(0.2, 0)
    rows = [row for row in load_sft_rows(built["cold_start"]) if row.response.count("</think>") == 1]
    thoughts = [(row, split_response(row.response).thought) for row in rows]
    listed = [(row, thought) for row, thought in thoughts if thought]
    assert len(listed) > 100
    for row, thought in listed:
        digits = digits_in(row.prompt, train)
        if "?" in thought:  # `8? 3 no 8 yes` stops at the digit
            named = [int(digit) for digit in re.findall(r" (\d)", thought)]
            assert named == digits[: len(named)]
            assert thought.endswith(f" {thought[0]} yes")
            assert thought.count(" no") == len(named) - 1
        else:  # `3,8,5` and `3+8=11+5=16`
            assert [int(part[0]) for part in re.split(r"[,+]", thought)] == digits


def test_thoughts_of_sums_add_up_and_thoughts_of_places_count_to_the_digit():
    bank, _ = digit_banks(0.2, 0)
    picture = draw_picture(bank, random.Random(3), 3)
    first, second, third = picture.digits
    thought = ask(picture, "sum", random.Random(0)).thought
    assert thought == f"{first}+{second}={first + second}+{third}={first + second + third}"
    where = ask(picture, "where", random.Random(0))
    asked = int(next(letter for letter in where.text if letter.isdigit()))
    before = picture.digits[: picture.digits.index(asked)]
    assert where.thought == f"{asked}?" + "".join(f" {digit} no" for digit in before) + f" {asked} yes"


def test_cold_start_has_question_types_of_its_own(tmp_path):
    paths = build_digits(
        tmp_path, **SMALL, cold_start_question_types=["sum", "sum", "where"], transcribe_frac=0.0
    )
    types = [row.prompt.question_type for row in load_sft_rows(paths["cold_start"])]
    assert {name: types.count(name) for name in types} == {"sum": 400, "where": 200}
    assert {prompt.question_type for prompt in load_prompts(paths["train"])} == set(QUESTION_TYPES)


def test_proportions_of_the_cold_start(tmp_path):
    paths = build_digits(
        tmp_path, num_train_prompts=1, num_heldout_prompts=1, num_cold_start_rows=3000,
        easy_frac=0.7, broken_frac=0.1, transcribe_frac=0.3,
    )  # fmt: skip
    rows = load_sft_rows(paths["cold_start"])
    asked = [row for row in rows if row.prompt.question_type != "transcribe"]
    assert 1 - len(asked) / len(rows) == pytest.approx(0.3, abs=0.03)
    split = [split_response(row.response) for row in asked]
    whole = [one for one in split if one.answer.ok]
    assert 1 - len(whole) / len(asked) == pytest.approx(0.1, abs=0.03)
    assert sum(not one.thought for one in whole) / len(whole) == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize(("frac", "expected"), [(0.0, 0), (1.0, 40)])
def test_proportions_may_be_none_or_all(tmp_path, frac, expected):
    paths = build_digits(tmp_path, num_train_prompts=1, num_heldout_prompts=1, num_cold_start_rows=40,
                         transcribe_frac=frac)  # fmt: skip
    types = [row.prompt.question_type for row in load_sft_rows(paths["cold_start"])]
    assert types.count("transcribe") == expected


def test_same_seed_same_bytes_other_seed_other_prompts(built, tmp_path):
    def digests(paths):
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items()}

    assert digests(build_digits(tmp_path / "again", **SMALL)) == digests(built)
    other = digests(build_digits(tmp_path / "other", seed=1, **SMALL))
    assert not set(other.values()) & set(digests(built).values())


def test_boxes_follow_random_cells():
    train, _ = digit_banks(0.2, 0)
    rng = random.Random(0)
    seen = set()
    for _ in range(50):
        picture = draw_picture(train, rng, 2, random_cells=True)
        seen |= set(picture.cells)
        assert list(picture.cells) == sorted(picture.cells)
        if picture.digits[0] != picture.digits[1]:
            assert picture.box(picture.digits[1]) == cell_box(picture.cells[1])
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"easy_frac": 1.5}, "easy_frac is between 0 and 1"),
        ({"question_types": ("sum", "bigest")}, "unknown question type 'bigest'"),
        ({"question_types": ()}, "question_types is empty"),
        ({"min_digits": 3, "max_digits": 2}, "min_digits <= max_digits"),
        ({"max_digits": 5}, "max_digits <= 4"),
        ({"heldout_frac": 0.0}, "heldout_frac"),
        ({"heldout_frac": 1.0}, "heldout_frac"),
        ({"num_train_prompts": -1}, "num_train_prompts"),
        (
            {"max_digits": 1, "min_digits": 1, "question_types": ("sum",), "heldout_frac": 0.005},
            "stuck after",
        ),
    ],
)
def test_options_out_of_range_are_refused(tmp_path, options, message):
    with pytest.raises(BadInput, match=message):
        build_digits(tmp_path, **{**SMALL, **options})
    assert not list(tmp_path.iterdir())
