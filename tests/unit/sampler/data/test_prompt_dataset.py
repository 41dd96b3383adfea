"""The loader: every shape a row may have, and every way it may be wrong, with file, row and column in the message."""

import base64
import io
import json
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sampler.data.media.media_bytes import encoded_bytes
from sampler.data.prompt_dataset import load_prompt_dataset, load_prompts, prompts_by_id, save_prompts
from sampler.data.prompt_reader import PromptReader
from sampler.data.prompt_schema import PROMPT_FIELDS, prompt_columns
from sampler.image import ImageLimits, decode_image, image_size
from sampler.prompt import Prompt
from sampler.rows.dataset_rows import NO_ROWS, dataset_rows
from sampler.rows.row import DatasetRow
from sampler.vision_input import VisionInput
from verifiers.errors import BadInput


def encoded(colour="red", size=(8, 8), form="PNG"):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, form)
    return buffer.getvalue()


def data_uri(picture):
    return "data:image/png;base64," + base64.b64encode(picture).decode()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


RED = encoded()
HEADER = b"\x89PNG\r\n\x1a\n"
BOMB = HEADER + chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)) + chunk(b"IEND", b"")
CHAT = [{"role": "user", "content": "x"}]
GOOD = {"messages": "What is 4+5?", "verifier": "math", "reference": "9"}


