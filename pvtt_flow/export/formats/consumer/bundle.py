"""Write the files of a bundle: those that its profile names, and `bundle.json`."""

import csv
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.profile import BUNDLE
from pvtt_flow.export.cutout_pictures import Cutout
from pvtt_flow.export.formats.consumer import texts
from pvtt_flow.export.formats.consumer.containers import open_pictures
from pvtt_flow.export.formats.consumer.pictures_seen import PicturesSeen, Scene
from pvtt_flow.export.formats.consumer.take import Take
from pvtt_flow.export.formats.json_lists import write_json
from pvtt_flow.export.formats.pictures import write_png
from pvtt_flow.storage.folder import sha256_of

_CAPTION = "caption"
_SECOND_MASK = "a person or the consumer's tool must make the mask of shadows and reflections"
_NO_CAPTION = f"the manifest must have a column `{_CAPTION}`, and has none for this video"
_NO_PICTURES = "the export was made without pictures"
_NO_CUTOUT = "the product must be on a frame"
_NO_SECOND_CUTOUT = "the product must be on a frame that is far from the best one"


def write_bundles(takes: Sequence[Take], folder: Path, *, pictures: bool) -> None:
    """Write the bundles of a sequence, and decode its video once for all of them.

    Raises DataError if the video cannot be read. Without `pictures`, what needs the video is left
    out.
    """
    bundles = [Bundle(take, folder / take.name) for take in takes]
    for bundle in bundles:
        bundle.begin()
    if not pictures:
        for bundle in bundles:
            bundle.finish(None)
        return
    with ExitStack() as opened:
        seen = [
            opened.enter_context(PicturesSeen.opened(bundle.take, bundle.home))
            for bundle in bundles
        ]
        wanted = frozenset[int]().union(*(one.wanted for one in seen))
        for position, frame in takes[0].sequence.frames_at(sorted(wanted)) if takes else ():
            for one in seen:
                one.see(position, frame.rgb)
    for bundle, one in zip(bundles, seen, strict=True):
        bundle.finish(one)


@dataclass(slots=True)
class Bundle:
    """Files of a take in a folder."""

    take: Take
    home: Path
    missing: dict[str, str] = field(default_factory=dict)
    """Reason for each file of the profile that cannot be made."""

    def begin(self) -> None:
        """Make the folder with the mask."""
        self.home.mkdir()
        take, files = self.take, self.take.profile.files
        if files.mask:
            width_px, height_px = take.size
            shape = (len(take.positions), height_px, width_px)
            with open_pictures(self.home / files.mask.name, files.mask, shape, take.fps) as add:
                for position in take.positions:
                    add(take.levels(position))
        if files.second_mask:
            self.missing[files.second_mask.name] = _SECOND_MASK

    def finish(self, seen: PicturesSeen | None) -> None:
        """Write single pictures, texts and the description; without pictures if none was seen."""
        scene = None if seen is None else seen.scene()
        if seen is None:
            self._name_pictures()
        else:
            self._write_pictures(seen, scene)
        self._write_texts(None if seen is None else seen.best, scene)
        write_json(self.home / BUNDLE, self._facts())

    def _write_pictures(self, seen: PicturesSeen, scene: Scene | None) -> None:
        files, gray = self.take.profile.files, self.take.profile.cutout_gray
        best = seen.best
        self._write_png(files.background, None if scene is None else scene.picture)
        self._write_png(files.first_frame, seen.first_frame(scene))
        self._write_png(files.first_frame_raw, seen.first_without_bars)
        self._write_png(files.cutout, _shown(best, gray))
        self._write_png(files.second_cutout, _shown(seen.distant, gray), _NO_SECOND_CUTOUT)
        self._write_png(files.cutout_mask, None if best is None else best.rgba[..., 3])

    def _write_png(
        self, name: str | None, picture: NDArray[np.uint8] | None, reason: str = _NO_CUTOUT
    ) -> None:
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

    def _write_texts(self, best: Cutout | None, scene: Scene | None) -> None:
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
            metadata = texts.metadata_of(take, best, scene) | {"files": names}
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


def _shown(cutout: Cutout | None, gray: int | None) -> NDArray[np.uint8] | None:
    if cutout is None:
        return None
    return cutout.rgba if gray is None else cutout.on_gray(gray)


def _write_csv(path: Path, row: dict[str, Any]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, row)
        table.writeheader()
        table.writerow(row)
