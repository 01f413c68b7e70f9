"""Places: uris to fsspec filesystems, and what a storage error means to a person.

Credentials and endpoints come from the environment alone, as s3fs and the AWS tools read them.
Foreign errors are named here by class and code only: their own texts may quote credentials.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from pvtt_flow.errors import PreflightError, PvttFlowError

_CREDENTIAL_ERRORS = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError",
                      "ProfileNotFound", "DefaultCredentialsError"}  # fmt: skip
_REFUSALS = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "401",
             "403", "RequestTimeTooSkewed", "InvalidToken"}  # fmt: skip
_NETWORK_ERRORS = {"HTTPClientError", "ClientConnectionError", "FSTimeoutError"}


def local_path(uri: str) -> Path | None:
    """The absolute path of a local uri (plain or `file://`), symbolic links kept; else None."""
    if uri.startswith("file://"):
        uri = uri.removeprefix("file://")
    elif "://" in uri:
        return None
    return Path(os.path.normpath(Path(uri).expanduser().absolute()))


def normal(uri: str) -> str:
    """The one spelling of a uri: an absolute path when local; no slash at the end."""
    path = local_path(uri)
    return str(path) if path is not None else uri.rstrip("/")


def filesystem(uri: str) -> tuple[Any, str]:
    """The fsspec filesystem of a uri and the path in it; listings are never cached."""
    files, path = fsspec.url_to_fs(uri, use_listings_cache=False)
    return files, str(path)


def endpoint() -> str | None:
    """The S3 endpoint that the environment names, if any."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def delta_options(uri: str) -> dict[str, str]:
    """delta-rs options for the environment that s3fs reads; commits by conditional put."""
    if not uri.startswith(("s3://", "s3a://")):
        return {}
    options = {"conditional_put": "etag"}
    if url := endpoint():
        # A custom endpoint has no regions, but delta-rs will not sign without one.
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        options |= {"endpoint_url": url, "region": region or "us-east-1"}
        options["allow_http"] = str(url.startswith("http://")).lower()
    return options


@contextmanager
def preflight(key: str, expected: str, uri: str) -> Iterator[None]:
    """Turn any foreign error inside into a PreflightError about the config value at `key`."""
    try:
        yield
    except PvttFlowError:
        raise
    except Exception as error:  # noqa: BLE001  the libraries behind fsspec raise what they like
        raise PreflightError(f"{key}: expected {expected}, but {explain(error, uri)}") from None


def explain(error: Exception, uri: str) -> str:
    """What was found at `uri` instead, and what to do about it; without secrets."""
    where, code = f"{public(uri)}{_at(uri)}", _code(error)
    reason = f" ({code})" if code else ""
    absent = isinstance(error, FileNotFoundError | NotADirectoryError)
    refused = isinstance(error, PermissionError) or code in _REFUSALS
    unreachable = isinstance(error, ConnectionError | TimeoutError) or _is_a(error, _NETWORK_ERRORS)
    cases = (
        (code == "NoSuchBucket", f"the bucket of {where} does not exist: create it or correct it"),
        (absent, f"there is nothing at {where}: correct the uri"),
        (_is_a(error, _CREDENTIAL_ERRORS), f"{where} needs credentials: set {_credentials(uri)}"),
        (refused, f"access to {where} was refused{reason}: check {_credentials(uri)}"),
        (unreachable, f"{where} does not answer: check the network and the server's address"),
        (
            "://" in uri and isinstance(error, ImportError | ValueError),
            f"nothing here opens {where}: install the fsspec package for it or correct the uri",
        ),
    )
    detail = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else reason
    fallback = f"using {where} failed with {type(error).__name__}{detail}"
    return next((text for applies, text in cases if applies), fallback)


def public(uri: str) -> str:
    """The uri without user names, passwords and signed queries."""
    if "://" not in uri:
        return uri
    scheme, rest = uri.split("://", 1)
    netloc, slash, path = rest.partition("/")
    if scheme in ("http", "https"):
        path = path.partition("?")[0]
    return f"{scheme}://{netloc.rpartition('@')[2]}{slash}{path}"


def _at(uri: str) -> str:
    url = endpoint()
    return f" (server {public(url)})" if url and uri.startswith("s3") else ""


def _credentials(uri: str) -> str:
    if uri.startswith("s3"):
        return "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE)"
    return "the credentials in the environment" if "://" in uri else "the file's permissions"


def _code(error: Exception) -> str:
    """The S3 error code; s3fs keeps the botocore error that has it as the cause."""
    response = getattr(error.__cause__ or error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _is_a(error: Exception, names: set[str]) -> bool:
    """By class name: the libraries behind fsspec are optional, so their classes may be absent."""
    return any(cls.__name__ in names for cls in type(error).__mro__)
