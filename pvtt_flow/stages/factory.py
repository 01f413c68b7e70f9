"""Make the stages of the pipeline from the config, for Ray's workers and for `debug`."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.models.factory import build_detector, build_tracker
from pvtt_flow.models.salient import build_salient
from pvtt_flow.stages._shot_checkpoint import Checkpoints
from pvtt_flow.stages.detect import Detect
from pvtt_flow.stages.inspect import Inspect
from pvtt_flow.stages.judge import Judge
from pvtt_flow.stages.propagate import Finish, Propagate
from pvtt_flow.stages.write import Write
from pvtt_flow.storage.filesystems import read_anonymously
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.types import Lineage, ShotRecord
from pvtt_flow.video.worker.decoder import Decoder, InProcessDecoder, IsolatedDecoder
from pvtt_flow.video.worker.pool import SHARED_POOL


class StageFunction(Protocol):
    """Callable stage: a batch of rows in, rows out, independent of Ray."""

    def __call__(self, records: Sequence[ShotRecord]) -> Sequence[Any]:
        """Return the rows that the records become."""
        ...


StageFactory = Callable[..., StageFunction]


def inspect(config: RunConfig) -> Inspect:
    """Make the stage that opens videos and finds their shots."""
    return Inspect(config.shots, config.limits, make_decoder(config))


def detect(config: RunConfig) -> Detect:
    """Make the stage that finds products; load its detector."""
    detector = build_detector(config.detector, config.run.models, open_binary, config.detect)
    return Detect(detector, config.detect, config.sampling, config.limits, make_decoder(config))


def propagate(config: RunConfig, tracker_hash: str) -> Propagate:
    """Make the stage that tracks; load its SAM 2, whose weights have this hash."""
    tracker = build_tracker(config.tracker, config.run.models, open_binary)
    every_s = config.run.checkpoint_every_s
    checkpoints = Checkpoints(Dataset(config.output.uri).uri, every_s) if every_s else None
    decoder = make_decoder(config)
    finish = Finish(
        clean=config.clean,
        measure=config.measure,
        boxes_only=config.tracker.baseline.method == "detector_boxes",
        repair=config.repair,
        tracker_hash=tracker_hash,
        salient=build_salient(
            config.measure.salient, config.run.models, open_binary, config.tracker.device
        ),
    )
    return Propagate(tracker, config.sampling, config.limits, decoder, checkpoints, finish)


def judge(config: RunConfig, tracker_hash: str) -> Judge:
    """Make the stage that measures and judges masklets; the hash is that of the weights."""
    return Judge(config.qc, tracker_hash)


def write(config: RunConfig, lineage: Lineage) -> Write:
    """Make the stage that writes masklet files."""
    return Write(Dataset(config.output.uri), lineage)


def make_decoder(config: RunConfig) -> Decoder:
    """Make a decoder in worker processes, or in this one when `run.isolate_decoders` is off."""
    use_input_credentials(config)
    return IsolatedDecoder(SHARED_POOL) if config.run.isolate_decoders else InProcessDecoder()


def use_input_credentials(config: RunConfig) -> None:
    """Read the input with credentials or without, as the config says, from now on."""
    signed = (
        config.output.uri,
        config.run.models,
        config.detector.weights,
        config.tracker.weights,
        config.measure.salient.weights,
    )
    read_anonymously(
        anonymous=config.input.anonymous, except_for=[uri for uri in signed if uri is not None]
    )
