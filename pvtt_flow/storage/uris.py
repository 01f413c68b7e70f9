"""Parse and normalize uris, and remove secrets from them."""

import os
from pathlib import Path


def local_path(uri: str) -> Path | None:
    """Return the absolute path of a local uri (plain or `file://`), and None for a remote one.

    Symbolic links are kept.
    """
    if uri.startswith("file://"):
        uri = uri.removeprefix("file://")
    elif "://" in uri:
        return None
    return Path(os.path.normpath(Path(uri).expanduser().absolute()))


def normalize_uri(uri: str) -> str:
    """Return the absolute path of a local uri; remove slashes at the end of a remote one."""
    path = local_path(uri)
    return str(path) if path is not None else uri.rstrip("/")


def redact_uri(uri: str) -> str:
    """Remove user names, passwords and signed queries from a uri, for messages and tables."""
    if "://" not in uri:
        return uri
    scheme, rest = uri.split("://", 1)
    netloc, slash, path = rest.partition("/")
    if scheme in ("http", "https"):
        path = path.partition("?")[0]
    return f"{scheme}://{netloc.rpartition('@')[2]}{slash}{path}"


def s3_endpoint() -> str | None:
    """Return the S3 endpoint of the environment, if there is one."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
