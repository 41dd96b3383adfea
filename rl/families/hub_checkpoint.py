"""The weights of a checkpoint in the hub layout, read parameter by parameter as a family's model holds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl.families.family import ModelFamily
from verifiers.errors import BadInput

if TYPE_CHECKING:
    import torch


class HubCheckpoint:
    """Opens a checkpoint's safetensors files; a tensor is read when it is asked for."""

    def __init__(self, family: ModelFamily, directory: Path) -> None:
        from safetensors import safe_open

        self._family, self._directory = family, directory
        files: list[Any] = [safe_open(file, "pt") for file in sorted(directory.glob("*.safetensors"))]
        self._file_of = {name: file for file in files for name in file.keys()}  # noqa: SIM118 - not a mapping

    def require(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """That it holds parameters of these names and shapes, by its files' headers alone. Raises: BadInput."""
        for name, shape in shapes.items():
            for hub in self._family.hub_tensors(name, shape):
                if hub.name not in self._file_of:
                    raise BadInput(
                        f"{self._directory} has no {hub.name}: is it a checkpoint of "
                        f"model.family={self._family.name}?"
                    )
                held = tuple(self._file_of[hub.name].get_slice(hub.name).get_shape())
                if held != hub.shape:
                    raise BadInput(
                        f"{self._directory}: {hub.name} is {list(held)}, its config.json says {list(hub.shape)}"
                    )

    def parameter(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """The parameter of this name and shape."""
        names = [hub.name for hub in self._family.hub_tensors(name, shape)]
        return self._family.from_hub(name, [self._file_of[hub].get_tensor(hub) for hub in names])