def write_lines(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def load_one(tmp_path, **changes):
    row = {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}
    (prompt,) = load_prompts(write_lines(tmp_path / "set.jsonl", row))
    return prompt


def shown(prompt):
    return [image.read() for image in prompt.images]


def contents(prompt):
    return [[part.get("text", "IMAGE") for part in message["content"]] for message in prompt.messages]


# ---- what may come in


def test_saved_prompts_come_back_equal_and_open_with_datasets(tmp_path):
    import datasets

    parts = [{"type": "image"}, {"type": "text", "text": "Ä?"}]
    prompts = [
        Prompt.build(messages=[{"role": "user", "content": parts}], images=[encoded(colour)], verifier="number",
                     verifier_options={"rel_tol": 0.1}, reference="9", source="test", tags=("sum", "3"))
        for colour in ("red", "blue")
    ] + [Prompt.build(messages=[{"role": "system", "content": parts[1:]}, {"role": "user", "content": parts[1:]}],
                      kind="general", prompt_id="my own")]  # fmt: skip
    path = save_prompts(tmp_path / "deep" / "set.parquet", prompts)
    assert load_prompts(path) == prompts
    assert [prompt.verifier_options for prompt in load_prompts(path)] == [
        {"rel_tol": 0.1},
        {"rel_tol": 0.1},
        {},
    ]
    assert [file.name for file in path.parent.iterdir()] == ["set.parquet"]

    table = datasets.load_dataset(
        "parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert table[1]["images"][0].convert("RGB").getpixel((0, 0)) == (0, 0, 255)
    schema = pq.read_schema(path)
    assert datasets.Features.from_arrow_schema(schema).arrow_schema.metadata == schema.metadata


def test_a_file_that_datasets_wrote_is_read(tmp_path):
    import datasets

    features = datasets.Features({
        "messages": [{"role": datasets.Value("string"), "content": datasets.Value("string")}],
        "images": datasets.List(datasets.Image()),
        "verifier": datasets.Value("string"),
        "reference": datasets.Value("string"),
    })  # fmt: skip
    row = {"messages": [{"role": "user", "content": "<image>Sum?"}], "images": [Image.open(io.BytesIO(RED))],
           "verifier": "math", "reference": "9"}  # fmt: skip
    datasets.Dataset.from_list([row], features=features).to_parquet(str(tmp_path / "set.parquet"))
    (prompt,) = load_prompts(tmp_path / "set.parquet")
    assert contents(prompt) == [["IMAGE", "Sum?"]]
    assert prompt.pil_images()[0].getpixel((0, 0)) == (255, 0, 0)


def test_videos_are_read_placed_and_saved(tmp_path, video_file):
    """From a file beside the set and from bytes; marked in the text, or first before it; and once around the disk."""
    film = video_file(np.zeros((3, 16, 16, 3), np.uint8))
    (tmp_path / "film.avi").write_bytes(film)
    marked = load_one(tmp_path, messages="<video>Then <image>?", videos=["film.avi"], images=[data_uri(RED)])
    assert [part["type"] for part in marked.messages[0]["content"]] == ["video", "text", "image", "text"]
    assert marked.vision_inputs == (VisionInput.of("video", film), VisionInput.of("image", RED))
    plain = load_one(tmp_path, messages="What?", videos="film.avi", images=[data_uri(RED)])
    assert [part["type"] for part in plain.messages[0]["content"]] == ["image", "video", "text"]
    assert marked.prompt_id != plain.prompt_id
    assert load_prompts(save_prompts(tmp_path / "set.parquet", [marked, plain])) == [marked, plain]


def test_pictures_in_every_form(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "red.png").write_bytes(RED)
    forms = [
        "pictures/red.png",
        data_uri(RED),
        {"path": "pictures/red.png"},
        {"bytes": None, "path": str(tmp_path / "pictures" / "red.png")},
    ]
    prompt = load_one(tmp_path, images=forms)
    assert shown(prompt) == [RED] * 4
    pq.write_table(
        pa.table({**{key: [value] for key, value in GOOD.items()}, "images": [[RED]]}),
        tmp_path / "raw.parquet",
    )
    assert shown(load_prompts(tmp_path / "raw.parquet")[0]) == [RED]
    assert shown(load_one(tmp_path, images="pictures/red.png")) == [RED]  # one picture need not be a list
    jpeg = encoded(form="JPEG")
    assert shown(load_one(tmp_path, images=[data_uri(jpeg)])) == [jpeg]  # bytes stay as they came


@pytest.mark.parametrize(
    ("messages", "num_images", "expected"),
    [
        ("What?", 0, [["What?"]]),
        ("What?", 2, [["IMAGE", "IMAGE", "What?"]]),
        ("A <image> and <image>?", 2, [["A ", "IMAGE", " and ", "IMAGE", "?"]]),
        ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What?"}], 1,
         [["Be brief."], ["IMAGE", "What?"]]),
        ([{"role": "user", "content": [{"type": "text", "text": "a <image> tag"}, {"type": "image", "text": None}]}], 1,
         [["a <image> tag", "IMAGE"]]),
        ([{"role": "user", "content": "1?"}, {"role": "assistant", "content": "1"},
          {"role": "user", "content": "<image>2?"}], 1, [["1?"], ["1"], ["IMAGE", "2?"]]),
    ],
)  # fmt: skip
def test_messages_in_every_form(tmp_path, messages, num_images, expected):
    prompt = load_one(tmp_path, messages=messages, images=[data_uri(RED)] * num_images)
    assert contents(prompt) == expected


def test_references_that_are_not_text_arrive_as_they_are(tmp_path):
    assert load_one(tmp_path, reference=9).reference == "9"
    assert load_one(tmp_path, verifier="string", reference=["a", "b"]).reference == ["a", "b"]


def test_columns_are_mapped_and_dots_lead_into_structs(tmp_path):
    row = {"prompt": "4+5?", "reward_model": {"ground_truth": "9"}, "data_source": "verl"}
    path = write_lines(tmp_path / "set.jsonl", row)
    columns = {"messages": "prompt", "reference": "reward_model.ground_truth", "source": "data_source"}
    (prompt,) = load_prompts(
        path, columns=columns, default_verifier="number", default_verifier_options={"abs_tol": 0.5}
    )
    assert (prompt.reference, prompt.source, prompt.verifier) == ("9", "verl", "number")
    assert prompt.verifier_options == {"abs_tol": 0.5}
    with pytest.raises(BadInput, match="unknown column 'refrence'; did you mean 'reference'"):
        load_prompts(path, columns={"refrence": "x"})


def test_options_of_the_default_verifier_never_reach_another(tmp_path):
    path = write_lines(tmp_path / "set.jsonl", {**GOOD, "verifier": "string"})
    (prompt,) = load_prompts(path, default_verifier="number", default_verifier_options={"abs_tol": 0.5})
    assert (prompt.verifier, prompt.verifier_options) == ("string", {})


def test_general_prompts_need_neither_verifier_nor_reference(tmp_path):
    prompt = load_one(tmp_path, kind="general", verifier=..., reference=...)
    assert (prompt.kind, prompt.verifier, prompt.reference) == ("general", None, "")
    path = write_lines(tmp_path / "set.jsonl", {"messages": "Hi", "kind": "general"})
    assert load_prompts(path, default_verifier="math")[0].verifier is None


def test_json_lists_blank_lines_byte_order_marks_and_directories(tmp_path):
    rows = [{**GOOD, "reference": str(number)} for number in range(4)]
    (tmp_path / "a.json").write_text("\n " + json.dumps(rows[:2]))
    second = json.dumps(rows[2]).encode() + b"\n\n" + json.dumps(rows[3]).encode()
    (tmp_path / "b.jsonl").write_bytes(b"\xef\xbb\xbf" + second)
    (tmp_path / "notes.txt").write_text("not data")
    assert [prompt.reference for prompt in load_prompts(tmp_path)] == ["0", "1", "2", "3"]
    assert [prompt.reference for prompt in load_prompts(tmp_path, split="b")] == ["2", "3"]
    assert [prompt.reference for prompt in load_prompts(tmp_path, limit=3)] == ["0", "1", "2"]
    assert [row.location.rpartition("/")[2] for row in dataset_rows(tmp_path)][-1] == "b.jsonl, line 3"


def test_duplicates_are_dropped_counted_and_logged(tmp_path, caplog):
    path = write_lines(
        tmp_path / "set.jsonl", GOOD, {**GOOD, "tags": ["again"]}, {**GOOD, "reference": "10"}, GOOD
    )
    loaded = load_prompt_dataset(path)
    assert (len(loaded.prompts), loaded.num_duplicates, loaded.num_rows) == (2, 2, 4)
    with caplog.at_level("WARNING"):
        load_prompts(path)
    assert "dropped 2 duplicates of 4 rows" in caplog.text
    write_lines(path, {**GOOD, "prompt_id": "a"}, {**GOOD, "prompt_id": "a", "reference": "10"})
    with pytest.raises(
        BadInput, match=r"line 2, column 'prompt_id': 'a' is also the id of .*line 1, whose content differs"
    ):
        load_prompts(path)


def test_a_hub_id_is_read_through_datasets_without_decoding(tmp_path, monkeypatch):
    import datasets

    features = datasets.Features(
        {
            "messages": datasets.Value("string"),
            "images": datasets.List(datasets.Image()),
            "verifier": datasets.Value("string"),
            "reference": datasets.Value("string"),
        }
    )
    table = datasets.Dataset.from_list(
        [{**GOOD, "images": [{"bytes": RED, "path": None}]}], features=features
    )
    asked = []

    def load_dataset(name, split):
        asked.append((name, split))
        return table

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    (prompt,) = load_prompts("owner/some-set", split="test")
    assert asked == [("owner/some-set", "test")]
    assert (shown(prompt), prompt.source) == ([RED], "owner/some-set")


# ---- what is wrong with it


@pytest.mark.parametrize(
    ("changes", "column", "message"),
    [
        ({"messages": ...}, "messages", "there is no such column"),
        ({"messages": ..., "message": "x"}, "messages", "is 'message' a slip of it?"),
        ({"messages": []}, "messages", "expected a list of messages"),
        ({"messages": 3}, "messages", "got int"),
        ({"messages": ""}, "messages", "the user message is empty"),
        ({"messages": [{"role": "human", "content": "x"}]}, "messages", "got 'human'"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages", "no user message"),
        ({"messages": [*CHAT, {"role": "assistant", "content": "y"}]}, "messages", "ends before"),
        ({"messages": [{"role": "user", "content": "x", "tool_calls": [1]}]}, "messages", "got also tool_calls"),
        ({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}, "messages", "got type 'audio'"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "image": 1}]}]}, "messages", "bytes, a path or"),
        ({"messages": "<image>?", "image": "a.png"}, "messages", "rename 'image' to 'images'"),
        ({"messages": "half \ud800 of a pair"}, "messages", "not valid Unicode"),
        ({"messages": "<image> <image>", "images": [data_uri(RED)]}, "messages", "2 image marks .* but 1"),
        ({"messages": "<image>?"}, "messages", "1 image mark in the messages, but 0"),
        ({"reference": ...}, "reference", "there is no such column"),
        ({"reference": None}, "reference", "the row has no value here"),
        ({"reference": "  "}, "reference", "the reference is empty"),
        ({"verifier": "number", "reference": "a lot"}, "reference", "one number"),
        ({"verifier": "bbox_iou", "reference": "<bbox>1 2 3</bbox>"}, "reference", "bbox"),
        ({"verifier": ...}, "verifier", "there is no such column"),
        ({"verifier": "numbr"}, "verifier", "unknown verifier 'numbr'; did you mean 'number'"),
        ({"verifier": 3}, "verifier", "expected text, got int"),
        ({"verifier": "number", "verifier_options": {"reltol": 1}}, "verifier", "did you mean 'rel_tol'"),
        ({"verifier_options": "{"}, "verifier_options", "not valid JSON"),
        ({"verifier_options": [1]}, "verifier_options", "are a mapping"),
        ({"kind": "verifable"}, "kind", "got 'verifable'; did you mean 'verifiable'"),
        ({"reference": "\ud800"}, "reference", "not valid Unicode"),
        ({"tags": ["\ud800"]}, "tags", "not valid Unicode"),
        ({"tags": [1]}, "tags", "tags are a list of texts"),
        ({"videos": ["a.mp4"]}, "videos", "video 1 of 1: no such video file: 'a.mp4'"),
        ({"videos": [data_uri(RED)]}, "videos", "video 1 of 1: the video is none of MP4 or MOV"),
        ({"messages": "<video>?"}, "messages", "1 video mark in the messages, but 0 in column 'videos'"),
        ({"messages": [{"role": "user", "content": [{"type": "video", "video": "a.mp4"}]}]}, "messages",
         "video 1 of 1: no such video file: 'a.mp4'"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "image": data_uri(RED)}]}],
          "images": [data_uri(RED)]}, "images", "the parts of the messages hold images too"),
        ({"images": ["missing.png"]}, "images", "image 1 of 1: no such picture file: 'missing.png'"),
        ({"images": [data_uri(RED), {"bytes": None}]}, "images", "image 2 of 2: a picture has neither bytes nor path"),
        ({"images": [3]}, "images", "got int"),
        ({"images": [None]}, "images", "got NoneType"),
        ({"images": ["https://example.org/a.png"]}, "images", "not fetched over the network"),
        ({"images": ["data:image/png;base64,%%%"]}, "images", "base64 of a data URI is broken"),
        ({"images": ["data:image/png,abc"]}, "images", "a data URI must read"),
        ({"images": ["/dev/zero"]}, "images", "no such picture file: '/dev/zero' is no regular file"),
        ({"images": ["."]}, "images", "'.' is a directory; name a file in it, such as 'set.jsonl'"),
        ({"images": ["a\0b"]}, "images", "picture file"),
        ({"images": ["x" * 5000]}, "images", "picture file"),
        ({"images": [data_uri(b"")]}, "images", "the picture is empty"),
        ({"images": [data_uri(b"GIF89a, not really")]}, "images", "image 1 of 1: the picture"),
        ({"images": [data_uri(b"just text")]}, "images", "the picture is not PNG"),
        ({"images": [data_uri(encoded(size=(64, 64))[:-40])]}, "images", "the picture does not decode"),
        ({"images": [data_uri(encoded(size=(1, 256)))]}, "images",
         "image 1 of 1: 1 x 256 pixels: one side is more than 200 times the other, .* crop or pad it"),
        ({"images": [base64.b64encode(RED).decode()]}, "images",
         "this is the picture itself as base64: write data:image/png;base64, before it"),
        ({"images": ["file:///a.png"]}, "images", "named by its path, without file://"),
        ({"images": ["~/a.png"]}, "images", "there is no folder '.*/~'"),
        ({"images": [data_uri(BOMB)]}, "images", "claims 60000 x 60000 pixels|decompression bomb"),
    ],
)  # fmt: skip
def test_each_wrong_row_names_file_row_and_column(tmp_path, changes, column, message):
    row = {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}
    path = write_lines(tmp_path / "set.jsonl", {**GOOD, "messages": "first"}, row)
    with pytest.raises(BadInput) as caught:
        load_prompts(path)
    told = str(caught.value)
    assert told.startswith(f"{path}, line 2, column {column!r}: ")
    assert re.search(message, told), told
    assert "\n" not in told
    assert len(told) < 500


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"messages": "x"', "line 1: not valid JSON"),
        ("a.jsonl", b"\xff\xfe\n", "line 1: not valid JSON"),
        ("a.jsonl", b"3\n", "line 1: a row is a JSON object with the columns as keys, got int"),
        ("a.jsonl", b"[" * 100_000, "not valid JSON"),
        ("a.json", b'[{"messages": ', "not valid JSON"),
        ("a.json", b"[3]", "row 1: a row is a JSON object"),
        ("a.jsonl", b"", "the set has no rows"),
        ("a.parquet", b"", "not a readable Parquet file"),
        ("a.parquet", b"PAR1 and then nothing PAR1", "not a readable Parquet file"),
        ("a.txt", b"messages,reference\n", "a data file ends in .jsonl, .json, .parquet"),
    ],
)
def test_each_unreadable_file(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadInput, match=message) as caught:
        load_prompts(path)
    assert str(path) in str(caught.value)


