"""Families of errors, each with its consequence.

    PvttFlowError
    ├── ConfigError      the config, a flag or a manifest is wrong    -> stops before work begins
    ├── PreflightError   weights, a bucket or credentials are         -> stops before work begins
    │                    missing, or the cluster is too small
    ├── StoreError       a store is gone, full or refuses requests    -> stops the run; committed
    │   │                                                               results stay
    │   └── DamageError  a file of a dataset is lost or damaged       -> `check` finds all of them
    ├── ClusterError     Ray lost resources that the run needs        -> stops the run, likewise
    ├── MachineError     a device or a process of a machine is        -> the process ends; another
    │                    broken                                          one does its work again
    └── DataError        one video is bad                             -> a row, the run goes on

Exceptions of libraries are translated once, where the library is called (video, storage, models).
Any other exception in a stage is a bug; it becomes a failure row of kind `internal` with its
traceback.
"""

from typing import Literal

FailureKind = Literal[
    "unreadable",  # storage gave no bytes: missing object, no permission, network
    "empty_file",  # zero bytes
    "not_a_video",  # no demuxer recognizes the content, or the container is broken
    "no_video_stream",  # a container without a video track
    "undecodable",  # a video track of which no frame could be decoded
    "decoder_crash",  # the decoder process died
    "over_limit",  # more bytes, pixels, frames, streams or seconds than the limits allow
    "source_changed",  # the content is not that of the processed video
    "bad_prompt",  # a manifest prompt that does not fit this video
    "bad_shot",  # a manifest shot that does not fit this video
    "worker_crash",  # Ray's worker process died each time that it processed this video alone
    "store",  # a fault of the store and not of the video: not recorded, the run stops
    "machine",  # a fault of the machine and not of the video: not recorded, done again elsewhere
    "internal",  # an unexpected exception: a bug
]


class PvttFlowError(Exception):
    """Base of the errors that this package raises on purpose."""


class ConfigError(PvttFlowError):
    """Wrong config, flag or manifest; the message starts with the path of the bad value."""


class PreflightError(PvttFlowError):
    """Correct config that cannot run here; the message says what to provide or change."""


class StoreError(PvttFlowError):
    """Failure of the store of the input or the output; the message says which and how."""


class DamageError(StoreError):
    """Loss or damage of a file of a dataset, which a repetition does not mend."""


class ClusterError(PvttFlowError):
    """Loss of Ray resources without which the run cannot go on."""


class MachineError(PvttFlowError):
    """Broken device or process of one machine; no fault of the video that it worked on."""


class DataError(PvttFlowError):
    """Video that cannot be processed; `kind` goes to its failure row."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind

    def __reduce__(self) -> tuple[type["DataError"], tuple[FailureKind, str]]:
        return (type(self), (self.kind, str(self)))
