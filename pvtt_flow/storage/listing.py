"""List video files, with the metadata that stores return without opening them."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from glob import has_magic
from os import walk
from pathlib import Path, PurePosixPath
from typing import Any

from pvtt_flow.errors import PreflightError
from pvtt_flow.storage import object_info as objects
from pvtt_flow.storage.filesystems import filesystem, preflight, refusal
from pvtt_flow.storage.frame_folders.folders import group_by_folder, parse_frame_folder, stat_folder
from pvtt_flow.storage.object_info import ObjectInfo
from pvtt_flow.storage.params import MAX_FPS
from pvtt_flow.storage.retry import with_retries
from pvtt_flow.storage.store_errors import describe, is_of_store
from pvtt_flow.storage.uris import HTTP, local_path, redact_uri, uri_of

# Of animated pictures, only formats that are rarely stills. Of cameras, `mod`, `lrv` and `insv` are
# MPEG files.
_EXTENSIONS = (
    "mp4 mov m4v mkv webm avi ts mts m2ts m2t 3gp 3g2 mpg mpeg m2v vob mod wmv asf flv f4v mxf ogv "
    "qt dv divx lrv insv h264 264 hevc h265 265 y4m gif apng 3gpp m1v mpe tod trp mk3d ogm rm rmvb "
    "ivf mjpeg mjpg"
)
VIDEO_EXTENSIONS = frozenset(_EXTENSIONS.split())
KEY = "$.input.uri"
# Threads wait for one request per object; they need no cores.
_STAT_THREADS = 16
_MAX_LOGGED = 10
_LOG = logging.getLogger(__name__)


def list_videos(
    uri: str, extensions: Iterable[str] = (), *, frames_fps: float | None = None
) -> list[ObjectInfo]:
    """List the videos at a file, folder (recursive), glob or prefix, sorted by uri.

    A file with its full name is a video whatever its extension, and so are the matches of a glob
    that ends in a literal extension (`*.dat`). Otherwise only files with a video extension are
    videos, and hidden files and folders (`.name`) are skipped. Symbolic links to folders are not
    followed. With `frames_fps`, every folder of numbered pictures is a video, and its pictures are
    none. A file that cannot be opened is listed with an empty etag; a folder inside that cannot be
    read is skipped, with a warning. Raises PreflightError if there are no videos, or if the store
    does not show them.
    """
    with preflight(KEY, "videos", uri):
        files, have_any_extension = _list_files(uri)
    folders, others = ([], files) if frames_fps is None else group_by_folder(files, frames_fps)
    if has_magic(uri):  # A glob may match only some of a folder's pictures.
        folders = stat_all([folder.uri for folder in folders])
    wanted = VIDEO_EXTENSIONS | frozenset(extensions)
    videos = others if have_any_extension else [o for o in others if _extension(o.uri) in wanted]
    if not (videos or folders):
        raise PreflightError(
            f"{KEY}: no videos at {redact_uri(uri)}: none of its {len(files)} files has a video "
            f"extension ({', '.join(sorted(wanted))}); correct the uri, or add an extension to "
            f"$.input.extensions{_frame_folders_hint(files)}"
        )
    if len(videos) < len(others):
        _log_skipped([o for o in others if _extension(o.uri) not in wanted], uri)
    return sorted([*videos, *folders], key=lambda video: video.uri)


def _log_skipped(skipped: list[ObjectInfo], uri: str) -> None:
    """Log how many files are no videos, by extension, so that none is missed in silence."""
    counts = Counter(f".{_extension(o.uri)}" if _extension(o.uri) else "none" for o in skipped)
    most = sorted(counts, key=lambda extension: (-counts[extension], extension))[:_MAX_LOGGED]
    _LOG.info(
        "%d files at %s have no video extension and are skipped (%s%s); $.input.extensions adds "
        "extensions",
        len(skipped),
        redact_uri(uri),
        ", ".join(f"{counts[extension]} {extension}" for extension in most),
        ", ..." if len(counts) > _MAX_LOGGED else "",
    )


def _frame_folders_hint(files: list[ObjectInfo]) -> str:
    folders, _ = group_by_folder(files, MAX_FPS)
    if not folders:
        return ""
    return (
        f"; to read folders of numbered pictures as videos (here: {len(folders)}), set "
        "$.input.frame_folders to true"
    )


def stat_all(uris: Sequence[str], *, anonymous: bool = False) -> list[ObjectInfo]:
    """Return the metadata of each uri, in order; `anonymous` as in `filesystem`.

    An object that is missing, refused or impossible gets an empty etag. Raises StoreError if a
    store does not answer, and PreflightError if it refuses some objects and shows none.
    """
    stores = [_open_store(uri, KEY, anonymous=anonymous) for uri in uris]
    with ThreadPoolExecutor(_STAT_THREADS) as pool:
        results = list(pool.map(partial(_stat, key=KEY, anonymous=anonymous), uris, stores))
    refused = [
        (uri, result)
        for uri, result in zip(uris, results, strict=True)
        if not isinstance(
            result, ObjectInfo | FileNotFoundError | NotADirectoryError | IsADirectoryError
        )
    ]
    if refused and not any(isinstance(result, ObjectInfo) for result in results):
        uri, error = refused[0]
        raise refusal(f"{KEY}: ", error, uri, "video")
    return [
        result if isinstance(result, ObjectInfo) else ObjectInfo(uri, "", 0)
        for uri, result in zip(uris, results, strict=True)
    ]


def stat(uri: str, *, anonymous: bool = False) -> ObjectInfo | None:
    """Return the metadata of one video; None if it is missing, refused or impossible.

    `anonymous` as in `filesystem`. Raises StoreError if the store does not answer.
    """
    store = _open_store(uri, None, anonymous=anonymous)
    found = _stat(uri, store, key=None, anonymous=anonymous)
    return found if isinstance(found, ObjectInfo) else None


def _open_store(uri: str, key: str | None, *, anonymous: bool) -> tuple[Any, str] | Path:
    """Return a local path, or filesystem and path of a remote uri; threads share its one client."""
    with preflight(key, "video", uri):
        return local_path(uri) or filesystem(uri, anonymous=anonymous)


def _stat(
    uri: str, store: tuple[Any, str] | Path, *, key: str | None, anonymous: bool
) -> ObjectInfo | Exception:
    with preflight(key, "video", uri):
        try:
            if frames := parse_frame_folder(uri):
                return stat_folder(frames, anonymous=anonymous)
            if isinstance(store, Path):
                return objects.local(store)
            files, path = store
            info = with_retries(lambda: files.info(path))
        except Exception as error:  # fsspec's implementations raise errors of any class
            is_of_disk = isinstance(store, Path) and not objects.is_of_one_name(error)
            if is_of_disk or is_of_store(error, uri):
                raise
            return error
        return objects.remote(uri, info) if info["type"] == "file" else IsADirectoryError(uri)


def _list_files(uri: str) -> tuple[list[ObjectInfo], bool]:
    """Return the files at a uri, and whether they are videos whatever their extensions."""
    frames = parse_frame_folder(uri)
    if frames is None:
        path = local_path(uri)
        return with_retries(lambda: _list_remote(uri)) if path is None else _list_local(path)
    video = stat_folder(frames)
    if not video.etag:
        raise FileNotFoundError(uri)
    return [video], True


def _list_local(path: Path) -> tuple[list[ObjectInfo], bool]:
    if path.is_dir():
        return [objects.local(file) for file in _walk(path)], False
    if path.exists():
        return [objects.local(path)], True
    if not has_magic(str(path)):
        raise FileNotFoundError(path)
    files, pattern = filesystem(uri_of(path))
    matches = [match for match in files.glob(pattern) if _is_visible(match, pattern)]
    videos = [objects.local(Path(match)) for match in matches if not files.isdir(match)]
    return videos, _has_extension(pattern)


def _walk(root: Path) -> Iterable[Path]:
    def skip(error: OSError) -> None:
        if error.filename == str(root) or not objects.is_of_one_name(error):
            raise error
        _LOG.warning("%s", describe(error, uri_of(Path(error.filename)), "folder"))

    for parent, folders, names in walk(root, onerror=skip):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def _list_remote(uri: str) -> tuple[list[ObjectInfo], bool]:
    files, path = filesystem(uri)
    if uri.startswith(HTTP):  # has no listings
        return [objects.remote(uri, files.info(path))], True
    path = path.rstrip("/")
    is_glob = has_magic(path) and not files.exists(path)
    infos = files.glob(path, detail=True) if is_glob else files.find(path, detail=True)
    if not is_glob and not infos:
        raise FileNotFoundError(uri)
    listed = [
        objects.remote(files.unstrip_protocol(name), info)
        for name, info in infos.items()
        if info["type"] == "file" and (name == path or _is_visible(name, path))
    ]
    return listed, list(infos) == [path] or (is_glob and _has_extension(path))


def _is_visible(name: str, root: str) -> bool:
    """Return whether no part of `name` is hidden, apart from hidden parts of the root itself."""
    parts_of_root = set(PurePosixPath(root).parts)
    return not any(
        part.startswith(".") and part not in parts_of_root for part in PurePosixPath(name).parts
    )


def _has_extension(pattern: str) -> bool:
    extension = _extension(pattern)
    return bool(extension) and not has_magic(extension)


def _extension(name: str) -> str:
    return PurePosixPath(name).suffix.lower().removeprefix(".")