def test_a_truncated_parquet_file(tmp_path):
    path = save_prompts(tmp_path / "set.parquet", [load_one(tmp_path)])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BadInput, match=r"set\.parquet: not a readable Parquet file"):
        load_prompts(path)


@pytest.mark.parametrize("suffix", NO_ROWS)
def test_what_hone_writes_beside_a_set_is_no_part_of_its_folder(suffix, tmp_path):
    write_lines(tmp_path / "lamps.jsonl", GOOD)
    (tmp_path / "lamps.jsonl").with_suffix(f".{suffix.lstrip('.')}").write_text('{"why": "it is no row"}\n')
    assert len(load_prompts(tmp_path)) == len(load_prompts(tmp_path / "lamps.jsonl"))


def test_what_is_not_there_names_what_is_near(tmp_path):
    write_lines(tmp_path / "prompts.jsonl", GOOD)
    with pytest.raises(BadInput, match=r"no such file: .*promts\.jsonl; did you mean '.*prompts\.jsonl'"):
        load_prompts(tmp_path / "promts.jsonl")
    with pytest.raises(BadInput, match="nor is there a directory"):
        load_prompts(tmp_path / "no" / "set.jsonl")
    with pytest.raises(BadInput, match=r"no file of split 'test' among prompts\.jsonl"):
        load_prompts(tmp_path, split="test")
    with pytest.raises(BadInput, match="a single file has no splits"):
        load_prompts(tmp_path / "prompts.jsonl", split="train")
    (tmp_path / "sets" / "easy").mkdir(parents=True)
    write_lines(tmp_path / "sets" / "easy" / "train.jsonl", GOOD)
    with pytest.raises(BadInput, match=r"no file that ends in .*; name one of the folders in it: easy"):
        load_prompts(tmp_path / "sets")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no file that ends in"):
        load_prompts(tmp_path / "empty")
    with pytest.raises(BadInput, match="limit is at least 1"):
        load_prompts(tmp_path, limit=0)


