"""Whether a video's encoded bytes decode, and a model's frames of it.

Which frames these are says the film's schedule, or without one the rule of the model's own video processor (Qwen3-VL:
two a second, at least 4, at most 768), so that whoever samples, trains on or scores a prompt sees the same ones.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from sampler.frame_schedule import FramePlan, FrameSchedule, fitted_size
from sampler.image import ANY_MODEL, ImageLimits
from sampler.vision_input import VisionInput, media_type
from verifiers.errors import BadInput

MAX_PIXELS = 16_000_000  # of a frame: 4K has 8.3 million
MAX_FRAMES = 400_000  # three hours and more at 30 a second
MAX_CLIP_BYTES = 2 * 2**30  # of the frames chosen: 345 of 1920 x 1080, 768 of 1280 x 720

# Nothing else reaches FFmpeg: some of its formats (HLS, concat) are lists of other files and addresses, which a hostile
# row could have it open.
CONTAINERS = {
    "video/mp4": "MP4 or MOV",
    "video/webm": "WebM or Matroska",
    "video/x-msvideo": "AVI",
    "image/gif": "GIF",
}


@dataclass(frozen=True, eq=False)
class VideoClip:
    """Frames of a video, [frames, height, width, 3] uint8 RGB, and which of all `num_frames` they are, from 0."""

    frames: np.ndarray
    indices: tuple[int, ...]
    num_frames: int
    fps: float

    def metadata(self) -> dict[str, Any]:
        """What transformers' and vLLM's video processors ask for beside the frames."""
        return {
            "total_num_frames": self.num_frames,
            "fps": self.fps,
            "duration": self.num_frames / self.fps,
            "frames_indices": list(self.indices),
            "video_backend": "opencv",
        }


FrameRule = Callable[[int, float], Sequence[int]]  # (number of frames, frames a second) -> places
FrameSize = Callable[[int, int], tuple[int, int]]  # (width, height) as filmed -> as shown


def check_video(encoded: bytes, limits: ImageLimits = ANY_MODEL, *, decode: bool = True) -> None:
    """Read the header of a video and, with `decode`, its first and last frame. Raises `BadInput` with the reason, never
    anything else."""
    capture, _, _ = _open(encoded)
    limits.check_aspect(*_frame_size(capture))
    if decode:
        decode_video(encoded, lambda num_frames, fps: (0, num_frames - 1))


def clip_of(video: VisionInput, video_processor: Any) -> VideoClip:
    """The frames of a video that a model is shown. Raises `BadInput` where it takes none, and for a broken video."""
    return clip_for(video.read(), video_processor, video.schedule)


def clip_for(encoded: bytes, video_processor: Any, schedule: FrameSchedule | None = None) -> VideoClip:
    """The frames that a schedule chooses, or without one a model's video processor (transformers'). Raises `BadInput`
    where the model has none."""
    from transformers.video_utils import VideoMetadata

    if video_processor is None:
        raise BadInput("the model's processor takes no videos")
    if schedule is not None:
        return _scheduled(encoded, video_processor, schedule)

    def chosen(num_frames: int, fps: float) -> Sequence[int]:
        if not video_processor.do_sample_frames:
            return range(num_frames)
        count = video_processor.num_frames
        indices: Sequence[int] = video_processor.sample_frames(
            VideoMetadata(total_num_frames=num_frames, fps=fps),
            num_frames=count,
            fps=video_processor.fps if count is None else None,
        )
        return indices

    return decode_video(encoded, chosen)


def _scheduled(encoded: bytes, video_processor: Any, schedule: FrameSchedule) -> VideoClip:
    """Frames of a size that the processor leaves as it is."""
    unit = video_processor.patch_size * video_processor.merge_size
    merged = video_processor.temporal_patch_size
    limit = film_tokens(video_processor)
    plan = FramePlan((), 0)

    def chosen(num_frames: int, fps: float) -> Sequence[int]:
        nonlocal plan
        plan = schedule.plan(num_frames, fps, merged=merged, limit=limit)
        return plan.indices

    return decode_video(encoded, chosen, lambda *size: fitted_size(*size, tokens=plan.tokens, unit=unit))


def film_tokens(video_processor: Any) -> int:
    """So many tokens a video may take in all by the model's own processor, which shrinks longer ones."""
    unit = video_processor.patch_size * video_processor.merge_size
    pixels: int = video_processor.size["longest_edge"]
    return pixels // (unit * unit * int(video_processor.temporal_patch_size))


