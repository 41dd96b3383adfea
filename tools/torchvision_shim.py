"""Let a CUDA build of torchvision be imported beside CPU torch; set-up copies this file into the environment.

The registry's torchvision is built for CUDA. Beside CPU torch its compiled operators do not load, and
`import torchvision` then dies on "operator torchvision::nms does not exist", because it registers shape
functions for two operators that only the compiled library declares. The import is all Hone needs
(transformers' Qwen3-VL processor asks for it, never for the operators), so this module declares the two
schemas just before torchvision is first imported. Calling `torchvision.ops.nms` still raises torchvision's
own clear error.

A `.pth` line imports this module at every interpreter start, subprocesses included; until torchvision is
imported it costs one entry on `sys.meta_path`.
"""

import sys

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_libraries: list[object] = []  # torch drops the declarations when the Library object dies


class _DeclareOperators:
    """Sees the first import of torchvision, declares its operators and steps aside."""

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> None:
        if name != "torchvision":
            return
        sys.meta_path.remove(cls)
        import torch

        library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in _SCHEMAS:
            library.define(schema)
        _libraries.append(library)  # and the next finder finds the real torchvision


sys.meta_path.insert(0, _DeclareOperators)
