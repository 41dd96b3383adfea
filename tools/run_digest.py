"""What a run left, without what a clock had a hand in, as values that can be compared."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

TIMED = ("time/", "rollout/tokens_per_s", "train/tokens_per_s", "rollout/num_worker_restarts")
TIMED_COLUMNS = ("judge_s", "sampled_s")
TIMED_RESULTS = ("tokens_per_s",)
JSON_COLUMNS = ("score_parts", "verdict", "verifier_options")
RENAMED_STAGE = re.compile(r"\b(\d+)-collect-r(?=\d)")  # the name of harvest stages in earlier runs

Record = dict[str, Any]  # {"train/loss": 0.7, ...}
Part = dict[str, Record]  # by the record's name: {"03-rl-r0 step 2": {...}, ...}
Digest = dict[str, Part]  # by the part's name


def metric_lines(run: Path) -> Iterator[dict[str, Any]]:
    """Every line of the log of metrics, without what a clock had a hand in."""
    for text in (run / "metrics.jsonl").read_text().splitlines():
        line = json.loads(text)
        del line["time"]
        line["metrics"] = {
            name: value for name, value in line["metrics"].items() if not name.startswith(TIMED)
        }
        yield line


def rollout_rows(run: Path) -> Iterator[dict[str, Any]]:
    """Every logged rollout, without the seconds that it and its verdict took."""
    for file in sorted(run.glob("rollouts/*/*.parquet")):
        for row in pq.read_table(file).to_pylist():
            yield {name: value for name, value in row.items() if name not in TIMED_COLUMNS}


def weights_hash(file: Path) -> str:
    """SHA-256 over name, dtype, shape and bytes of each tensor, whatever their order in the file."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        header_bytes = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(header_bytes))
        header.pop("__metadata__", None)
        for name, tensor in sorted(header.items()):
            begin, end = tensor["data_offsets"]
            stream.seek(8 + header_bytes + begin)
            digest.update(json.dumps([name, tensor["dtype"], tensor["shape"]]).encode())
            digest.update(stream.read(end - begin))
    return digest.hexdigest()


def digest_of(run: Path) -> Digest:
    """Raises: ValueError where `run` is no run directory, or something is logged twice."""
    if not (run / "metrics.jsonl").is_file():
        raise ValueError(f"{run} is no run directory: it has no metrics.jsonl")
    return {name: read(run) for name, read in PARTS.items()}


def _metrics(run: Path) -> Part:
    part: Part = {}
    for line in metric_lines(run):
        name = f"{line.pop('stage')} step {line.pop('step')}"
        line["kind"] = {"collect": "harvest"}.get(line["kind"], line["kind"])
        _add(part, name, {**line.pop("metrics"), **line})
    return part


def _rollouts(run: Path) -> Part:
    part: Part = {}
    for row in rollout_rows(run):
        _add(part, f"{row['stage']} step {row['step']} rollout {row['rollout_id']}", _parsed(row))
    return part


def _harvested(run: Path) -> Part:
    part: Part = {}
    for stage in sorted(run.glob("stages/*")):
        if not re.search(r"-(collect|harvest)-r\d+$", stage.name):
            continue
        for file in sorted(stage.glob("*.parquet")):
            for number, row in enumerate(pq.read_table(file).to_pylist()):
                _add(part, f"{stage.name} row {number}", _parsed(row))
    return part


def _results(run: Path) -> Part:
    part: Part = {}
    for file in sorted(run.glob("stages/*/manifest.json")):
        result = json.loads(file.read_text())["result"]
        kept = {name: value for name, value in result.items() if name not in TIMED_RESULTS}
        _add(part, file.parent.name, kept)
    return part


def _weights(run: Path) -> Part:
    part: Part = {}
    for file in sorted(run.rglob("*.safetensors")):
        _add(part, str(file.relative_to(run)), {"sha256": weights_hash(file)})
    return part


PARTS: dict[str, Callable[[Path], Part]] = {
    "metrics": _metrics,
    "rollouts": _rollouts,
    "harvested": _harvested,
    "results": _results,
    "weights": _weights,
}


def _add(part: Part, name: str, record: Mapping[str, Any]) -> None:
    name = _renamed(name)
    if name in part:
        raise ValueError(f"{name} is there twice")
    part[name] = dict(_leaves(record))


def _parsed(row: Mapping[str, Any]) -> Record:
    """A row of a table; a column of JSON text becomes the object it holds, so that its keys compare one by one."""
    return {
        name: json.loads(value) if name in JSON_COLUMNS and value else value for name, value in row.items()
    }


def _leaves(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its dotted key."""
    for name, value in record.items():
        key = _renamed(f"{prefix}{name}")
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{key}.")
        else:
            yield key, _plain(value)


def _plain(value: Any) -> Any:
    """As JSON can hold it: bytes (pictures, films) by their hash, stages by today's name."""
    if isinstance(value, bytes):
        return f"sha256:{hashlib.sha256(value).hexdigest()}"
    if isinstance(value, str):
        return _renamed(value)
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, Sequence):
        return [_plain(inner) for inner in value]
    return value


def _renamed(text: str) -> str:
    return RENAMED_STAGE.sub(r"\1-harvest-r", text)


def read_digest(path: Path) -> Digest:
    """Of a run directory, or one that `digest --out` wrote. Raises: ValueError for anything else."""
    if path.is_dir():
        return digest_of(path)
    try:
        digest = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is neither a run directory nor a digest: {error}") from error
    if not isinstance(digest, dict) or set(digest) != set(PARTS):
        raise ValueError(f"{path} is no digest: it must hold {', '.join(PARTS)}")
    return digest
