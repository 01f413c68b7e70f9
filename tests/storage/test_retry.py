"""Repeated storage operations, and the messages when repeating did not help."""

import errno
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import s3fs

from pvtt_flow.errors import DataError, StoreError
from pvtt_flow.storage import retry
from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.storage.retry import with_retries
from pvtt_flow.storage.store_errors import describe, is_transient
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.storage.uris import s3_endpoint
from tests.faulty_s3 import FaultyS3

if TYPE_CHECKING:
    from tests.conftest import S3Server

NO_SPACE = "s3://b/k cannot be written (No space left on device); free some space, then run again"


class ClientError(Exception):
    """Stand-in for botocore's ClientError."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code}}


@pytest.fixture(autouse=True)
def short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "RETRY_DEADLINE_S", 0.5)


@pytest.mark.parametrize(
    ("error", "transient", "message"),
    [
        (ClientError("SlowDown"), True, "s3://b/k does not answer (SlowDown); check the network"),
        (ClientError("503"), True, "does not answer (503)"),
        (ConnectionResetError(), True, "does not answer"),
        (TimeoutError(), True, "does not answer"),
        (OSError("Kernel error: Generic S3 error: operation timed out"), True, "does not answer"),
        (OSError("Generic S3 error: status 403 Forbidden"), False, "s3://b/k was refused"),
        (ClientError("AccessDenied"), False, "was refused (AccessDenied); check AWS_ACCESS_KEY_ID"),
        (ClientError("RequestTimeTooSkewed"), False, "set the clock of this machine"),
        (FileNotFoundError(), False, "no file at s3://b/k"),
        (
            OSError("The operation lacked the necessary privileges to complete for path k"),
            False,
            "access to s3://b/k was refused; check AWS_ACCESS_KEY_ID",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), False, NO_SPACE),
        (OSError("Generic LocalFileSystem error: No space (os error 28)"), False, NO_SPACE),
        (OSError(errno.EROFS, "Read-only file system"), False, "(Read-only file system); mount it"),
        (OSError("No such device (os error 19)"), False, "failed with OSError (No such device)"),
    ],
)
def test_transient_errors_are_told_apart_and_described(
    error: Exception, message: str, *, transient: bool
) -> None:
    assert is_transient(error) == transient
    assert message in describe(error, "s3://b/k").replace(f" (server {s3_endpoint()})", "")


def test_transient_errors_are_repeated_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    failures = iter([ConnectionResetError("password"), ClientError("SlowDown")])

    def succeed_at_third_call() -> str:
        for failure in failures:
            raise failure
        return "done"

    assert with_retries(succeed_at_third_call) == "done"
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("a storage operation failed with ConnectionResetError; trying again in")
    assert second.startswith("a storage operation failed with ClientError (SlowDown); trying again")
    assert "password" not in caplog.text


def test_other_errors_are_raised_at_once_and_transient_ones_in_the_end() -> None:
    calls = []

    def fail(error: Exception) -> None:
        calls.append(error)
        raise error

    with pytest.raises(PermissionError):
        with_retries(lambda: fail(PermissionError()))
    assert len(calls) == 1
    with pytest.raises(ConnectionResetError):
        with_retries(lambda: fail(ConnectionResetError()))
    assert len(calls) > 2


@pytest.fixture
def proxy(s3: "S3Server", monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    with FaultyS3(s3.endpoint_url, rate=0).running() as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
        s3fs.S3FileSystem.clear_instance_cache()
        yield made
    s3fs.S3FileSystem.clear_instance_cache()


def test_every_fault_is_overcome(s3: "S3Server", proxy: FaultyS3) -> None:
    content = bytes(range(256)) * 100
    files, path = filesystem(f"{s3.bucket()}/file")
    files.pipe_file(path, content)
    proxy.rate = 0.4
    for _ in range(6):
        with open_binary(f"s3://{path}") as file:
            assert file.read() == content
    assert sum(proxy.seen.values()) > proxy.seen["requests"], "there were faults"


def test_missing_object_is_a_data_error_and_missing_server_a_store_error(
    s3: "S3Server", proxy: FaultyS3
) -> None:
    bucket = s3.bucket()
    with pytest.raises(DataError, match="no file at"), open_binary(f"{bucket}/none"):
        pass
    proxy.down = True
    gone = pytest.raises(StoreError, match=r"^\$.input.uri: s3://.* does not answer")
    with gone, open_binary(f"{bucket}/none"):
        pass
