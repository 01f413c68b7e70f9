"""Estimate how many frames a run will process, from the headers of a few videos."""

from collections.abc import Sequence

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.core.timeline import NS_PER_S, SamplingParams
from pvtt_flow.stages.factory import make_decoder
from pvtt_flow.types import Source, Video
from pvtt_flow.video.probe import probe

# Enough for an estimate, few enough for a plan in seconds.
_MAX_PROBED = 16


def estimate_frames(config: RunConfig, sources: Sequence[Source]) -> int | None:
    """Estimate the frames to process from the headers of at most 16 videos and the bytes of all.

    A probe decodes the first frame of a video and no other one. Videos that cannot be opened, or
    whose headers do not give a length, are left out. Return None when no probed video is left.
    """
    if not sources:
        return 0
    num_bytes, num_frames = 0, 0.0
    step = max(len(sources) // _MAX_PROBED, 1)
    for source in sources[::step][:_MAX_PROBED]:
        probed_frames = _probe_num_frames(config, source)
        if probed_frames is not None:
            num_bytes += source.size_bytes
            num_frames += probed_frames
    if not num_bytes:
        return None
    return round(sum(source.size_bytes for source in sources) * num_frames / num_bytes)


def _probe_num_frames(config: RunConfig, source: Source) -> float | None:
    try:
        video = make_decoder(config).call(
            probe, source.uri, size_bytes=source.size_bytes, limits=config.limits
        )
    except Exception:  # noqa: BLE001 (the run reports it; an estimate must not stop the plan)
        return None
    return _num_sampled_frames(video, config.sampling)


def _num_sampled_frames(video: Video, sampling: SamplingParams) -> float | None:
    """Return the frames of a video that sampling takes; None when its headers give no length."""
    fps = video.fps_num / max(video.fps_den, 1)
    num_frames: float | None = video.num_frames_from_header
    if num_frames is None:
        num_frames = None if video.duration_ns is None else video.duration_ns / NS_PER_S * fps
    if num_frames is None:
        return None
    if sampling.target_fps is None:
        return num_frames / sampling.stride
    if video.duration_ns is not None:
        return min(num_frames, video.duration_ns / NS_PER_S * sampling.target_fps)
    return num_frames * min(1.0, sampling.target_fps / fps) if fps else num_frames
