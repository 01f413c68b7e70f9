"""Names of videos within their input, which do not change when the input moves."""

import posixpath

from pvtt_flow.storage.frame_folders.folders import strip_fps
from pvtt_flow.storage.uris import HTTP, uri_without_signature


def video_uri(uri: str) -> str:
    """Return the part of a uri that says which video it is: no frame rate, no signature."""
    return uri_without_signature(strip_fps(uri))


def name_in(input_uri: str, uri: str) -> str:
    """Return the path of a listed video relative to the root of its input.

    The root is the folder or prefix `input_uri`, the folder of a single video, or the folder before
    the first wildcard of a glob. A video on a web server has its whole uri as name.
    """
    uri = video_uri(uri)
    if uri.startswith(HTTP):
        return uri
    path, root = _path_of(uri), _path_of(video_uri(input_uri)).rstrip("/")
    while root and (path.rstrip("/") == root or not path.startswith(f"{root}/")):
        root = root.rpartition("/")[0]
    return path.removeprefix(f"{root}/")


def name_from(folder: str, uri: str) -> str:
    """Return the path of a video relative to a folder that need not contain it."""
    path, root = _path_of(video_uri(uri)), _path_of(folder)
    if path.startswith(f"{root}/"):
        return path.removeprefix(f"{root}/")
    return posixpath.relpath(path, root) + "/" * path.endswith("/")


def _path_of(uri: str) -> str:
    return uri.partition("://")[2] or uri