def test_a_hub_id_that_does_not_load_is_one_line(monkeypatch):
    import datasets

    def load_dataset(name, split):
        raise ConnectionError("offline\nfor a long time")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(
        BadInput, match="owner/name: neither a local file nor a hub data set: offline for a long time"
    ):
        load_prompts("owner/name")


def test_a_plug_ins_failure_is_told_as_such(tmp_path, monkeypatch):
    from verifiers.kinds.string_match import StringVerifier

    def prepare(self, reference):
        raise RuntimeError("a bug")

    monkeypatch.setattr(StringVerifier, "prepare", prepare)
    with pytest.raises(BadInput, match="verifier 'string' failed on this reference: RuntimeError: a bug"):
        load_one(tmp_path, verifier="string")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_a_look_at_the_header_finds_a_picture_cut_short(form):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, form)
    whole = buffer.getvalue()
    assert image_size(whole) == decode_image(whole).size == (64, 64)
    with pytest.raises(BadInput, match="does not decode"):
        image_size(whole[: len(whole) // 2])


# ---- whatever a row holds, nothing but BadInput comes out

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=40)
    | st.sampled_from(["<image>", "user", "image", "text", "math", "number", "bbox_iou", "general", "\ud800", "gpt"])
    | st.sampled_from(["human", '[{"role": "user"}]', '["a"]', "<|im_end|>", "<|image_pad|>", "<Image>", "nan"])
    | st.sampled_from([RED, BOMB, data_uri(RED)]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["role", "content", "type", "text", "bytes", "path", "from", "value"]), inner, max_size=4
    ),
    max_leaves=12,
)  # fmt: skip
names = st.sampled_from(
    [
        "messages",
        "images",
        "kind",
        "verifier",
        "verifier_options",
        "reference",
        "reference_json",
        "tags",
        "prompt_id",
        "videos",
        "conversations",
        "problem",
        "answer",
        "prompt",
        "reward_model",
    ]
)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.dictionaries(names, anything, max_size=3))
def test_hostile_rows_raise_nothing_but_bad_input(changes):
    kept = {
        key: value
        for key, value in GOOD.items()
        if key != "messages" or not {"prompt", "problem"} & set(changes)
    }
    row = DatasetRow("set, row 1", {**kept, **changes}, Path("/nowhere"))
    try:
        prompt = PromptReader().read(row)
    except BadInput as why:
        message = str(why)
    else:
        message, columns = "", prompt_columns([prompt])
        assert pa.table(columns, schema=pa.schema(list(PROMPT_FIELDS))).num_rows == 1  # and it can be saved
    if message:
        assert message.startswith("set, row 1, column ")
        return
    assert prompt.prompt_id
    assert len(prompt.pil_images()) == len(prompt.images)
    assert sum(
        part == {"type": "image"} for message in prompt.messages for part in message["content"]
    ) == len(prompt.images)


