"""A picture's print: a perceptual hash to find its like by, and its pixels in little to tell whether they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sampler.data.packed_rows import in_processes
from sampler.image import ANY_MODEL, reduced_image
from sampler.vision_input import VisionInput
from verifiers.errors import BadInput

SIDE = 12  # of a picture in little
MAX_DISTANCE = 10  # bits of 64 in which hashes of near pictures differ
SURE_DISTANCE = 7  # up to which all of them are found; of those at 8 bits 96%
MAX_RMS = 6.0  # of 255: root mean square of the differences of two pictures in little
_CHUNK = 65_536  # pairs compared at once
_PART = 256  # pictures that a process looks at in one go


class PicturePrint(NamedTuple):
    """The 64-bit perceptual hash (DCT of 32 x 32 grey pixels, its 8 x 8 lowest frequencies against their median;
    imagehash's `phash`), and the picture in little, [12, 12, 3] uint8."""

    hash: int
    little: np.ndarray

    @classmethod
    def of(cls, encoded: bytes) -> PicturePrint:
        """Raises `BadInput` for what does not decode."""
        import imagehash
        from PIL import Image

        picture = reduced_image(encoded, 64, ANY_MODEL)
        bits = imagehash.phash(picture).hash.flatten()
        little = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX))
        return cls(int.from_bytes(np.packbits(bits).tobytes(), "big"), little)


@dataclass(frozen=True)
class PicturePrints:
    """Of different pictures: `hashes` [n] uint64, `little` [n, 432] uint8, and `index` by content hash. A picture that
    cannot be read any more has no print."""

    index: dict[str, int]
    hashes: np.ndarray
    little: np.ndarray

    @classmethod
    def of(cls, pictures: Iterable[VisionInput]) -> PicturePrints:
        """By as many processes as there are cores."""
        different = list({one.content_hash: one for one in pictures if one.kind == "image"}.values())
        parts = [different[start : start + _PART] for start in range(0, len(different), _PART)]
        names: list[str] = []
        hashes: list[int] = []
        little: list[np.ndarray] = []
        for found in in_processes(_prints_of, parts):
            for name, one in found:
                names.append(name)
                hashes.append(one.hash)
                little.append(one.little.reshape(-1))
        return cls(
            {name: at for at, name in enumerate(names)},
            np.array(hashes, np.uint64),
            np.stack(little) if little else np.zeros((0, 3 * SIDE * SIDE), np.uint8),
        )

    @property
    def coarse(self) -> np.ndarray:
        """Each picture as 4 x 4 cells, [n, 48] float32."""
        cells = self.little.reshape(-1, 4, SIDE // 4, 4, SIDE // 4, 3)
        return cells.mean(axis=(2, 4), dtype=np.float32).reshape(-1, 48)


def _prints_of(pictures: Sequence[VisionInput]) -> list[tuple[str, PicturePrint]]:
    found = []
    for one in pictures:
        try:
            found.append((one.content_hash, PicturePrint.of(one.read())))
        except BadInput:
            continue
    return found


def near_pictures(ones: PicturePrints, others: PicturePrints) -> list[tuple[int, int, int]]:
    """(index in ones, index in others, bits that differ) of pictures that look alike in little, the most alike first.
    Whether they are is for their pixels to say."""
    at, to = _near_prints(ones, others)
    near: list[tuple[float, int, int]] = []
    coarse = ones.coarse, others.coarse  # means of cells, which differ at most as their pixels do
    for start in range(0, len(at), _CHUNK):
        a, b = at[start : start + _CHUNK], to[start : start + _CHUNK]
        alike = _rms(coarse[0][a], coarse[1][b]) <= MAX_RMS
        a, b = a[alike], b[alike]
        rms = _rms(ones.little[a], others.little[b])
        alike = rms <= MAX_RMS
        near += list(zip(rms[alike].tolist(), a[alike].tolist(), b[alike].tolist(), strict=True))
    return [(a, b, (int(ones.hashes[a]) ^ int(others.hashes[b])).bit_count()) for _, a, b in sorted(near)]


def _near_prints(ones: PicturePrints, others: PicturePrints) -> tuple[np.ndarray, np.ndarray]:
    """Indices of pairs that may look alike: by their hashes, and by their pixels in little, since many bits of a hash
    hang on nothing where a picture is flat, as charts and drawings are: one pixel moved 10 bits and more in 40% of
    them."""
    pairs = [near_hashes(ones.hashes, others.hashes), near_projections(ones.coarse, others.coarse)]
    codes = np.unique(np.concatenate([at * len(others.hashes) + to for at, to in pairs]))
    return (codes // len(others.hashes), codes % len(others.hashes)) if len(codes) else pairs[0]


_NUM_PROJECTIONS, _BESIDE = 4, 8


def near_projections(ones: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of pairs of rows that stand within ``_BESIDE`` places of each other, when all are put in order along one
    of a few directions: rows that are nearly equal do, in sets of up to some tens of thousands. n log n."""
    if not len(ones) or not len(others):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    directions = (
        np.random.default_rng(0).standard_normal((ones.shape[1], _NUM_PROJECTIONS)).astype(np.float32)
    )
    at, to = [], []
    for asked, keys in zip((ones @ directions).T, (others @ directions).T, strict=True):
        order = np.argsort(keys, kind="stable")
        place = np.searchsorted(keys[order], asked)
        for beside in range(-_BESIDE, _BESIDE):
            at.append(np.arange(len(ones)))
            to.append(order[np.clip(place + beside, 0, len(others) - 1)])
    return np.concatenate(at), np.concatenate(to)


def _rms(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    difference = one.astype(np.float32) - other.astype(np.float32)
    return np.sqrt(np.einsum("ij,ij->i", difference, difference) / one.shape[1])


_BANDS = 4  # of 16 bits: hashes that differ in at most 7 bits have a band in which they differ in at most one
MOST_ALIKE = (
    32  # of one picture in one band; a set of pictures that all look alike is not compared each with each
)
_REST = np.uint64(2**48 - 1)


def near_hashes(ones: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of pairs whose hashes differ in at most ``MAX_DISTANCE`` bits: in each of four bands of 16 bits those are
    looked up that are equal or differ in one bit, so all up to ``SURE_DISTANCE``. n log n; of more than ``MOST_ALIKE``
    in one place those that go on most alike, so that an equal hash is always among them."""
    if not len(ones) or not len(others):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    codes: list[np.ndarray] = []
    for band in range(_BANDS):
        asked, keys = (_turned(hashes, 16 * band) for hashes in (ones, others))
        order = np.argsort(keys, kind="stable")
        ranked = keys[order]
        for mask in (0, *(1 << bit for bit in range(48, 64))):
            probe = asked ^ np.uint64(mask)
            first, last = (
                np.searchsorted(ranked, probe & ~_REST),
                np.searchsorted(ranked, probe | _REST, "right"),
            )
            first = np.clip(np.searchsorted(ranked, probe) - MOST_ALIKE // 2, first, last)
            count = np.minimum(last - first, MOST_ALIKE)
            at = np.repeat(np.arange(len(ones)), count)
            offset = np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)
            to = order[np.repeat(first, count) + offset]
            near = np.bitwise_count(ones[at] ^ others[to]) <= MAX_DISTANCE
            codes.append(at[near] * len(others) + to[near])
    pairs = np.unique(np.concatenate(codes))
    return pairs // len(others), pairs % len(others)


def _turned(hashes: np.ndarray, bits: int) -> np.ndarray:
    """Rotated to the left."""
    return hashes if not bits else (hashes << np.uint64(bits)) | (hashes >> np.uint64(64 - bits))
