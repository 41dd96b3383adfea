"""Captions: the policy says what it sees, so that it can be asked again with the words instead of the picture."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from rl.data.run_data import RunData
from rl.data.token_limits import require_caption_room
from rl.experience.shown_sampler import ShownSampler
from rl.recipe.profile_config import ProfileConfig
from rl.recipe.recipe import Recipe
from rl.run.results.stage_result import CaptionResult, PolicyState
from rl.run.stage_directory import StageDirectory
from rl.stages.stage import Stage, StageContext
from sampler.atomic_file import written_whole
from sampler.blind_prompt import asked_to_describe
from sampler.prompt import Prompt
from sampler.rollout import Rollout
from verifiers.counted import counted
from verifiers.reading.response import split_response

CAPTIONS_FILE = "captions.parquet"
INSTRUCTION = (
    "Describe what is shown, as fully as you can: every object, every text and number, positions, colours, lines and "
    "what they connect. Do not solve anything."
)
SCHEMA = pa.schema([("prompt_id", pa.string()), ("caption", pa.string()), ("cut", pa.bool_())])


class CaptionStage(Stage[CaptionResult]):
    """One description of the pictures and films of every prompt that has some. A shard that an earlier process left is
    kept."""

    leaves = CaptionResult
    label = "captions"
    needs = ("sampler",)

    def __init__(self, config: ProfileConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def title(self) -> str:
        return self.label

    def work(self, recipe: Recipe) -> str:
        return f"every prompt with a picture, at most {counted(self.config.caption_tokens, 'token')}"

    def expected(
        self, recipe: Recipe, directory: StageDirectory, policy: PolicyState | None
    ) -> CaptionResult:
        return CaptionResult(captions=directory.path / CAPTIONS_FILE)

    def num_steps(self, recipe: Recipe, data: RunData) -> int:
        return sum(bool(prompt.vision_inputs) for prompt in data.train)

    def run(self, context: StageContext) -> CaptionResult:
        """Leaves a row a prompt that was described: prompt_id, caption, cut (whether it ran out of tokens). Raises:
        BadInput where captions leave no room for prompts."""
        require_caption_room(context.recipe, self.config)
        context.directory.go_on()
        prompts = [prompt for prompt in context.data.train if prompt.vision_inputs]
        size, tables = self.config.shard_prompts, []
        for start in range(0, len(prompts), size):
            shard = context.directory.path / f"captions-{start // size:05d}.parquet"
            if not shard.is_file():
                table = self._captions(context, prompts[start : start + size])
                with written_whole(shard) as temporary:
                    pq.write_table(table, temporary)
            tables.append(pq.read_table(shard))
            context.progress.advance(len(prompts[start : start + size]))
        captions, path = (
            pa.concat_tables(tables or [SCHEMA.empty_table()]),
            context.directory.path / CAPTIONS_FILE,
        )
        with written_whole(path) as temporary:
            pq.write_table(captions, temporary)
        num_dropped = len(prompts) - captions.num_rows
        return CaptionResult(
            captions=path,
            num_captions=captions.num_rows,
            num_cut=sum(captions["cut"].to_pylist()),
            num_dropped=num_dropped,
            warnings=[f"{counted(num_dropped, 'prompt')} too long to be asked for a caption"]
            if num_dropped
            else [],
        )

    def _captions(self, context: StageContext, prompts: Sequence[Prompt]) -> pa.Table:
        sampler = ShownSampler(context.engines.sampler, lambda prompt: asked_to_describe(prompt, INSTRUCTION))
        plan = context.plan(
            num_samples=1,
            max_response_tokens=self.config.caption_tokens,
            temperature=context.recipe.rl.temperature,
        )
        with context.watch("generate"):
            said = {group.prompt.prompt_id: group.rollouts[0] for group in sampler.sample(prompts, plan)}
        tags = context.engines.family.thinking_tags
        rows = [
            {
                "prompt_id": prompt.prompt_id,
                "caption": _caption(said[prompt.prompt_id], *tags),
                "cut": said[prompt.prompt_id].finish_reason == "length",
            }
            for prompt in prompts
            if prompt.prompt_id in said
        ]
        return pa.Table.from_pylist(rows, schema=SCHEMA)

    def summary(self, result: CaptionResult) -> str:
        cut = f", {result.num_cut:,} cut" if result.num_cut else ""
        return f"{counted(result.num_captions, 'caption')}{cut}"


def _caption(rollout: Rollout, open_tag: str, close_tag: str) -> str:
    """The final answer; where the response was cut before there is one, all that was said."""
    _, answer = split_response(rollout.text, expects_thought=False, open_tag=open_tag, close_tag=close_tag)
    return answer.text.strip() or rollout.text.replace(open_tag, "").strip()
