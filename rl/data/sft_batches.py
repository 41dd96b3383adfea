"""Supervised rows as trainable sequences, one by one or in packs of a fixed number of tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from rl.data.epochs import epochs_of
from rl.data.prompt_encoder import PromptEncoder
from rl.data.token_sequence import TokenSequence
from sampler.data.sft_row import SftRow


def packs_of(indices: Iterable[int], lengths: Sequence[int], pack_tokens: int) -> Iterator[list[int]]:
    """Places in their order, cut into packs of at most ``pack_tokens`` tokens; a longer row is a pack of its own.

    >>> list(packs_of([0, 1, 2, 3], [3, 3, 3, 9], 6))
    [[0, 1], [2], [3]]
    """
    pack: list[int] = []
    num_tokens = 0
    for index in indices:
        if pack and num_tokens + lengths[index] > pack_tokens:
            yield pack
            pack, num_tokens = [], 0
        pack.append(index)
        num_tokens += lengths[index]
    if pack:
        yield pack


def sft_packs(lengths: Sequence[int], pack_tokens: int | None, *, seed: str) -> Iterator[list[int]]:
    """Packs without end, in epochs shuffled by the seed; without ``pack_tokens`` a row is a pack."""
    indices = epochs_of(len(lengths), seed=seed)
    return ([index] for index in indices) if pack_tokens is None else packs_of(indices, lengths, pack_tokens)


def num_packs(lengths: Sequence[int], pack_tokens: int | None, *, seed: str, num_rows: int) -> int:
    """How many packs the first ``num_rows`` rows of those epochs make."""
    if pack_tokens is None:
        return num_rows
    indices = islice(epochs_of(len(lengths), seed=seed), num_rows)
    return sum(1 for _ in packs_of(indices, lengths, pack_tokens))


def sft_sequences(
    rows: Sequence[SftRow], encoder: PromptEncoder, *, max_tokens: int
) -> tuple[list[TokenSequence], int]:
    """Sequences of the rows, and how many rows were dropped because they are longer than ``max_tokens``."""
    sequences = []
    for number, row in enumerate(rows):
        prompt_ids, response_ids = encoder(row.prompt), encoder.response(row.response)
        if len(prompt_ids) + len(response_ids) <= max_tokens:
            sequences.append(
                TokenSequence.of_response(
                    f"sft-{number}",
                    row.prompt.prompt_id,
                    prompt_ids,
                    response_ids,
                    vision_inputs=row.prompt.vision_inputs,
                )
            )
    return sequences, len(rows) - len(sequences)


def rows_of(sequences: Sequence[TokenSequence], rows: Sequence[SftRow]) -> list[SftRow]:
    """The ``rows`` that `sft_sequences` made these sequences of."""
    return [rows[int(one.sequence_id.removeprefix("sft-"))] for one in sequences]
