"""Decode the candidate prompt frames of a shot."""

from collections.abc import Sequence
from dataclasses import dataclass

from pvtt_flow.core.products import DetectParams
from pvtt_flow.core.prompt_frame import candidates, first_sharp
from pvtt_flow.core.timeline import SamplingParams
from pvtt_flow.stages._shot_frames import sampled_times
from pvtt_flow.types import Frame, Shot, ShotRecord
from pvtt_flow.video.color.sharpness import sharpness
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.read import read_frames_at_times
from pvtt_flow.video.worker.decoder import Decoder


@dataclass(frozen=True, slots=True)
class CandidateFrames:
    """Decoder of the frames that the detector is given."""

    params: DetectParams
    sampling: SamplingParams
    limits: Limits
    decoder: Decoder

    @property
    def max_frames(self) -> int:
        """Candidates that a shot has at most."""
        return self.params.num_candidates if self.params.prompt_frame == "confident" else 1

    def decode(self, record: ShotRecord, shot: Shot) -> Sequence[Frame]:
        """Return the candidate frames of a shot in order, at least one.

        For `sharp`, all candidates are decoded and the first sharp one is returned.

        Raises what `read_frames_at_times` raises.
        """
        times = candidates(sampled_times(shot, self.sampling), self.params)
        frames = tuple(
            self.decoder.iterate(
                read_frames_at_times,
                record.source.uri,
                times,
                video=record.video,
                limits=self.limits,
            )
        )
        if self.params.prompt_frame == "sharp":
            return (frames[first_sharp([sharpness(frame.rgb) for frame in frames])],)
        return frames
