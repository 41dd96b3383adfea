"""Verifiers by name: the built-in lines, the entry-point group `hone.verifiers`, or `package.module:Name`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verifiers.errors import BadInput, UnknownVerifier, near_name
from verifiers.plug_in import load_object, plug_in_path, plug_ins
from verifiers.verifier import Verifier

ENTRY_POINT_GROUP = "hone.verifiers"

BUILT_IN: dict[str, str] = {
    "math": "verifiers.kinds.math_answer:MathVerifier",
    "number": "verifiers.kinds.number:NumberVerifier",
    "choice": "verifiers.kinds.choice:ChoiceVerifier",
    "string": "verifiers.kinds.string_match:StringVerifier",
    "relaxed_accuracy": "verifiers.kinds.relaxed_accuracy:RelaxedAccuracyVerifier",
    "anls": "verifiers.kinds.text_overlap:AnlsVerifier",
    "edit_similarity": "verifiers.kinds.text_overlap:EditSimilarityVerifier",
    "vqa_soft": "verifiers.kinds.text_overlap:VqaSoftVerifier",
    "token_f1": "verifiers.kinds.text_overlap:TokenF1Verifier",
    "count": "verifiers.kinds.relaxed_accuracy:CountVerifier",
    "bbox_iou": "verifiers.kinds.regions.bbox_iou:BboxIouVerifier",
    "polygon_iou": "verifiers.kinds.regions.polygon_iou:PolygonIouVerifier",
    "point_in_box": "verifiers.kinds.regions.point:PointInBoxVerifier",
    "point_distance": "verifiers.kinds.regions.point:PointDistanceVerifier",
    "temporal_iou": "verifiers.kinds.regions.point:TemporalIouVerifier",
    "instruction": "verifiers.instructions.instruction:InstructionVerifier",
    "puzzle": "verifiers.puzzles.puzzle:PuzzleVerifier",
    "json_schema": "verifiers.kinds.json_schema:JsonSchemaVerifier",
    "code": "verifiers.kinds.code:CodeVerifier",
    "spot_difference": "verifiers.kinds.regions.spot_difference:SpotDifferenceVerifier",
    "all_of": "verifiers.kinds.combinator:AllOfVerifier",
    "any_of": "verifiers.kinds.combinator:AnyOfVerifier",
    "weighted": "verifiers.kinds.combinator:WeightedVerifier",
    "gate": "verifiers.kinds.combinator:GateVerifier",
    "cascade": "verifiers.kinds.combinator:CascadeVerifier",
}


def verifier_names() -> list[str]:
    """Every name that `load_verifier` knows, built-in first."""
    return [*BUILT_IN, *sorted(set(plug_ins(ENTRY_POINT_GROUP)) - set(BUILT_IN))]


def verifier_class(name: str) -> type[Verifier[Any, Any]]:
    """The class behind a name. Raises `UnknownVerifier`, or `BadInput` where the path leads to no verifier."""
    path = BUILT_IN.get(name) or plug_in_path(ENTRY_POINT_GROUP, name)
    if path is not None:
        return _import_class(path, name)
    known = verifier_names()
    near = near_name(name, known)
    all_of_them = "" if near else f" (known: {', '.join(known)}; or package.module:Name)"
    raise UnknownVerifier(f"unknown verifier {name!r}{near}{all_of_them}")


def load_verifier(name: str, options: Mapping[str, Any] | None = None) -> Verifier[Any, Any]:
    """A verifier ready for use; options are checked against the class's own `Config`."""
    return verifier_class(name)(dict(options or {}))


def _import_class(path: str, name: str) -> type[Verifier[Any, Any]]:
    found = load_object(path, f"verifier {name!r}", UnknownVerifier)
    if not (isinstance(found, type) and issubclass(found, Verifier)):
        raise BadInput(f"{path!r} is not a subclass of verifiers.verifier.Verifier")
    missing = [*(["kind"] if not hasattr(found, "kind") else []), *sorted(found.__abstractmethods__)]
    if missing:
        raise BadInput(f"class {found.__name__} of {path!r} has no {', no '.join(missing)}: add them")
    return found
