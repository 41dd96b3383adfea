"""Graded answers in and out, and what is refused."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from reward_models.preferences.preference import PreferenceList, load_preferences, save_preferences
from sampler.data.media.media_bytes import encoded_bytes
from sampler.data.prompt_dataset import load_prompts
from sampler.prompt import Prompt
from sampler.vision_input import VisionInput, data_url
from verifiers.answer import FinalAnswer
from verifiers.errors import BadInput


def picture(kind="PNG"):
    stream = io.BytesIO()
    Image.new("RGB", (4, 3), (200, 10, 10)).save(stream, kind)
    return stream.getvalue()


TEXT_PROMPT = Prompt.build(
    messages=[{"role": "user", "content": [{"type": "text", "text": "3+5+1?"}]}],
    verifier="math",
    reference="9",
)
PICTURE_PROMPT = Prompt.build(
    messages=[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is shown? é"}]}],
    images=[picture()],
    kind="general",
    reference="A red square.",
    tags=("caption",),
)
LISTS = [
    PreferenceList(
        TEXT_PROMPT, tuple(map(FinalAnswer, ("\\boxed{9}", "\\boxed{8}", "8"))), (5, 3, 1), "synthetic"
    ),
    PreferenceList(PICTURE_PROMPT, (FinalAnswer("red"), FinalAnswer("Ein Röt 红")), (2, 4)),
    PreferenceList(
        PICTURE_PROMPT,
        (FinalAnswer("red"), FinalAnswer("blue")),
        (4, 2),
        met=({"true": True, "short": True}, {}),
    ),
]
ROW = {"messages": "3+5+1?", "reference": "9", "answers": ["\\boxed{9}", "8"], "grades": [5, 1]}


def test_pairs_are_all_of_different_grade_with_the_better_first():
    answers = tuple(map(FinalAnswer, "abcd"))
    pairs = PreferenceList(TEXT_PROMPT, answers, (2, 5, 2, 1)).pairs()
    assert [(better.text, worse.text, difference) for better, worse, difference in pairs] == [
        ("b", "a", 3),
        ("a", "d", 1),
        ("b", "c", 3),
        ("b", "d", 4),
        ("c", "d", 1),
    ]
    assert list(PreferenceList(TEXT_PROMPT, answers, (3, 3, 3, 3)).pairs()) == []


@pytest.mark.parametrize("name", ["lists.parquet", "lists.jsonl"])
def test_lists_come_back_equal_with_their_pictures(tmp_path, name):
    path = save_preferences(tmp_path / "new" / name, LISTS)
    assert load_preferences(path) == LISTS
    assert load_preferences(path, limit=1) == LISTS[:1]
    assert load_preferences(path, max_decoded=0)[1].prompt.images == PICTURE_PROMPT.images
    assert load_prompts(path)[0] == TEXT_PROMPT  # the same file is a prompt set
    assert [file.name for file in path.parent.iterdir()] == [name]


def test_datasets_opens_the_parquet_with_pictures(tmp_path):
    datasets = pytest.importorskip("datasets")
    path = save_preferences(tmp_path / "lists.parquet", LISTS)
    rows = datasets.load_dataset(
        "parquet", data_files=str(path), cache_dir=str(tmp_path / "cache"), split="train"
    )
    assert rows[1]["images"][0].size == (4, 3)
    assert (rows[1]["answers"], rows[1]["grades"]) == (["red", "Ein Röt 红"], [2, 4])


def test_columns_may_have_other_names(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"question": "3+5+1?", "responses": ["9", "8"], "ranks": [4, 2]}) + "\n")
    (one,) = load_preferences(
        path, columns={"messages": "question", "answers": "responses", "grades": "ranks"}
    )
    assert (one.prompt.text, one.answers[0].text, one.grades, one.prompt.kind) == (
        "3+5+1?",
        "9",
        (4, 2),
        "general",
    )


@pytest.mark.parametrize(
    ("changes", "column", "message"),
    [
        ({"messages": 3}, "messages", "expected a list of messages"),
        ({"answers": None}, "answers", "a list of texts, the final answers, got nothing"),
        ({"answers": "9"}, "answers", "got str"),
        ({"answers": ["9", 8]}, "answers", "answer 2 of 2: expected text, got int"),
        ({"answers": ["9"]}, "answers", "at least 2 answers, got 1"),
        ({"answers": ["9", " "]}, "answers", "answer 2 of 2 is empty"),
        ({"answers": ["9", "\ud800"]}, "answers", "not valid Unicode"),
        ({"answers": ["9", "<think>3+5</think>8"]}, "answers", "answer 2 of 2 holds a thought's tags"),
        ({"answers": ["so 9</THINK >9", "8"]}, "answers", "answer 1 of 2 holds a thought's tags"),
        ({"answers": ["9", "◁think▷8"]}, "answers", "holds a thought's tags"),
        ({"answers": ["9", "9"]}, "grades", "the same answer has grades 5 and 1"),
        ({"reference": "<think>3</think>9"}, "reference", "the reference holds a thought's tags"),
        ({"grades": None}, "grades", "one for each answer, got nothing"),
        ({"grades": [5]}, "grades", "1 grades for 2 answers"),
        ({"grades": [5, 0]}, "grades", "from 1 to 5, got '0'"),
        ({"grades": [6, 1]}, "grades", "from 1 to 5, got '6'"),
        ({"grades": [5.0, 1]}, "grades", "a whole number"),
        ({"grades": [5, True]}, "grades", "a whole number"),
        ({"met": "{"}, "met", "not valid JSON"),
        ({"met": [{"true": True}]}, "met", "for each answer a mapping of criterion to true or false"),
        ({"met": [{"true": True}, {"true": "no"}]}, "met", "to true or false"),
        ({"met": '{"true": true}'}, "met", "to true or false"),
        ({"preference_source": 3}, "preference_source", "expected text, got int"),
    ],
)
def test_each_wrong_row_is_named(tmp_path, changes, column, message):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + json.dumps(ROW | changes) + "\n")
    with pytest.raises(BadInput) as caught:
        load_preferences(path)
    text = str(caught.value)
    assert text.startswith(f"{path}, line 2, column {column!r}: "), text
    assert message in text
    assert "\n" not in text


def test_a_list_made_in_code_is_checked_too(tmp_path):
    with pytest.raises(BadInput, match=r"answer 2 of 2 is truncated: only sound final answers"):
        PreferenceList(TEXT_PROMPT, (FinalAnswer("9"), FinalAnswer("8", "truncated")), (5, 1))
    with pytest.raises(BadInput, match="holds a thought's tags"):
        PreferenceList(TEXT_PROMPT, (FinalAnswer("9"), FinalAnswer("</think>8")), (5, 1))
    with pytest.raises(BadInput, match=r"as \.parquet or \.jsonl"):
        save_preferences(tmp_path / "lists.csv", LISTS)


def test_an_empty_set_and_a_wrong_limit_are_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n")
    with pytest.raises(BadInput, match="no rows"):
        load_preferences(path)
    with pytest.raises(BadInput, match="limit is at least 1"):
        load_preferences(path, limit=0)


@pytest.mark.parametrize("name", ["lists.jsonl", "lists.parquet"])
def test_a_video_is_kept(tmp_path, video_file, name):
    film = video_file(np.zeros((3, 16, 16, 3), np.uint8))
    parts = [{"type": "video"}, {"type": "text", "text": "What happens?"}]
    prompt = Prompt.build(messages=[{"role": "user", "content": parts}], videos=[film], kind="general")
    one = PreferenceList(prompt, (FinalAnswer("it falls"), FinalAnswer("no")), (5, 1))
    (read,) = load_preferences(save_preferences(tmp_path / name, [one]))
    assert read.prompt.vision_inputs == prompt.vision_inputs == (VisionInput.of("video", film),)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_a_picture_survives_as_a_data_url_of_its_own_kind(kind):
    encoded = picture(kind)
    url = data_url(encoded)
    assert url.startswith(f"data:image/{kind.lower()};base64,")
    assert encoded_bytes(url, None, "image") == encoded
