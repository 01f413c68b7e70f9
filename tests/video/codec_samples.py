"""Write small clips of many containers and codecs, to be mutated."""

from pathlib import Path
from typing import Unpack

from tests.video.clip_maker import EncodeOptions, encode_images, moving_image
from tests.video.clips import FRAGMENTS

SIZE_PX = (64, 48)
NUM_FRAMES = 12
_GROUPS = {"g": "6"}
_BOTH_WAYS = {"g": "6", "bf": "2"}
_REALTIME = {"g": "6", "deadline": "realtime", "cpu-used": "8"}
_HEVC = {"preset": "fast", "x265-params": "keyint=6:open-gop=1:bframes=3:log-level=none"}


def write_codec_samples(folder: Path) -> None:
    """Write one clip per file; their names define the order."""
    width_px, height_px = SIZE_PX
    images = [moving_image(i)[:height_px, :width_px] for i in range(NUM_FRAMES)]

    def write(
        name: str, codec: str, options: dict[str, str], /, **more: Unpack[EncodeOptions]
    ) -> None:
        more["codec"], more["options"] = codec, options
        encode_images(folder / name, images, **more)

    write("h264.mp4", "libx264", _BOTH_WAYS)
    write("h264.mkv", "libx264", _BOTH_WAYS)
    write("h264.flv", "libx264", _GROUPS)
    write("h264.ts", "libx264", _GROUPS)
    write("h264.h264", "libx264", _GROUPS)
    write("fragments.mp4", "libx264", _GROUPS, container_options=FRAGMENTS)
    write("turned.mov", "libx264", _GROUPS, rotation_deg=90)
    write("hevc.mp4", "libx265", _HEVC)
    write("av1.mp4", "libsvtav1", {"g": "6", "preset": "11"})
    write("vp9.webm", "libvpx-vp9", _REALTIME)
    write("vp8.webm", "libvpx", _REALTIME)
    write("mpeg1.mpg", "mpeg1video", _GROUPS)
    write("mpeg2.ts", "mpeg2video", _BOTH_WAYS)
    write("mpeg4.avi", "mpeg4", _BOTH_WAYS)
    write("wmv2.wmv", "wmv2", _GROUPS)
    write("mjpeg.mkv", "mjpeg", {}, pixel_format="yuvj420p")
    write("prores.mov", "prores_ks", {}, pixel_format="yuv422p10le")
    write("gif.gif", "gif", {}, pixel_format="rgb8")
