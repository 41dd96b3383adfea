"""What a checkpoint must be before an engine loads it, so that a wrong path is told for what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from verifiers.errors import BadInput


def forbidden_token_ids(hub: Path, family: Any) -> tuple[int, ...]:
    """What the policy at this checkpoint must never sample. Raises: BadInput where there is no tokenizer."""
    from transformers import AutoConfig, AutoTokenizer

    if not hub.is_dir():
        raise BadInput(
            f"model.path={hub} is not a directory: give a checkpoint in the hub layout, or leave it out for a tiny "
            "random model"
        )
    if not (hub / "config.json").is_file():
        raise BadInput(
            f"model.path={hub} holds no config.json: give a checkpoint directory in the hub layout"
        )
    try:
        architectures = json.loads((hub / "config.json").read_text()).get("architectures") or []
    except (ValueError, AttributeError) as why:
        raise BadInput(f"model.path={hub}: its config.json is not a JSON object: {why}") from None
    if not set(architectures) & set(family.architectures):
        raise BadInput(
            f"model.path={hub} is a {', '.join(architectures) or 'model without a name'}, but "
            f"model.family={family.name} wants {', '.join(family.architectures)}"
        )
    if not any(hub.glob("*.safetensors")):
        raise BadInput(f"model.path={hub} holds no .safetensors file: its weights are missing")
    try:
        tokenizer = AutoTokenizer.from_pretrained(hub)
    except (OSError, ValueError) as why:
        raise BadInput(f"model.path={hub}: its tokenizer cannot be loaded: {why}") from why
    ids: tuple[int, ...] = family.forbidden_token_ids(tokenizer, AutoConfig.from_pretrained(hub))
    return ids
