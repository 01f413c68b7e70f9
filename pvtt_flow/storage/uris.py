"""Uris as text: local or not, in one spelling, fit to be shown."""

import os
from pathlib import Path


def local_path(uri: str) -> Path | None:
    """The absolute path of a local uri (plain or `file://`), symbolic links kept; else None."""
    if uri.startswith("file://"):
        uri = uri.removeprefix("file://")
    elif "://" in uri:
        return None
    return Path(os.path.normpath(Path(uri).expanduser().absolute()))


def normalize_uri(uri: str) -> str:
    """The one spelling of a uri: an absolute path when local; no slash at the end."""
    path = local_path(uri)
    return str(path) if path is not None else uri.rstrip("/")


def redact_uri(uri: str) -> str:
    """The uri without user names, passwords and signed queries."""
    if "://" not in uri:
        return uri
    scheme, rest = uri.split("://", 1)
    netloc, slash, path = rest.partition("/")
    if scheme in ("http", "https"):
        path = path.partition("?")[0]
    return f"{scheme}://{netloc.rpartition('@')[2]}{slash}{path}"


def endpoint() -> str | None:
    """The S3 endpoint that the environment names, if any."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
