"""Whether pictures stand in the prompts that the policy is given, and how much of them its processor leaves."""

from __future__ import annotations

from collections.abc import Sequence

from rl.data.prompt_encoder import PromptEncoder
from rl.data.run_data import RunData
from rl.preflight.check import Finding
from sampler.data.media.video import film_tokens
from sampler.prompt import Prompt
from verifiers.counted import counted
from verifiers.errors import BadInput


def films_shown(encoder: PromptEncoder, prompts: Sequence[Prompt]) -> Finding:
    """How many pictures of each film the policy is shown and at how many tokens, whoever chooses them."""
    shown = [encoder.film_grid(video) for prompt in prompts for video in prompt.videos]
    pictures, tokens = ([one[index] for one in shown] for index in (0, 1))
    largest = max(count * each for count, each in shown)
    limit = film_tokens(encoder.processor.video_processor)
    summary = (
        f"{counted(len(shown), 'film')} shown as {_range(pictures)} pictures of {_range(tokens)} tokens, "
        f"{largest:,} at most in all"
    )
    wanted = max(
        (one.schedule.max_tokens for each in prompts for one in each.videos if one.schedule), default=0
    )
    if wanted > limit:
        summary += f"; the model's processor takes {limit:,} of data.video.max_tokens={wanted:,}"
    return Finding("ok", summary)


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def pictures_in_prompts(encoder: PromptEncoder, data: RunData, prompts: Sequence[Prompt]) -> Finding:
    """A chat template that forgets pictures trains a blind model without an error."""
    for one in prompts:
        try:
            encoder(one)
        except BadInput as why:
            return Finding("failed", f"{data.location_of(one.prompt_id)}: {why}")
    with_visuals = sum(bool(prompt.vision_inputs) for prompt in prompts)
    summary = f"{with_visuals} of {counted(len(prompts), 'prompt')} with pictures or videos"
    sizes = [image.image_size() for prompt in prompts for image in prompt.images]
    shrunk = {size: to for size in sizes if (to := encoder.shrunk_size(*size)) is not None}
    if not shrunk:
        return Finding("ok", summary)
    (width, height), (to_width, to_height) = max(shrunk.items(), key=lambda one: one[0][0] / one[1][0])
    return Finding(
        "warning",
        f"{summary}; {sum(size in shrunk for size in sizes):,} of {counted(len(sizes), 'picture')} shrunk by the "
        f"model's processor, at most from {width} x {height} to {to_width} x {to_height} pixels: look whether that can "
        "be read, crop, or raise the size in its preprocessor_config.json (tiny: model.tiny.vision_grid_side)",
    )