def processed_clip(clip: VideoClip, video_processor: Any) -> Any:
    """Transformers' features of one video: pixel_values_videos [patches, features], video_grid_thw [1, 3], and the
    metadata from which a processor makes the text around its frames."""
    return video_processor(
        videos=[clip.frames],
        video_metadata=[clip.metadata()],
        do_sample_frames=False,
        return_metadata=True,
        return_tensors="pt",
    )


def decode_video(encoded: bytes, rule: FrameRule, size: FrameSize | None = None) -> VideoClip:
    """The frames that ``rule`` chooses, shrunk to the ``size`` that is asked for next. Where a file holds fewer frames
    than it claims, ``rule`` is asked again with the number there are. Raises `BadInput` for what does not decode."""
    capture, num_frames, fps = _open(encoded)
    if not num_frames:  # some containers do not say
        num_frames = _frames(capture, (MAX_FRAMES,))[1]
        capture, _, _ = _open(encoded)
    for _ in range(3):
        if not num_frames:
            break
        indices = sorted({min(max(int(index), 0), num_frames - 1) for index in rule(num_frames, fps)})
        frames, seen = _frames(capture, indices, size)
        if len(frames) == len(indices):
            return VideoClip(np.stack(frames), tuple(indices), num_frames, fps)
        num_frames = seen
        capture, _, _ = _open(encoded)
    raise BadInput("the video has no frame that decodes")


def _frames(
    capture: Any, indices: Sequence[int], size: FrameSize | None = None
) -> tuple[list[np.ndarray], int]:
    """The frames at ``places`` in order, as far as they are there, and how many were passed."""
    frames: list[np.ndarray] = []
    seen = 0
    while len(frames) < len(indices) and capture.grab():
        if seen == indices[len(frames)]:
            decoded, frame = capture.retrieve()
            if not decoded:
                break
            if size is not None and (wanted := size(frame.shape[1], frame.shape[0])) != frame.shape[1::-1]:
                frame = _cv2().resize(frame, wanted, interpolation=_cv2().INTER_AREA)
            if frame.size * len(indices) > MAX_CLIP_BYTES:
                height, width = frame.shape[:2]
                raise BadInput(
                    f"{len(indices)} frames of {width} x {height} pixels are chosen from the video, more than "
                    f"{MAX_CLIP_BYTES / 2**30:.0f} GiB: make its frames smaller"
                )
            frames.append(np.ascontiguousarray(frame[..., ::-1]))  # OpenCV's order is blue, green, red
        seen += 1
    return frames, seen


def _open(encoded: bytes) -> tuple[Any, int, float]:
    """OpenCV's reader at the first frame, the number of frames claimed, frames a second."""
    container = CONTAINERS.get(media_type(encoded) or "")
    if container is None:
        raise BadInput(f"the video is none of {', '.join(CONTAINERS.values())}")
    cv2 = _cv2()
    # As a file, which has no name on disk: OpenCV's reader of Python streams crashes the process on some broken videos.
    file = os.memfd_create("video")
    try:
        with os.fdopen(os.dup(file), "wb") as stream:
            stream.write(encoded)
        capture = cv2.VideoCapture(f"/proc/self/fd/{file}", cv2.CAP_FFMPEG, [])
    finally:
        os.close(file)
    if not capture.isOpened():
        raise BadInput(f"the video does not open: a broken {container}, or a codec that FFmpeg lacks")
    width, height = _frame_size(capture)
    if not width * height <= MAX_PIXELS:
        raise BadInput(
            f"the video's frames claim {width:.0f} x {height:.0f} pixels, more than {MAX_PIXELS:,}"
        )
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    if not (math.isfinite(fps) and 0 < fps <= 1000):
        raise BadInput(f"the video claims {fps:g} frames a second")
    claimed = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    num_frames = int(claimed) if math.isfinite(claimed) else 0
    if num_frames > MAX_FRAMES:
        raise BadInput(f"the video claims {num_frames:,} frames, more than {MAX_FRAMES:,}: cut it")
    return capture, max(num_frames, 0), fps


def _frame_size(capture: Any) -> tuple[float, float]:
    cv2 = _cv2()
    return capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)


@cache
def _cv2() -> Any:
    """OpenCV, silent: it and FFmpeg would write a line to the terminal for each broken video."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2
