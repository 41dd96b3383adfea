"""Pictures of two to four handwritten digits, split so that no held-out image is trained on."""

from __future__ import annotations

import functools
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

GRID = 2  # cells a side
NUM_CELLS = GRID * GRID
CELL_PX = 16  # one digit; with patch 8 and merge 2 this is one merged vision token
MAX_COORDINATE = 999


@dataclass(frozen=True)
class DigitBank:
    """Cell-sized grey images by digit: `cells[7]` holds every handwritten 7 of this split, each [16, 16] uint8."""

    cells: tuple[tuple[npt.NDArray[np.uint8], ...], ...]

    @property
    def num_images(self) -> int:
        return sum(len(of_digit) for of_digit in self.cells)


@dataclass(frozen=True)
class DigitPicture:
    """`digits[i]` stands in cell `cells[i]` of the 2 x 2 grid (0 1 / 2 3), in reading order."""

    digits: tuple[int, ...]
    cells: tuple[int, ...]
    png: bytes

    def box(self, digit: int) -> tuple[int, int, int, int]:
        """The cell of a digit as x1, y1, x2, y2 in [0, 999]; the digit must occur exactly once."""
        assert self.digits.count(digit) == 1, f"{digit} does not occur exactly once in {self.digits}"
        return cell_box(self.cells[self.digits.index(digit)])


def cell_box(cell: int) -> tuple[int, int, int, int]:
    """The box of a grid cell in [0, 999]: cell 1 is (500, 0, 999, 499)."""
    row, column = divmod(cell, GRID)
    step = (MAX_COORDINATE + 1) // GRID
    return column * step, row * step, (column + 1) * step - 1, (row + 1) * step - 1


@functools.cache
def digit_banks(heldout_frac: float, split_seed: int) -> tuple[DigitBank, DigitBank]:
    """(train, held-out) banks of the 1,797 8 x 8 images, split image by image within each digit.

    The split depends on `split_seed` alone, so runs with different seeds share one held-out set.
    """
    images, labels = _handwriting()
    rng = random.Random(f"digit split {split_seed}")
    train: list[tuple[npt.NDArray[np.uint8], ...]] = []
    heldout: list[tuple[npt.NDArray[np.uint8], ...]] = []
    for digit in range(10):
        cells = [_as_cell(image) for image in images[labels == digit]]
        rng.shuffle(cells)
        num_heldout = max(1, round(heldout_frac * len(cells)))
        heldout.append(tuple(cells[:num_heldout]))
        train.append(tuple(cells[num_heldout:]))
    return DigitBank(tuple(train)), DigitBank(tuple(heldout))


def _handwriting() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Images [1797, 8, 8] with ink 0..16, labels [1797]: the test set of UCI's "Optical Recognition of Handwritten
    Digits" (E. Alpaydin, C. Kaynak, 1998; CC BY 4.0), byte for byte the file that scikit-learn ships.

    It lies here because transformers imports scikit-learn, 1.5 s of every process, wherever that is installed."""
    rows = np.loadtxt(Path(__file__).with_name("handwriting.csv.gz"), delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)


def _as_cell(image: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """[8, 8] ink 0..16 -> [16, 16] grey 0..255."""
    grey = np.round(image * (255 / 16)).astype(np.uint8)
    return np.kron(grey, np.ones((CELL_PX // 8, CELL_PX // 8), dtype=np.uint8))


def draw_picture(
    bank: DigitBank, rng: random.Random, num_digits: int, *, random_cells: bool = False
) -> DigitPicture:
    """A random picture. Digits fill the grid from the top left, or random cells in reading order."""
    digits = tuple(rng.randrange(10) for _ in range(num_digits))
    cells: Sequence[int] = range(num_digits)
    if random_cells:
        cells = sorted(rng.sample(range(NUM_CELLS), num_digits))
    canvas = np.zeros((GRID * CELL_PX, GRID * CELL_PX), dtype=np.uint8)
    for digit, cell in zip(digits, cells, strict=True):
        row, column = divmod(cell, GRID)
        y, x = row * CELL_PX, column * CELL_PX
        canvas[y : y + CELL_PX, x : x + CELL_PX] = rng.choice(bank.cells[digit])
    return DigitPicture(digits=digits, cells=tuple(cells), png=_encode(canvas))


def _encode(grey: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    rgb = np.repeat(grey[:, :, None], 3, axis=2)  # [32, 32, 3]
    Image.frombytes("RGB", grey.shape, rgb.tobytes()).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
