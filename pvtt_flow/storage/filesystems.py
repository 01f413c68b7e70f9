"""Turn uris into fsspec filesystems, and into uris and options of delta-rs.

Credentials and endpoints come only from the environment, as s3fs and the AWS tools read them.
Videos in public buckets are read without credentials if the config says so.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import fsspec

from pvtt_flow.errors import PreflightError, PvttFlowError, StoreError
from pvtt_flow.storage.store_errors import describe, is_transient
from pvtt_flow.storage.uris import HTTP, local_path, s3_endpoint, store_of

_S3 = ("s3://", "s3a://")
# Options by which fsspec's implementations read without credentials.
_ANONYMOUS: dict[str, dict[str, Any]] = {
    "s3": {"anon": True},
    "s3a": {"anon": True},
    "gs": {"token": "anon"},
    "gcs": {"token": "anon"},
    "az": {"anon": True},
    "abfs": {"anon": True},
}
# Set while buckets are read without credentials, to those that are not. In the environment, since
# processes that this one starts read the same videos.
_SIGNED_BUCKETS = "PVTT_FLOW_SIGNED_BUCKETS"
# Longest time in which a web server sends nothing, in seconds.
_SILENCE_S = 30.0
# Those that RFC 3986 lets stand in a path.
_PATH_CHARACTERS = "/:@!$&'()*+,;=~"


def filesystem(uri: str, *, anonymous: bool = False) -> tuple[Any, str]:
    """Return the fsspec filesystem of a uri and the path in it; listings are never cached.

    Of a bucket, `anonymous` gives one without credentials.

    Every character of a name is part of it: `cc::dd` is one folder, and no chain of filesystems as
    in `fsspec.url_to_fs`.

    Raises ValueError for a scheme that fsspec does not know.
    """
    path = local_path(uri)
    if path is not None:
        return fsspec.filesystem("file", use_listings_cache=False), str(path)
    implementation = fsspec.get_filesystem_class(uri.partition("://")[0])
    options = implementation._get_kwargs_from_urls(uri)
    if uri.startswith(_S3):
        options |= _s3_options()
    if uri.startswith(HTTP):
        options |= _http_options()
    if anonymous or _is_anonymous(uri):
        options |= _ANONYMOUS.get(uri.partition("://")[0], {})
    files = implementation(use_listings_cache=False, **options)
    return files, str(implementation._strip_protocol(uri))


def read_anonymously(*, anonymous: bool, except_for: Iterable[str]) -> None:
    """Read buckets without credentials from now on, or with them, here and in child processes.

    The buckets of the uris `except_for` keep the credentials of the environment.
    """
    if anonymous:
        os.environ[_SIGNED_BUCKETS] = " ".join(sorted({store_of(uri) for uri in except_for}))
    else:
        os.environ.pop(_SIGNED_BUCKETS, None)


def _is_anonymous(uri: str) -> bool:
    signed = os.environ.get(_SIGNED_BUCKETS)
    return signed is not None and store_of(uri) not in signed.split(" ")


def _s3_options() -> dict[str, Any]:
    import s3fs.core

    # Process-wide, since s3fs has no other place for it: repeat a request up to 5 times for HTTP
    # 500 and the like too, so that a long listing does not start from its first page again.
    s3fs.core.set_custom_error_handler(is_transient)
    # botocore would repeat each of these attempts as well: a dead server would take minutes.
    return {"config_kwargs": {"retries": {"total_max_attempts": 1}}}


def _http_options() -> dict[str, Any]:
    import aiohttp

    # The default allows 5 minutes in all: too few for a large file that comes as a whole, and too
    # many for a server that says nothing.
    patience = aiohttp.ClientTimeout(total=None, sock_connect=_SILENCE_S, sock_read=_SILENCE_S)
    # Ranges of a compressed answer would be ranges of other bytes.
    return {"headers": {"Accept-Encoding": "identity"}, "client_kwargs": {"timeout": patience}}


def delta_uri(uri: str) -> str:
    """Return the uri by which delta-rs opens the place that fsspec opens by `uri`.

    delta-rs parses uris (RFC 3986), where `#`, `?` and others end the path if they are not encoded.
    """
    path = local_path(uri)
    if path is not None:
        return path.as_uri()
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{quote(rest, safe=_PATH_CHARACTERS)}"


def delta_options(uri: str) -> dict[str, str]:
    """Return the delta-rs options for the environment that s3fs reads.

    Commits use conditional puts, which need no lock table.
    """
    if not uri.startswith(_S3):
        return {}
    options = {"conditional_put": "etag", "timeout": "30s", "connect_timeout": "5s",
               "max_retries": "5", "retry_timeout": "30s"}  # fmt: skip
    if url := s3_endpoint():
        # A custom endpoint has no regions, but delta-rs does not sign requests without one.
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        options |= {"endpoint_url": url, "region": region or "us-east-1"}
        options["allow_http"] = str(url.startswith("http://")).lower()
    return options


@contextmanager
def preflight(key: str | None, what: str, uri: str) -> Iterator[None]:
    """Turn foreign errors inside into the `refusal` about the config value at `key`, if it has one.

    `what` names the thing that must exist at the uri, such as "dataset".
    """
    try:
        yield
    except PvttFlowError:
        raise
    except Exception as error:  # noqa: BLE001  fsspec's implementations raise errors of any class
        raise refusal("" if key is None else f"{key}: ", error, uri, what) from None


def refusal(
    rule: str, error: Exception, uri: str, what: str = "file"
) -> PreflightError | StoreError:
    """Return the error with which to refuse work, after the rule that is not met.

    A StoreError if the same request may succeed later, else a PreflightError: the user must act.
    """
    family = StoreError if is_transient(error) else PreflightError
    return family(f"{rule}{describe(error, uri, what)}")
