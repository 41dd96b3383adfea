"""Which tokens a policy must never sample, of the tiny checkpoint and of the published tokenizer's list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, models
from transformers import AutoConfig, PreTrainedTokenizerFast

from rl.families import family as family_module
from rl.families.family import forbidden_token_ids, load_family

PUBLISHED = Path(family_module.__file__).parent / "configs" / "qwen3_vl_30b_a3b"
# Of Qwen3-VL-30B-A3B-Instruct's tokenizer_config.json, ids 151643 to 151668 in order; the second group is not special.
SPECIAL = """<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|>
<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|>""".split()
PLAIN = """<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|>
<tool_response> </tool_response> <think> </think>""".split()


@pytest.fixture(scope="module")
def published() -> Any:
    tokenizer = Tokenizer(models.WordLevel({f"word {i}": i for i in range(151643)}, unk_token="word 0"))
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in PLAIN])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def test_of_the_published_tokenizer(published: Any) -> None:
    ids = load_family("qwen3_vl_moe").forbidden_token_ids(published, AutoConfig.from_pretrained(PUBLISHED))
    assert published.convert_ids_to_tokens(list(ids)) == [
        "<|im_start|>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|vision_pad|>",
        "<|image_pad|>",
        "<|video_pad|>",
    ]
    assert ids == (151644, 151652, 151653, 151654, 151655, 151656)


def test_placeholders_are_those_of_the_configuration_whatever_they_are_called(published: Any) -> None:
    config = AutoConfig.from_pretrained(PUBLISHED)
    config.image_token_id = 17
    assert 17 in load_family("qwen3_vl_moe").forbidden_token_ids(published, config)


def test_of_the_tiny_checkpoint(tmp_path: Path) -> None:
    """The same five as ever, so that runs of it stay what they were."""
    from transformers import AutoTokenizer

    family = load_family("qwen3_vl_moe")
    family.build_tiny(tmp_path / "tiny", seed=0, corpus=["3+5 is 8"], sizes={})
    names = ["<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    expected = AutoTokenizer.from_pretrained(tmp_path / "tiny").convert_tokens_to_ids(names)
    assert forbidden_token_ids(tmp_path / "tiny", family) == tuple(sorted(expected))
