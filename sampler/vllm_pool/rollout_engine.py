"""One vLLM engine in this process: prompts go in, groups of rollouts come out, weights are exchanged in between."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from sampler.chat_text import chat_text
from sampler.data.media.video import clip_of
from sampler.rollout import DroppedPrompt, Rollout, SamplingPlan, Turn
from sampler.vllm_pool.process_file import process_file, remove_dead
from sampler.vllm_pool.sampler_config import SamplerConfig, engine_arguments, sampling_params
from verifiers.errors import BadInput

if TYPE_CHECKING:
    from vllm.inputs import EngineInput

    from sampler.prompt import Prompt


KIND = "engine"


@dataclass(frozen=True)
class RenderedPrompt:
    """A prompt as vLLM takes it: tokenised, placeholders expanded, visuals through the processor once; its tokens, and
    those of its largest picture or video."""

    prompt_id: str
    engine_input: EngineInput
    num_tokens: int
    num_vision_tokens_max: int


@dataclass
class OpenGroup:
    """A group in the engine: what it was asked for and the rollouts finished so far."""

    prompt_id: str
    plan: SamplingPlan
    policy_version: int
    num_expected: int
    prompt_token_ids: np.ndarray
    finished: dict[int, Rollout] = field(default_factory=dict)


class RolloutEngine:
    """Owned by one thread, apart from `render` and `length`, which may run in another, one at a time.

    Set `engine_environment` before the first import of vLLM, that is, before making one.
    """

    def __init__(self, model_path: str, config: SamplerConfig) -> None:
        from vllm import LLM
        from vllm.utils import network_utils

        # vLLM leaves the file by which its ranks meet among the temporary files, for ever: here it has a folder that
        # goes with the engine, or, where that was killed, when the next one starts.
        temporary = Path(tempfile.gettempdir())
        remove_dead(temporary, KIND)
        self._folder = process_file(temporary, KIND)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        network_utils.tempfile = SimpleNamespace(gettempdir=lambda: str(self._folder))
        # Rendering on CPU sets a thread count that this logger refuses with a warning, once per request.
        logging.getLogger("vllm.v1.worker.cpu_worker").setLevel(logging.ERROR)
        if config.device == "cpu":
            inspect_here(model_path)
        self.config = config
        self.policy_version = 0
        self._llm = LLM(**self.arguments(model_path, config))
        self._engine = self._llm.llm_engine
        self._tokenizer: Any = self._llm.get_tokenizer()
        self._renderer = self._engine.renderer
        # Length is judged here, by a rule that counts, rather than by vLLM, which raises.
        self._tokenize_params = dataclasses.replace(
            self._renderer.default_chat_tok_params, max_total_tokens=None, add_special_tokens=False
        )
        self._visual_tokens_limit: int = self._engine.input_processor.mm_encoder_cache_size
        self._open: dict[str, OpenGroup] = {}
        self._group_of_request: dict[str, tuple[OpenGroup, int]] = {}
        self._weights_usable = True

    # What a `PoolingEngine` does another way

    def arguments(self, model_path: str, config: SamplerConfig) -> dict[str, Any]:
        """The arguments of `vllm.LLM`."""
        return engine_arguments(model_path, config)

    def request_params(self, plan: SamplingPlan, prompt_id: str, index: int) -> Any:
        """vLLM's parameters for one request."""
        return sampling_params(plan, plan.seed_for(prompt_id, index))

    # Prompts in

    def render(self, prompt: Prompt) -> RenderedPrompt:
        """Raises BadInput, naming the prompt, when its messages, images or videos cannot be processed."""
        from vllm.renderers.inputs.preprocess import parse_model_prompt

        try:
            request: dict[str, Any] = {"prompt": self.chat_text(prompt)}
            if prompt.images or prompt.videos:
                request["multi_modal_data"] = self._decoded(prompt)
                # Naming pictures by their encoded bytes spares vLLM hashing the decoded ones.
                request["multi_modal_uuids"] = {
                    kind: [one.shown_hash for one in prompt.vision_inputs if one.kind == kind]
                    for kind in request["multi_modal_data"]
                }
            parsed = parse_model_prompt(self._engine.model_config, request)
            (engine_input,) = self._renderer.render_cmpl([parsed], self._tokenize_params)
        except (ValueError, OSError, KeyError, TypeError) as error:
            raise BadInput(f"prompt {prompt.prompt_id} cannot be rendered: {error}") from error
        places = engine_input.get("mm_placeholders", {}).values()
        largest = max((one.get_num_embeds() for place in places for one in place), default=0)
        num_tokens = len(engine_input["prompt_token_ids"])
        return RenderedPrompt(prompt.prompt_id, engine_input, num_tokens, largest)

    def _decoded(self, prompt: Prompt) -> dict[str, Any]:
        """Pictures, and videos as the frames that the model's processor chooses, in vLLM's terms."""
        decoded: dict[str, Any] = {}
        if prompt.images:
            decoded["image"] = prompt.pil_images()
        if prompt.videos:
            clips = [clip_of(video, self._video_processor) for video in prompt.videos]
            decoded["video"] = [
                (clip.frames, clip.metadata() | {"do_sample_frames": False}) for clip in clips
            ]
        return decoded

    @cached_property
    def _video_processor(self) -> Any:
        from transformers import AutoProcessor

        processor: Any = AutoProcessor.from_pretrained(self._engine.model_config.model)
        return getattr(processor, "video_processor", None)

    def chat_text(self, prompt: Prompt) -> str:
        """The prompt as text, one placeholder per picture or video."""
        return chat_text(prompt, self._tokenizer, self.config.chat_template_kwargs)

    def why_dropped(self, rendered: RenderedPrompt, plan: SamplingPlan) -> DroppedPrompt | None:
        """The rule: prompt and longest response fit the model's length, each visual the vision encoder's budget."""
        prompt_id, num_tokens, largest = (
            rendered.prompt_id,
            rendered.num_tokens,
            rendered.num_vision_tokens_max,
        )
        limit, visual_limit = self.config.max_model_len - plan.max_response_tokens, self._visual_tokens_limit
        if num_tokens > limit:
            return DroppedPrompt(prompt_id, "prompt_too_long", num_tokens, limit)
        if largest > visual_limit:
            return DroppedPrompt(prompt_id, "visual_too_large", largest, visual_limit)
        return None

    def add(self, rendered: RenderedPrompt, plan: SamplingPlan, indices: range) -> None:
        """Queue the prompt's rollouts, each a request with its own seed; they share one processed picture."""
        if not self._weights_usable:
            raise RuntimeError("the last weight update failed half-way; sync weights again before sampling")
        group = OpenGroup(
            prompt_id=rendered.prompt_id,
            plan=plan,
            policy_version=self.policy_version,
            num_expected=len(indices),
            prompt_token_ids=np.asarray(rendered.engine_input["prompt_token_ids"], dtype=np.int32),
        )
        assert rendered.prompt_id not in self._open, f"prompt {rendered.prompt_id} is already being sampled"
        self._open[rendered.prompt_id] = group
        for index in indices:
            rollout_id = plan.rollout_id(rendered.prompt_id, index)
            self._group_of_request[rollout_id] = (group, index)
            params = self.request_params(plan, rendered.prompt_id, index)
            self._engine.add_request(rollout_id, rendered.engine_input, params)

    # Rollouts out

    @property
    def has_unfinished(self) -> bool:
        return bool(self._open)

    def step(self) -> list[tuple[Rollout, ...]]:
        """One forward pass; returns the groups it completed, their rollouts in index order."""
        completed = []
        for output in self._engine.step():
            if not output.finished:
                continue
            group, index = self._group_of_request.pop(output.request_id)
            group.finished[index] = self.rollout(group, index, output)
            if len(group.finished) == group.num_expected:
                del self._open[group.prompt_id]
                completed.append(tuple(group.finished[i] for i in sorted(group.finished)))
        return completed

    def abort_all(self) -> None:
        """Forget everything queued and running."""
        self._engine.abort_request(list(self._group_of_request))
        self._group_of_request.clear()
        self._open.clear()

    def rollout(self, group: OpenGroup, index: int, output: Any) -> Rollout:
        """vLLM's finished output as a rollout: log-probabilities of the sampled tokens, text without the stop token."""
        response = output.outputs[0]
        tokens = np.asarray(response.token_ids, dtype=np.int32)
        logprobs: Any = response.logprobs
        assert list(logprobs.token_ids) == list(response.token_ids), "one log-probability per sampled token"
        ends_with_stop_token = response.finish_reason == "stop"
        turn = Turn(
            group.prompt_token_ids,
            tokens,
            np.asarray(logprobs.logprobs, dtype=np.float32),
            response.finish_reason,
            ((group.policy_version, len(tokens)),),
        )
        return Rollout(
            rollout_id=output.request_id,
            prompt_id=group.prompt_id,
            index=index,
            turns=(turn,),
            text=self._tokenizer.decode(
                tokens[:-1] if ends_with_stop_token else tokens, skip_special_tokens=False
            ),
            routed_experts=response.routed_experts,
        )

    # Weights

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        self._llm.collective_rpc("watch_weights")
        self._llm.init_weight_transfer_engine({"init_info": init_info})

    def start_weight_update(self) -> None:
        assert not self.has_unfinished, "weights are exchanged between sampling calls"
        self._llm.start_weight_update()
        self._weights_usable = False

    def update_weights(self, update_info: Any) -> None:
        self._llm.update_weights({"update_info": update_info})

    def finish_weight_update(self, policy_version: int) -> None:
        """Make the new weights the ones sampled from; activations cached under the old ones are forgotten."""
        self._llm.finish_weight_update(str(policy_version))
        if not self._engine.reset_prefix_cache():
            raise RuntimeError("the prefix cache could not be reset; its entries belong to the old weights")
        self._engine.reset_encoder_cache()
        self._engine.reset_mm_cache()
        assert self._llm.get_weight_version() == str(policy_version)
        self.policy_version = policy_version
        self._weights_usable = True

    def set_policy_version(self, policy_version: int) -> None:
        """Name the version of the weights loaded from the checkpoint."""
        self._llm.update_weight_version(str(policy_version))
        self.policy_version = policy_version

    def weight_checksums(self, dtype: str) -> list[dict[str, int]]:
        """Of each vLLM process, by hub name: see `VllmExtension`."""
        found: list[dict[str, int]] = self._llm.collective_rpc("weight_checksums", args=(dtype,))
        return found

    def shutdown(self) -> None:
        self._engine.engine_core.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)


def inspect_here(model_path: str) -> None:
    """Load the model's class in this process, where vLLM would start another to look at it: 14 s of CPU time a worker,
    the first time on a machine. It does that to keep its own process off the GPU."""
    from transformers import PretrainedConfig
    from vllm import ModelRegistry

    config, _ = PretrainedConfig.get_config_dict(model_path)
    for name in config.get("architectures", ()):
        if name in ModelRegistry.models:
            ModelRegistry.register_model(name, ModelRegistry.models[name].load_model_cls())


def import_vllm() -> None:
    """What an engine will need, most of the time that it takes to start."""
    import vllm.entrypoints.llm
    import vllm.v1.engine.core  # noqa: F401
