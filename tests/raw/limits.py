"""Slow, idle and greedy clients: each is cut in time, and nobody else is kept waiting."""

import socket
import time

import client

# Of the service under test; the waits below follow from them.
LIMITS = """
connections = 100
header_seconds = 2
body_seconds = 2
write_seconds = 2
requests_per_second = 20
"""
CUT_MAX = 6


def check(service):
    """Problems, one a line."""
    yield from slow(service, "head", b"GET /first HTTP/1.1\r\nHost: a\r\nX: ", b"a", None)
    body = service.signed("POST", client.ANALYSIS, b" " * 1000)[:-1000]
    yield from slow(service, "body", body, b" ", 408)
    yield from slow(service, "body in chunks", chunked(service), b"1\r\n \r\n", 408)
    yield from slow(service, "chunk extension", chunked(service) + b"1;", b"a", 408)
    yield from never(service, "nothing", b"")
    yield from never(service, "half a line", b"GET /fi")
    yield from never(service, "after an answer", b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
    yield from nobody_reads(service)
    yield from crowd(service)
    yield from rate(service)


def chunked(service):
    headers = {"content-length": None, "transfer-encoding": "chunked"}
    return service.signed("POST", client.ANALYSIS, b"", headers)


def slow(service, name, start, piece, expected):
    """Sends a piece every 50 ms: that must end as soon as sending nothing would."""
    began = time.monotonic()
    answer = b""
    with service.connect() as connection:
        connection.sendall(start)
        connection.settimeout(0.05)
        while time.monotonic() - began < CUT_MAX:
            try:
                connection.sendall(piece)
                part = connection.recv(1 << 16)
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                break
            if not part:
                break
            answer += part
    took = time.monotonic() - began
    found = int(answer[9:12]) if answer else None
    if not 1.5 < took < CUT_MAX or found != expected:
        yield f"slow {name}: {found} after {took:.1f} s"


def never(service, name, start):
    """Sends no more."""
    began = time.monotonic()
    service.exchange(start)
    took = time.monotonic() - began
    if not 1.5 < took < CUT_MAX:
        yield f"never sends, {name}: cut after {took:.1f} s"


def nobody_reads(service):
    """Asks without an end and reads none of the answers."""
    request = b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n" * 1000
    before, sockets = service.memory_kib(), service.sockets()
    with service.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(0.5)
        try:
            while True:
                connection.sendall(request)
        except TimeoutError:
            pass  # The service cannot write, so it does not read either.
        except (BrokenPipeError, ConnectionResetError):
            pass
        grown = service.memory_kib() - before
        # The kernel keeps what was written, so the client would not see that it is cut.
        began = time.monotonic()
        while service.sockets() > sockets and time.monotonic() - began < CUT_MAX:
            time.sleep(0.1)
        if service.sockets() > sockets:
            yield "nobody reads: not cut"
    if grown > 8 * 1024:
        yield f"nobody reads: {grown} KiB more memory"


def crowd(service):
    """Three times as many connections as there may be, which do nothing: others get through."""
    crowd = [service.connect() for _ in range(300)]
    began = time.monotonic()
    status = service.ask("GET", client.ANALYSIS)[0]
    took = time.monotonic() - began
    if status != 200 or took > 3 * CUT_MAX:
        yield f"crowd: {status} after {took:.1f} s"
    for connection in crowd:
        connection.close()


def rate(service):
    """More requests than a key may make: some are refused, and it recovers."""
    time.sleep(1.5)
    answers = [service.ask("GET", client.ANALYSIS) for _ in range(60)]
    refused = [answer for answer in answers if answer[0] == 429]
    if not 0 < len(refused) <= 40 or any(answer[0] not in (200, 429) for answer in answers):
        yield f"rate: {[answer[0] for answer in answers]}"
    if any(answer[2]["error_code"] != "APIGW.0308" for answer in refused):
        yield f"rate: {refused[0]}"
    time.sleep(1.5)
    if service.ask("GET", client.ANALYSIS)[0] != 200:
        yield "rate: still refused"
