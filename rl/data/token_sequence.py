"""One flat sequence of tokens: a mask says which are learnt from, named columns say what is known of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sampler.vision_input import VisionInput

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TokenSequence:
    """A conversation as it enters a batch: a prompt and its response, or several turns with what a tool said between.

    ``token_ids`` [L], placeholders of pictures expanded. ``loss_mask`` [L]: 1 where a token is learnt from, 0 elsewhere
    and at the first token, which nothing predicts. ``columns`` [L]: numbers of each token by name (sample_logprobs and
    so on), read where the mask is not 0. ``scalars``: numbers of the sequence by name (kl_coef, is_right).
    ``vision_inputs``: all that the tokens show, in order; where those of a ``prompt_id`` show the same, it is encoded
    once.

    >>> two_turns = TokenSequence("s", "p", np.arange(7, dtype=np.int32), np.float32([0, 0, 1, 1, 0, 0, 1]))
    >>> two_turns.token_ids[two_turns.loss_mask > 0].tolist()
    [2, 3, 6]
    """

    sequence_id: str
    prompt_id: str
    token_ids: npt.NDArray[np.int32]
    loss_mask: Floats
    columns: Mapping[str, Floats] = field(default_factory=dict)
    scalars: Mapping[str, float] = field(default_factory=dict)
    vision_inputs: tuple[VisionInput, ...] = ()

    def __post_init__(self) -> None:
        for name, column in {"loss_mask": self.loss_mask, **self.columns}.items():
            assert len(column) == len(self.token_ids), f"{name}: one number a token"
        assert not self.loss_mask[:1].any(), "nothing predicts the first token"

    @classmethod
    def of_response(
        cls, sequence_id: str, prompt_id: str, prompt: npt.ArrayLike, response: npt.ArrayLike, **given: Any
    ) -> TokenSequence:
        """``of_turns`` with one turn."""
        return cls.of_turns(sequence_id, prompt_id, [(prompt, response)], **given)

    @classmethod
    def of_turns(
        cls,
        sequence_id: str,
        prompt_id: str,
        turns: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
        *,
        columns: Mapping[str, npt.ArrayLike] | None = None,
        scalars: Mapping[str, float] | None = None,
        vision_inputs: tuple[VisionInput, ...] = (),
    ) -> TokenSequence:
        """Turns of (tokens given, tokens said), learnt from what was said; ``columns`` are [tokens said].

        >>> TokenSequence.of_turns("s", "p", [([1, 2], [3]), ([4], [5, 6])]).loss_mask.tolist()
        [0.0, 0.0, 1.0, 0.0, 1.0, 1.0]
        """
        parts = [np.asarray(part, np.int32) for turn in turns for part in turn]
        said = np.repeat(np.arange(len(parts)) % 2 == 1, [len(part) for part in parts])

        def where_said(values: npt.ArrayLike) -> Floats:
            column = np.zeros(len(said), np.float32)
            column[said] = values
            return column

        return cls(
            sequence_id,
            prompt_id,
            np.concatenate(parts),
            said.astype(np.float32),
            {name: where_said(values) for name, values in (columns or {}).items()},
            scalars or {},
            vision_inputs,
        )
