"""Classify storage errors: whether to retry, and what to tell the user.

Messages name foreign errors by class and code only: their own texts may contain credentials.
"""

import errno
import os
import re

from pvtt_flow.storage.uris import HTTP, redact_uri, s3_endpoint

_CREDENTIAL_ERRORS = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError",
                      "ProfileNotFound", "DefaultCredentialsError"}  # fmt: skip
_REFUSALS = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "401",
             "403", "InvalidToken"}  # fmt: skip
_WRONG_TIME = "RequestTimeTooSkewed"
_NETWORK_ERRORS = {"HTTPClientError", "EndpointConnectionError", "ConnectTimeoutError",
                   "ClientConnectionError", "FSTimeoutError"}  # fmt: skip
_BROKEN_ANSWERS = {"ClientPayloadError", "IncompleteRead", "IncompleteReadError",
                   "ResponseParserError"}  # fmt: skip
_BUSY = {"SlowDown", "InternalError", "ServiceUnavailable", "Throttling", "ThrottlingException",
         "RequestLimitExceeded", "RequestTimeout", "429", "500", "502", "503", "504"}  # fmt: skip
# Texts of delta-rs, which has no error classes for these, after its own retries.
_RUST_STORES = ("Generic S3 error", "Generic GCS error")
_RUST_REFUSALS = ("403 Forbidden", "401 Unauthorized")
_RUST_DENIALS = ("lacked the necessary privileges", "lacked valid authentication")
_RUST_ABSENCES = ("NoSuchBucket", "404 Not Found")
_RUST_NUMBER = re.compile(r"\(os error (\d+)\)")
# Errors of the operating system, and what to do about them.
_REMEDIES = {
    errno.ENOSPC: "free some space, then run again",
    errno.EDQUOT: "free some space, then run again",
    errno.EROFS: "mount it for writing, or correct the uri",
}


def is_transient(error: BaseException) -> bool:
    """Return whether the same request may succeed in a moment."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if _is_a(error, _NETWORK_ERRORS | _BROKEN_ANSWERS) or _code(error) in _BUSY:
        return True
    return _says(error, _RUST_STORES) and not _says(error, _RUST_REFUSALS + _RUST_ABSENCES)


def is_of_store(error: BaseException, uri: str) -> bool:
    """Return whether the store does not serve any object now, so that no object is to blame.

    A web server that answers with an error may fail at this file alone.
    """
    if uri.startswith(HTTP) and _code(error):
        return False
    return is_transient(error) or _is_a(error, _CREDENTIAL_ERRORS) or _code(error) == _WRONG_TIME


def describe(error: BaseException, uri: str, what: str = "file") -> str:
    """Return what is wrong at `uri` and what to do about it; without secrets.

    `what` names the thing that must exist there.
    """
    where, code, number = f"{redact_uri(uri)}{_server_of(uri)}", _code(error), _number(error)
    reason = f" ({code})" if code else ""
    system = getattr(error, "strerror", None) or (os.strerror(number) if number else "")
    cases = (
        (code == "NoSuchBucket", f"the bucket of {where} must exist; create it or correct the uri"),
        (_is_absent(error), f"no {what} at {where}; correct the uri"),
        (
            _is_a(error, _CREDENTIAL_ERRORS),
            f"{where} needs credentials; set {_credentials(uri)}, or `anonymous` if it is public",
        ),
        (
            code == _WRONG_TIME,
            f"{where} refused a request with a wrong time; set the clock of this machine",
        ),
        (number in _REMEDIES, f"{where} cannot be written ({system}); {_REMEDIES.get(number)}"),
        (
            _is_refusal(error),
            f"access to {where} was refused{reason}; check {_credentials(uri)}",
        ),
        (
            is_transient(error),
            f"{where} does not answer{reason}; check the network and the server's address",
        ),
        (
            "://" in uri and isinstance(error, ImportError | ValueError),
            f"no filesystem for {where}; install the fsspec package for it or correct the uri",
        ),
    )
    detail = f" ({system})" if system else reason
    fallback = f"{where} failed with {type(error).__name__}{detail}"
    return next((text for applies, text in cases if applies), fallback)


def _is_absent(error: BaseException) -> bool:
    if isinstance(error, FileNotFoundError) and _code(error) in _REFUSALS | _BUSY:
        return False  # fsspec's class for every answer of a web server that is an error
    return isinstance(error, FileNotFoundError | NotADirectoryError)


def _is_refusal(error: BaseException) -> bool:
    if isinstance(error, PermissionError) or _code(error) in _REFUSALS:
        return True
    refused_by_store = _says(error, _RUST_STORES) and _says(error, _RUST_REFUSALS)
    return refused_by_store or _says(error, _RUST_DENIALS)


def error_name(error: BaseException) -> str:
    """Return the class and, if there is one, the S3 code of an error; without secrets."""
    code = _code(error)
    return f"{type(error).__name__} ({code})" if code else type(error).__name__


def _number(error: BaseException) -> int:
    """Return the errno, which delta-rs has only in its text; 0 if there is none."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    quoted = _RUST_NUMBER.search(str(error))
    return int(quoted[1]) if quoted else 0


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    text = str(error)
    return any(word in text for word in words)


def _server_of(uri: str) -> str:
    url = s3_endpoint()
    return f" (server {redact_uri(url)})" if url and uri.startswith("s3") else ""


def _credentials(uri: str) -> str:
    if uri.startswith("s3"):
        return "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE)"
    if uri.startswith(HTTP):
        return "the link, whose signature may have expired"
    return "the credentials in the environment" if "://" in uri else "the file's permissions"


def _code(error: BaseException) -> str:
    """Return the S3 error code or HTTP status of an error or its cause; or ""."""
    inner = error.__cause__ or error
    if isinstance(status := getattr(inner, "status", None), int):
        return str(status)
    response = getattr(inner, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _is_a(error: BaseException, names: set[str]) -> bool:
    """Compare by class name: the libraries behind fsspec are optional, so classes may be absent."""
    return any(cls.__name__ in names for cls in type(error).__mro__)
