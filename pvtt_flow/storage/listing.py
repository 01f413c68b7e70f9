"""Find video files and say what is known of them without opening them."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from glob import has_magic
from os import walk
from pathlib import Path, PurePosixPath
from typing import Any

from pvtt_flow.errors import PreflightError
from pvtt_flow.storage import object_info as objects
from pvtt_flow.storage.filesystems import filesystem, preflight
from pvtt_flow.storage.frame_folders.folders import group_by_folder, parse_frame_folder, stat_folder
from pvtt_flow.storage.object_info import ObjectInfo
from pvtt_flow.storage.params import MAX_FPS
from pvtt_flow.storage.retry import with_retries
from pvtt_flow.storage.store_errors import describe
from pvtt_flow.storage.uris import local_path, normalize_uri, redact_uri

VIDEO_EXTENSIONS = frozenset(
    # Of animated pictures only those that are hardly ever stills.
    "mp4 mov m4v mkv webm avi ts mts 3gp mpg mpeg wmv flv mxf ogv gif apng".split()  # noqa: SIM905
)
KEY = "$.input.uri"
_EXPECTED = "a video, a folder of videos, a glob or a manifest"
_EXPECTED_LISTED = "the manifest's videos"
# One request an object, each mostly waiting: threads, not cores.
_STAT_THREADS = 16


def list_videos(
    uri: str, extensions: Iterable[str] = (), *, frames_fps: float | None = None
) -> list[ObjectInfo]:
    """The videos at a file, folder (recursive), glob or prefix, sorted by uri.

    A file named in full is taken whatever it is called, and so are the matches of a glob that
    ends in a literal ending (`*.dat`). Otherwise only video endings count, and hidden files and
    folders (`.name`) are skipped. Symbolic links to folders are not followed. With `frames_fps`
    every folder of numbered pictures is a video, and they are none. Raises PreflightError when
    there is nothing, or no way to see it.
    """
    with preflight(KEY, _EXPECTED, uri):
        every, whole = _find(uri)
    folders, others = ([], every) if frames_fps is None else group_by_folder(every, frames_fps)
    if has_magic(uri):  # which may match some of a folder's pictures only
        folders = stat_all([folder.uri for folder in folders])
    endings = VIDEO_EXTENSIONS | frozenset(extensions)
    videos = others if whole else [found for found in others if _ending(found.uri) in endings]
    if not (videos or folders):
        raise PreflightError(
            f"{KEY}: expected at least one video in {redact_uri(uri)}, but none of its "
            f"{len(every)} files has a video ending ({', '.join(sorted(endings))}): correct the "
            f"uri, or add an ending with $.input.extensions{_hint(every)}"
        )
    return sorted([*videos, *folders], key=lambda found: found.uri)


def _hint(every: list[ObjectInfo]) -> str:
    """What is there instead, if it is frames."""
    folders, _ = group_by_folder(every, MAX_FPS)
    if not folders:
        return ""
    return (
        f"; to read folders of numbered pictures as videos (here: {len(folders)}), set "
        "$.input.frame_folders to true"
    )


def stat_all(uris: Sequence[str]) -> list[ObjectInfo]:
    """What the stores know of each uri, in order.

    An object that is missing or refused is no error: it gets an empty etag. Raises PreflightError
    when a store does not answer, or when it refuses access and shows not one object.
    """
    places = [_place(uri) for uri in uris]
    with ThreadPoolExecutor(_STAT_THREADS) as pool:
        results = list(pool.map(_stat, uris, places))
    found = [result for result in results if isinstance(result, ObjectInfo)]
    refused = [(u, r) for u, r in zip(uris, results, strict=True) if isinstance(r, PermissionError)]
    if refused and not found:
        uri, error = refused[0]
        raise PreflightError(f"{KEY}: expected {_EXPECTED_LISTED}, but {describe(error, uri)}")
    return [
        result if isinstance(result, ObjectInfo) else ObjectInfo(uri, "", 0)
        for uri, result in zip(uris, results, strict=True)
    ]


def _place(uri: str) -> tuple[Any, str] | None:
    """The filesystem and path of a remote uri; clients are made here, once, not in each thread."""
    with preflight(KEY, _EXPECTED_LISTED, uri):
        return None if local_path(uri) else filesystem(uri)


def _stat(uri: str, place: tuple[Any, str] | None) -> ObjectInfo | OSError:
    with preflight(KEY, _EXPECTED_LISTED, uri):
        try:
            if frames := parse_frame_folder(uri):
                return stat_folder(frames)
            if place is None:
                return objects.local(Path(uri))
            files, path = place
            info = with_retries(lambda: files.info(path))
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            return error
        return objects.remote(uri, info) if info["type"] == "file" else IsADirectoryError(uri)


def _find(uri: str) -> tuple[list[ObjectInfo], bool]:
    """Every file there, and whether they are videos whatever they are called."""
    frames = parse_frame_folder(uri)
    if frames is None:
        return _find_local(uri) if local_path(uri) else with_retries(lambda: _find_remote(uri))
    video = stat_folder(frames)
    if not video.etag:
        raise FileNotFoundError(uri)
    return [video], True


def _find_local(uri: str) -> tuple[list[ObjectInfo], bool]:
    path = Path(normalize_uri(uri))
    if path.is_dir():
        return [objects.local(file) for file in _walk(path)], False
    if path.exists():
        return [objects.local(path)], True
    if not has_magic(str(path)):
        raise FileNotFoundError(path)
    files, pattern = filesystem(str(path))
    matches = [Path(match) for match in files.glob(pattern) if _visible(match, pattern)]
    return [objects.local(match) for match in matches if not match.is_dir()], _names_ending(pattern)


def _walk(folder: Path) -> Iterable[Path]:
    def fail(error: OSError) -> None:
        raise error

    for parent, folders, names in walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def _find_remote(uri: str) -> tuple[list[ObjectInfo], bool]:
    files, path = filesystem(uri)
    path = path.rstrip("/")
    is_glob = has_magic(path) and not files.exists(path)
    every = files.glob(path, detail=True) if is_glob else files.find(path, detail=True)
    if not is_glob and not every:
        raise FileNotFoundError(uri)
    found = [
        objects.remote(files.unstrip_protocol(name), info)
        for name, info in every.items()
        if info["type"] == "file" and (name == path or _visible(name, path))
    ]
    return found, list(every) == [path] or (is_glob and _names_ending(path))


def _visible(name: str, root: str) -> bool:
    """Whether no part of `name` is hidden, but for those that the root itself spells out."""
    spelled_out = set(PurePosixPath(root).parts)
    return not any(
        part.startswith(".") and part not in spelled_out for part in PurePosixPath(name).parts
    )


def _names_ending(pattern: str) -> bool:
    ending = _ending(pattern)
    return bool(ending) and not has_magic(ending)


def _ending(name: str) -> str:
    return PurePosixPath(name).suffix.lower().removeprefix(".")
