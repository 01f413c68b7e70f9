"""Parse and normalize uris, and remove secrets from them."""

import os
import re
from pathlib import Path
from urllib.parse import unquote

HTTP = ("http://", "https://")
# Names of parameters of signed URLs: AWS, Google Cloud, CloudFront, Alibaba, Tencent, Volcengine,
# Huawei, Akamai and Dropbox, and of tokens. `process` names a picture of a video.
_SECRET = re.compile(
    r"x-(amz|goog)-.*|x-(oss|cos|tos|obs)-(?!process).*|q-(sign-.*|ak|key-time|signature)|q-.*-list"
    r"|sig|sign|signature|expires|policy|key-pair-id|(aws|oss)?accesskeyid|googleaccessid|hmac"
    r"|hdn(ea|ts)|rlkey"
    r"|(.*[-_])?(token|secret|password|credential|auth|authorization|api[-_]?key|access[-_]?key)_*"
)
# Parameters of an Azure shared access signature; too short to be secrets elsewhere.
_AZURE = frozenset(
    ("sv", "ss", "srt", "sr", "st", "se", "sp", "spr", "sip", "si", "sdd",
     "skoid", "sktid", "skt", "ske", "sks", "skv", "sig")
)  # fmt: skip


def local_path(uri: str) -> Path | None:
    """Return the absolute path of a local uri (plain or `file://`), and None for a remote one.

    Symbolic links are kept. A `file://` uri is percent-decoded (RFC 8089), as `Path.as_uri` encodes
    it; a plain path is taken as it is.
    """
    if uri.startswith("file://"):
        uri = unquote(
            uri.removeprefix("file://").removeprefix("localhost"), errors="surrogateescape"
        )
    elif "://" in uri:
        return None
    return Path(os.path.normpath(expand_user(uri).absolute()))


def expand_user(path: str) -> Path:
    """Return a path with `~` and `~user` replaced; other names with `~` stay names."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def uri_of(path: Path) -> str:
    """Return the path as text, or its percent-encoded `file://` uri if it is not UTF-8.

    Names of files are bytes, and uris are text in tables, logs and ids.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return path.as_uri()
    return str(path)


def normalize_uri(uri: str) -> str:
    """Return the absolute path of a local uri; remove slashes at the end of a remote one."""
    path = local_path(uri)
    if path is not None:
        return uri_of(path)
    # The slashes of `s3://` alone stay: `s3:` would be a local folder.
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}{rest.rstrip('/')}"


def store_of(uri: str) -> str:
    """Return scheme and bucket or host of a remote uri; "" for a local one."""
    scheme, separator, path = uri.partition("://")
    return f"{scheme}://{path.partition('/')[0]}" if separator else ""


def redact_uri(uri: str) -> str:
    """Remove user names, passwords and queries from a uri, for messages."""
    bare = uri_without_signature(uri)
    return bare.partition("?")[0] if bare.startswith(HTTP) else bare


def uri_without_signature(uri: str) -> str:
    """Return the uri as tables and ids have it: without user, password and parameters that sign it.

    A signed URL is a secret while it is valid, and another one of the same video has another
    signature. Other parameters stay: they may say which video it is.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return uri
    netloc, slash, path = rest.partition("/")
    if uri.startswith(HTTP):
        path, _, query = path.partition("?")
        parameters = [text for text in query.split("&") if text and not _signs(text, query)]
        path += "?" * bool(parameters) + "&".join(parameters)
    return f"{scheme}://{netloc.rpartition('@')[2]}{slash}{path}"


def _signs(parameter: str, query: str) -> bool:
    name = parameter.partition("=")[0].lower()
    is_azure = "sig" in (text.partition("=")[0].lower() for text in query.split("&"))
    return bool(_SECRET.fullmatch(name)) or (is_azure and name in _AZURE)


def s3_endpoint() -> str | None:
    """Return the S3 endpoint of the environment, if there is one."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
