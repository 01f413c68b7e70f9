"""Write the files of a bundle: those that its profile names, and `bundle.json`."""

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.placed_pixels import scaled_picture
from pvtt_flow.export.cutout_pictures import Cutout, Cutouts
from pvtt_flow.export.formats.consumer import texts
from pvtt_flow.export.formats.consumer.containers import write_pictures
from pvtt_flow.export.formats.consumer.take import Take
from pvtt_flow.export.formats.json_lists import write_json
from pvtt_flow.export.formats.pictures import write_png
from pvtt_flow.storage.folder import sha256_of

BUNDLE = "bundle.json"
_CAPTION = "caption"
_SECOND_MASK = "a person or the consumer's tool must make the mask of shadows and reflections"
_BACKGROUND = "a model must remove the product from the first picture"
_FIRST_FRAME = "it must show the background without the product, which is missing"
_NO_CAPTION = f"the manifest must have a column `{_CAPTION}`, and has none for this video"
_NO_PICTURES = "the export was made without pictures"
_NO_CUTOUT = "the product must be on a frame"
_NO_SECOND_CUTOUT = "the product must be on a frame that is far from the best one"


@dataclass(slots=True)
class Bundle:
    """Files of a take in a folder."""

    take: Take
    home: Path
    pictures: bool
    """Write what needs the video."""
    missing: dict[str, str] = field(default_factory=dict)
    """Reason for each file of the profile that cannot be made."""

    def write(self) -> None:
        """Write all files; raises DataError if the video cannot be read."""
        self.home.mkdir()
        self._write_mask()
        best = None
        if self.pictures:
            best = self._write_pictures()
        else:
            self._name_pictures()
        self._write_texts(best)
        write_json(self.home / BUNDLE, self._facts())

    def _write_mask(self) -> None:
        files = self.take.profile.files
        if files.mask:
            levels = map(self.take.levels, self.take.positions)
            write_pictures(self.home / files.mask.name, files.mask, levels, self.take.fps)
        if files.second_mask:
            self.missing[files.second_mask.name] = _SECOND_MASK

    def _write_pictures(self) -> Cutout | None:
        """Write the video and the single pictures; return the best cut-out."""
        files, gray = self.take.profile.files, self.take.profile.cutout_gray
        seen = _Seen(self.take)
        pictures = seen.pictures()
        if files.video:
            write_pictures(self.home / files.video.name, files.video, pictures, self.take.fps)
        for _ in pictures:
            pass
        # Where a background is asked for, the first frame shows it with the product beside it.
        first = None if files.background else seen.first
        best, distant = (seen.cutouts.best, seen.cutouts.distant) if seen.cutouts else (None, None)
        self._write_png(files.background, None, _BACKGROUND)
        self._write_png(files.first_frame, first, _FIRST_FRAME)
        self._write_png(files.first_frame_raw, seen.first_scaled, "")
        self._write_png(files.cutout, _shown(best, gray), _NO_CUTOUT)
        self._write_png(files.second_cutout, _shown(distant, gray), _NO_SECOND_CUTOUT)
        self._write_png(files.cutout_mask, None if best is None else best.rgba[..., 3], _NO_CUTOUT)
        return best

    def _write_png(self, name: str | None, picture: NDArray[np.uint8] | None, reason: str) -> None:
        if name and picture is not None:
            write_png(self.home / name, np.ascontiguousarray(picture))
        elif name:
            self.missing[name] = reason

    def _name_pictures(self) -> None:
        files = self.take.profile.files
        names = (
            *(files.video and files.video.name, files.background, files.cutout_mask),
            *(files.first_frame, files.first_frame_raw, files.cutout, files.second_cutout),
        )
        self.missing |= {name: _NO_PICTURES for name in names if name}

    def _write_texts(self, best: Cutout | None) -> None:
        take, files = self.take, self.take.profile.files
        caption = (take.sequence.video.attributes or {}).get(_CAPTION)
        if files.caption and caption is None:
            self.missing[files.caption.name] = _NO_CAPTION
        elif files.caption:
            text, key = f"{files.caption.prefix} {caption}".lstrip(), files.caption.key
            content = text if key is None else json.dumps({key: text}, ensure_ascii=False)
            (self.home / files.caption.name).write_text(content)
        if files.table:
            _write_csv(self.home / files.table, texts.table_row(take, caption or ""))
        if files.boxes:
            write_json(self.home / files.boxes, texts.boxes_of(take))
        if files.region:
            write_json(self.home / files.region, texts.region_of(take))
        if files.metadata:
            names = sorted(path.name for path in self.home.iterdir())
            metadata = texts.metadata_of(take, best) | {"files": names}
            write_json(self.home / files.metadata, metadata)

    def _facts(self) -> dict[str, Any]:
        take, sequence = self.take, self.take.sequence
        fitness = asdict(take.fitness)
        fitness["reasons"] = [reason._asdict() for reason in take.fitness.reasons]
        files = sorted(path for path in self.home.rglob("*") if path.is_file())
        return {
            **{name: value for name, value in sequence.facts().items() if name != "objects"},
            "frame_index": [sequence.times[position].frame_index for position in take.positions],
            "pts_ns": [sequence.times[position].pts_ns for position in take.positions],
            "rgb_blake2b": [sequence.hashes.get(position) for position in take.positions],
            "fps": [take.fps.numerator, take.fps.denominator],
            "masklet_id": take.masklet.masklet_id,
            "object_id": take.masklet.object_id,
            "label": take.masklet.label,
            "verdict": take.masklet.verdict,
            "profile": take.profile.model_dump(mode="json"),
            "fitness": fitness,
            "placement": take.placement._asdict(),
            "missing": self.missing,
            "sha256": {path.relative_to(self.home).as_posix(): sha256_of(path) for path in files},
        }


class _Seen:
    """Pictures that are taken from the frames while the video is written."""

    def __init__(self, take: Take) -> None:
        files = take.profile.files
        self._take = take
        self.first: NDArray[np.uint8] | None = None
        self.first_scaled: NDArray[np.uint8] | None = None
        has_cutouts = files.cutout or files.second_cutout or files.cutout_mask
        self.cutouts = Cutouts(take.sequence, take.masklet) if has_cutouts else None

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Decode each frame once; yield the pictures of the window as the consumer gets them."""
        take, window = self._take, set(self._take.positions)
        wanted = self.cutouts.wanted if self.cutouts else frozenset[int]()
        for position, frame in take.sequence.frames_at(sorted(window | wanted)):
            if self.cutouts:
                self.cutouts.see(position, frame.rgb)
            if position in window:
                picture = take.picture(frame.rgb, position)
                if self.first is None:
                    self.first = picture
                    self.first_scaled = scaled_picture(frame.rgb, take.placement)
                yield picture


def _shown(cutout: Cutout | None, gray: int | None) -> NDArray[np.uint8] | None:
    if cutout is None:
        return None
    return cutout.rgba if gray is None else cutout.on_gray(gray)


def _write_csv(path: Path, row: dict[str, Any]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, row)
        table.writeheader()
        table.writerow(row)
