from dataclasses import replace

import pytest

from pvtt_flow.core.qc import QcThresholds
from pvtt_flow.stages.judge import Judge
from pvtt_flow.types import Masklet, MaskletFrame, Prompt, ShotRecord
from tests.stages.fakes import FAILED

BOX = (20, 10, 40, 30)


def tracked(*, present: int, absent: int = 0) -> ShotRecord:
    """A shot of one masklet that is there for some frames and then away."""
    here = MaskletFrame(
        frame_index=0,
        pts_ns=0,
        rle="unread",
        box_xyxy=BOX,
        area_px=400,
        object_score=5.0,
        predicted_iou=0.9,
        fragments=1,
        compactness=0.8,
        previous_iou=0.9,
    )
    away = replace(
        here, rle=None, box_xyxy=None, area_px=0, object_score=-5.0, fragments=0, flags=("absent",)
    )
    frames = [here] * present + [away] * absent
    masklet = Masklet(
        masklet_id="v/s/o0",
        shot_id="v/s",
        video_id="v",
        object_id=0,
        label="mug",
        shot_index=0,
        start_frame=0,
        stop_frame=len(frames),
        start_ns=0,
        stop_ns=1,
        width_px=96,
        height_px=64,
        prompts=(Prompt(object_id=0, frame_index=0, box_xyxy=BOX),),
        frames=tuple(replace(f, frame_index=i, pts_ns=i) for i, f in enumerate(frames)),
    )
    return ShotRecord(source=FAILED.source, masklets=(masklet,))


@pytest.mark.parametrize(
    ("record", "verdict", "reasons"),
    [
        (tracked(present=10), "accept", ()),
        (tracked(present=8, absent=2), "accept", ()),
        (tracked(present=0, absent=10), "reject", ("no_mask",)),
    ],
)
def test_a_masklet_gets_its_verdict_and_reasons(
    record: ShotRecord, verdict: str, reasons: tuple[str, ...]
) -> None:
    ((masklet,),) = (w.masklets for w in Judge(QcThresholds(), "t")([record]))
    assert (masklet.verdict, masklet.reasons) == (verdict, reasons)
    assert masklet.qc is not None
    assert masklet.qc.num_frames == 10
    assert masklet.qc.prompt_iou == (1.0 if masklet.qc.presence else 0.0)
    assert (masklet.good_probability is None) == (verdict == "reject")


def test_thresholds_change_the_verdict_and_not_the_measurements() -> None:
    record = tracked(present=8, absent=2)
    mild, strict = (
        Judge(QcThresholds(accept_probability=bound, reject_probability=bound), "t")([record])[
            0
        ].masklets[0]
        for bound in (0.5, 1.0)
    )
    assert (mild.verdict, strict.verdict) == ("accept", "reject")
    assert mild.qc == strict.qc


def test_failed_shots_pass_unchanged() -> None:
    assert Judge(QcThresholds(), "t")([FAILED]) == [FAILED]
