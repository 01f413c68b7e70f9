"""The pictures of a shot in which its products may be looked for."""

from collections.abc import Sequence
from dataclasses import dataclass

from pvtt_flow.core.prompt_frame import candidates, first_sharp
from pvtt_flow.core.prompts import DetectParams
from pvtt_flow.core.timeline import SamplingParams
from pvtt_flow.stages._shot_frames import processed
from pvtt_flow.types import Frame, Shot, ShotRecord
from pvtt_flow.video.color.sharpness import sharpness
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.seek import read_frames_at_times
from pvtt_flow.video.worker.decoder import Decoder


@dataclass(frozen=True, slots=True)
class CandidateFrames:
    """Decodes those that the detector is to see."""

    params: DetectParams
    sampling: SamplingParams
    limits: Limits
    decoder: Decoder

    @property
    def most(self) -> int:
        """How many pictures a shot may have."""
        return self.params.num_candidates if self.params.prompt_frame == "confident" else 1

    def of(self, record: ShotRecord, shot: Shot) -> Sequence[Frame]:
        """In order, at least one; all candidates are held for a moment.

        Raises what `read_frames_at_times` raises.
        """
        wanted = candidates(processed(shot, self.sampling), self.params)
        frames = tuple(
            self.decoder.iterate(
                read_frames_at_times,
                record.source.uri,
                wanted,
                video=record.video,
                limits=self.limits,
            )
        )
        if self.params.prompt_frame == "sharp":
            return (frames[first_sharp([sharpness(frame.rgb) for frame in frames])],)
        return frames
