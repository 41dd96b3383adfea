"""Stages that sample the policy: what it solves without looking, and how often it solves the rest."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from recipes.pipelines.stage import Outcome, PipelineStage, Profiler, sifted
from rl.recipe.profile_config import ProfileConfig
from sampler.prompt import Prompt


class _SampledStage(PipelineStage):
    samples_policy: ClassVar[bool] = True

    samples: int = Field(16, ge=1, description="of a prompt at most")
    pass_samples: int = Field(2, ge=1, description="of a prompt between two decisions whether it needs more")
    sureness: float = Field(0.92, gt=0.5, le=1, description="as `hone prompts profile --sureness`")

    @property
    @abstractmethod
    def profile(self) -> ProfileConfig: ...


class _NeedsPictureStage(_SampledStage):
    """What is solved without its pictures is dropped; a prompt without pictures is not asked."""

    samples: int = Field(8, ge=1, description="of a prompt at most")
    max_pass_frac: float = Field(0.5, ge=0, lt=1, description="solved more often than this: dropped")
    drop_without_picture: bool = Field(True, description="prompts that show nothing are dropped, too")

    def _seen_through(self, prompts: Sequence[Prompt], profiler: Profiler, reason: str) -> Outcome:
        shows = any(prompt.vision_inputs for prompt in prompts)
        found = profiler(prompts, self.profile) if shows else {}

        def reason_of(prompt: Prompt) -> str | None:
            if not prompt.vision_inputs:
                return "shows no picture" if self.drop_without_picture else None
            row = found.get(prompt.prompt_id)
            return reason if row is not None and row["decision"] == "inside" else None

        return sifted(prompts, reason_of)

    def _profile(self, **shown: Any) -> ProfileConfig:
        # What lies above the band is not told apart from what lies in it: one question, fewer samples.
        return ProfileConfig(
            samples=self.samples,
            pass_samples=self.pass_samples,
            sureness=self.sureness,
            band=(self.max_pass_frac, 1.0),
            **shown,
        )


class BlindStage(_NeedsPictureStage):
    """What the policy solves from the text alone is dropped."""

    @property
    def profile(self) -> ProfileConfig:
        return self._profile(shown=("blind",))

    def apply(self, prompts: Sequence[Prompt], profiler: Profiler) -> Outcome:
        return self._seen_through(prompts, profiler, "solved from the text alone")


class CaptionStage(_NeedsPictureStage):
    """What the policy solves from the text and a caption is dropped."""

    captions: str | None = Field(
        None, description="JSONL or Parquet with prompt_id and caption; none: the policy writes them"
    )
    caption_tokens: int = Field(512, ge=1, description="of a caption that the policy writes, at most")

    @property
    def profile(self) -> ProfileConfig:
        return self._profile(shown=("caption",), captions=self.captions, caption_tokens=self.caption_tokens)

    def apply(self, prompts: Sequence[Prompt], profiler: Profiler) -> Outcome:
        return self._seen_through(prompts, profiler, "solved from text and caption")


class BandStage(_SampledStage):
    """What the policy solves too seldom or too often is dropped."""

    band: tuple[float, float] = Field(
        (0.0, 0.75), description="kept: pass rate above the one and up to the other"
    )

    @property
    def profile(self) -> ProfileConfig:
        return ProfileConfig(
            samples=self.samples, pass_samples=self.pass_samples, sureness=self.sureness, band=self.band
        )

    def apply(self, prompts: Sequence[Prompt], profiler: Profiler) -> Outcome:
        low, high = self.band
        reasons = {
            "below": f"solved up to {low:.0%}" if low else "never solved",
            "above": f"solved above {high:.0%}",
            "undecided": "not judged",
        }
        found = profiler(prompts, self.profile)
        return sifted(
            prompts,
            lambda prompt: _dropped(found, prompt) or reasons.get(found[prompt.prompt_id]["decision"]),
        )


class SpreadStage(PipelineStage):
    """What has no answer much better than the mean of its answers is dropped: nothing is to be learnt there."""

    samples_policy: ClassVar[bool] = True

    samples: int = Field(
        8, ge=2, description="of every prompt: the best of few is no measure, so none stops early"
    )
    min_spread: float = Field(0.1, ge=0, le=1, description="best reward minus mean reward")

    @property
    def profile(self) -> ProfileConfig:
        return ProfileConfig(samples=self.samples, pass_samples=self.samples, sureness=1.0)

    def apply(self, prompts: Sequence[Prompt], profiler: Profiler) -> Outcome:
        found = profiler(prompts, self.profile)

        def reason_of(prompt: Prompt) -> str | None:
            if (why := _dropped(found, prompt)) is not None:
                return why
            spread = found[prompt.prompt_id]["spread"]
            if spread is None:
                return "not judged"
            return f"spread under {self.min_spread:g}" if spread < self.min_spread else None

        return sifted(prompts, reason_of)


def _dropped(found: Mapping[str, Mapping[str, Any]], prompt: Prompt) -> str | None:
    row = found.get(prompt.prompt_id)
    return "too long for the sampler" if row is None or row["dropped"] else None