@settings(max_examples=100, deadline=None)
@given(cut=st.integers(0, 200), flips=st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), max_size=6),
       form=st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"]))  # fmt: skip
def test_damaged_pictures_raise_nothing_but_bad_input(cut, flips, form):
    picture = bytearray(encoded("blue", (24, 24), form))
    for location, change in flips:
        picture[location % len(picture)] ^= change
    try:
        read = encoded_bytes(bytes(picture[: len(picture) - cut]), None, "image")
        size = decode_image(read, ImageLimits(max_pixels=10_000)).size
    except BadInput:
        return
    (image,) = Prompt.build(messages=[], images=[read]).pil_images()
    assert image.size == size == image_size(read)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode),
    suffix=st.sampled_from([".jsonl", ".json", ".parquet"]),
)
def test_hostile_files_raise_nothing_but_bad_input(tmp_path, content, suffix):
    path = tmp_path / f"set{suffix}"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"set\."):
        load_prompts(path)


def test_of_a_prompt_that_stands_twice_the_first_row_counts(tmp_path):
    """As for the store."""
    message = {"role": "user", "content": [{"type": "text", "text": "?"}]}
    twice = [
        Prompt.build(messages=[message], verifier="math", reference=text, prompt_id="p") for text in "12"
    ]
    file = save_prompts(tmp_path / "set.parquet", twice)
    assert prompts_by_id(file, ["p"])["p"].reference == "1"


