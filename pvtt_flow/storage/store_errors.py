"""What an error of a store means: to a person, and to whoever may try again.

Foreign errors are named here by class and code only: their own texts may quote credentials.
"""

import errno
import os
import re

from pvtt_flow.storage.uris import endpoint, redact_uri

_CREDENTIAL_ERRORS = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError",
                      "ProfileNotFound", "DefaultCredentialsError"}  # fmt: skip
_REFUSALS = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "401",
             "403", "InvalidToken"}  # fmt: skip
_NETWORK_ERRORS = {"HTTPClientError", "EndpointConnectionError", "ConnectTimeoutError",
                   "ClientConnectionError", "FSTimeoutError"}  # fmt: skip
_BROKEN_ANSWERS = {"ClientPayloadError", "IncompleteRead", "IncompleteReadError",
                   "ResponseParserError"}  # fmt: skip
_BUSY = {"SlowDown", "InternalError", "ServiceUnavailable", "Throttling", "ThrottlingException",
         "RequestLimitExceeded", "RequestTimeout", "500", "502", "503", "504"}  # fmt: skip
# What delta-rs says when its own retries did not help; it has no classes for it.
_RUST_STORES = ("Generic S3 error", "Generic GCS error")
_RUST_REFUSALS = ("403 Forbidden", "401 Unauthorized")
_RUST_DENIALS = ("lacked the necessary privileges", "lacked valid authentication")
_RUST_ABSENCES = ("NoSuchBucket", "404 Not Found")
_RUST_NUMBER = re.compile(r"\(os error (\d+)\)")
# What the system refuses whoever asks, and what helps.
_REMEDIES = {
    errno.ENOSPC: "make room there, then run again",
    errno.EDQUOT: "make room there, then run again",
    errno.EROFS: "mount it for writing, or correct the uri",
}


def is_transient(error: BaseException) -> bool:
    """Whether the same request may well succeed in a moment."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if _is_a(error, _NETWORK_ERRORS | _BROKEN_ANSWERS) or _code(error) in _BUSY:
        return True
    return _says(error, _RUST_STORES) and not _says(error, _RUST_REFUSALS + _RUST_ABSENCES)


def describe(error: BaseException, uri: str) -> str:
    """What was found at `uri` instead, and what to do about it; without secrets."""
    where, code, number = f"{redact_uri(uri)}{_at(uri)}", _code(error), _number(error)
    reason = f" ({code})" if code else ""
    system = getattr(error, "strerror", None) or (os.strerror(number) if number else "")
    absent = isinstance(error, FileNotFoundError | NotADirectoryError)
    told = _says(error, _RUST_STORES) and _says(error, _RUST_REFUSALS)
    denied = told or _says(error, _RUST_DENIALS)
    refused = isinstance(error, PermissionError) or code in _REFUSALS or denied
    cases = (
        (code == "NoSuchBucket", f"the bucket of {where} does not exist: create it or correct it"),
        (absent, f"there is nothing at {where}: correct the uri"),
        (_is_a(error, _CREDENTIAL_ERRORS), f"{where} needs credentials: set {_credentials(uri)}"),
        (
            code == "RequestTimeTooSkewed",
            f"{where} refused a request of another time: set this machine's clock right",
        ),
        (
            number in _REMEDIES,
            f"{where} cannot be written ({system}): {_REMEDIES.get(number)}",
        ),
        (refused, f"access to {where} was refused{reason}: check {_credentials(uri)}"),
        (
            is_transient(error),
            f"{where} does not answer{reason}: check the network and the server's address",
        ),
        (
            "://" in uri and isinstance(error, ImportError | ValueError),
            f"nothing here opens {where}: install the fsspec package for it or correct the uri",
        ),
    )
    detail = f" ({system})" if system else reason
    fallback = f"using {where} failed with {type(error).__name__}{detail}"
    return next((text for applies, text in cases if applies), fallback)


def error_name(error: BaseException) -> str:
    """Return the class and, if there is one, the S3 code of an error; without secrets."""
    code = _code(error)
    return f"{type(error).__name__} ({code})" if code else type(error).__name__


def _number(error: BaseException) -> int:
    """The system's number of the error, which delta-rs only quotes; 0 for none."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    quoted = _RUST_NUMBER.search(str(error))
    return int(quoted[1]) if quoted else 0


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    text = str(error)
    return any(word in text for word in words)


def _at(uri: str) -> str:
    url = endpoint()
    return f" (server {redact_uri(url)})" if url and uri.startswith("s3") else ""


def _credentials(uri: str) -> str:
    if uri.startswith("s3"):
        return "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE)"
    return "the credentials in the environment" if "://" in uri else "the file's permissions"


def _code(error: BaseException) -> str:
    """The S3 error code; s3fs keeps the botocore error that has it as the cause."""
    response = getattr(error.__cause__ or error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _is_a(error: BaseException, names: set[str]) -> bool:
    """By class name: the libraries behind fsspec are optional, so their classes may be absent."""
    return any(cls.__name__ in names for cls in type(error).__mro__)
