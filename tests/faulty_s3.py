"""A proxy in front of an S3 server that does what S3 does on a bad day."""

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

FAULTS = ("500", "503", "reset", "stall", "truncated", "lost answer")
_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>later</Message></Error>'
)
# Longer than any request here takes, shorter than a client waits.
_STALL_S = 4.0


class FaultyS3:
    """`rate` of the requests fail, each in a way that is drawn; `down` refuses all of them."""

    def __init__(self, upstream: str, *, rate: float, seed: int = 0) -> None:
        self.upstream = urlsplit(upstream)
        self.rate = rate
        self.down = False
        self.seen: Counter[str] = Counter()
        """Faults by kind, and requests."""
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator["FaultyS3"]:
        """Serves until it is left."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    def fault(self) -> str | None:
        """Return the fault of this request, if any."""
        with self._lock:
            self.seen["requests"] += 1
            if self.down:
                return "reset"
            if self._random.random() >= self.rate:
                return None
            fault = self._random.choice(FAULTS)
            self.seen[fault] += 1
            return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultyS3

    def _serve(self) -> None:
        fault = self.proxy.fault()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if fault in ("500", "503"):
            code = b"InternalError" if fault == "500" else b"SlowDown"
            self._answer(int(fault), [("Content-Type", "application/xml")], _SLOW_DOWN % code)
        elif fault == "reset":
            self._reset()
        elif fault == "stall":
            time.sleep(_STALL_S)
            self._reset()
        else:
            status, headers, answer = self._forward(body)
            if fault == "lost answer":
                self._reset()
            elif fault == "truncated" and len(answer) > 1:
                self._answer(status, headers, answer, num_sent=len(answer) // 2)
                self._reset()
            else:
                self._answer(status, headers, answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Discard the log."""

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        host, port = self.proxy.upstream.hostname, self.proxy.upstream.port
        upstream = http.client.HTTPConnection(str(host), port, timeout=60)
        try:
            # The host is signed, so it must stay what the client believes it to be.
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders(body or None)
            response = upstream.getresponse()
            kept = [(n, v) for n, v in response.getheaders() if n.lower() not in _OWN_HEADERS]
            if self.command == "HEAD":
                kept.append(("Content-Length", response.getheader("Content-Length") or "0"))
            return response.status, kept, response.read()
        finally:
            upstream.close()

    def _answer(
        self,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        num_sent: int | None = None,
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:num_sent])

    def _reset(self) -> None:
        """Hang up at once, without a goodbye."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


_OWN_HEADERS = {"content-length", "transfer-encoding", "connection", "keep-alive"}