def test_prompts_by_their_ids_are_those_of_the_whole_set(tmp_path, monkeypatch):
    """Of Parquet with ids only what is asked for is made; of any other set the ids are made of the contents."""
    monkeypatch.setattr("sampler.data.prompt_schema._ROWS_AT_ONCE", 2)
    monkeypatch.setattr("sampler.data.prompt_schema.GROUP_BYTES", 1)
    shown = [VisionInput.of("image", encoded(size=(8, 8 + number))) for number in range(7)]
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}
    given = [
        Prompt.build(
            messages=[message], images=[image], verifier="math", reference=str(number), prompt_id=f"p{number}"
        )
        for number, image in enumerate(shown)
    ]
    file = save_prompts(tmp_path / "set.parquet", given)
    assert pq.read_metadata(file).num_row_groups > 2
    every = {prompt.prompt_id: prompt for prompt in load_prompts(file)}
    read, made = PromptReader.read, []
    monkeypatch.setattr(PromptReader, "read", lambda self, row: made.append(row.location) or read(self, row))
    found = prompts_by_id(file, ["p5", "p2", "p3"])
    assert made == [f"{file}, row {number}" for number in (3, 4, 6)]
    assert found == {name: every[name] for name in ("p2", "p3", "p5")}
    assert found["p5"].images[0].read() == shown[5].read()
    assert prompts_by_id(file, ["p1", "nobody"]) == {"p1": every["p1"]}
    lines = write_lines(tmp_path / "set.jsonl", GOOD, {**GOOD, "messages": "What is 5+4?"})
    second = load_prompts(lines)[1]
    assert prompts_by_id(lines, [second.prompt_id]) == {second.prompt_id: second}
