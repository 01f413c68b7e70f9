"""What can go wrong, as families with a fate each.

    PvttFlowError
    ├── ConfigError      the config, a flag or a manifest is wrong   -> stops before work begins
    ├── PreflightError   the world is not ready: weights, bucket,    -> stops before work begins
    │                    credentials, too small a cluster
    ├── StoreError       the store went away, is full, refuses       -> stops the run; what is
    │                                                                   committed stays
    ├── ClusterError     Ray lost what the run needs                 -> the same
    └── DataError        one video is bad                            -> a row, the run goes on

Foreign exceptions are translated once, at the edge that meets them (media, storage, models).
Anything else that escapes a stage is a bug or the infrastructure; the stage guard records it
as a failure of kind `internal` with its traceback.
"""

from typing import Literal

FailureKind = Literal[
    "unreadable",  # storage gave no bytes: missing object, no permission, network
    "empty_file",  # zero bytes
    "not_a_video",  # no demuxer recognises the content, or the container is broken
    "no_video_stream",  # a container without a video track
    "undecodable",  # a video track from which not one frame could be decoded
    "decoder_crash",  # the process that decoded it died
    "over_limit",  # more bytes, pixels, frames, streams or seconds than the limits allow
    "source_changed",  # not the file any more that was processed
    "bad_prompt",  # a manifest prompt that does not fit this video
    "bad_shot",  # a manifest shot that does not fit this video
    "store",  # not the video's fault: never sealed, the run stops
    "internal",  # an unexpected exception: a bug, or the machine
]


class PvttFlowError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(PvttFlowError):
    """The run's description is wrong; the message starts with the path of the bad value."""


class PreflightError(PvttFlowError):
    """The description is fine but cannot run here; the message says what to provide or change."""


class StoreError(PvttFlowError):
    """The input's or the output's store does not do its part any more; says which and how."""


class ClusterError(PvttFlowError):
    """Ray cannot go on with the run; says what it has lost."""


class DataError(PvttFlowError):
    """One video cannot be processed; carries the kind that its failure row will show."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind

    def __reduce__(self) -> tuple[type["DataError"], tuple[FailureKind, str]]:
        return (type(self), (self.kind, str(self)))
