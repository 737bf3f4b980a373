"""Requests whose end, host or form two readers could understand differently.

Each case is followed by a second request on the same connection. A case that is refused, or that
two readers could differ on, must end the connection: the second request must not be answered.
"""

SECOND = b"GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
EMPTY = "0\r\n\r\n"


def post(headers, body=""):
    return f"POST /first HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}".encode()


def get(headers="", line="GET /first HTTP/1.1"):
    return f"{line}\r\n{headers}\r\n".encode("iso-8859-1")


HOST = "Host: a\r\n"
REFUSED = [400]
# Read in one way, answered, and nothing after it is read.
LAST = [404]
# Read in one way, and so is what follows.
BOTH = [404, 404]
# Refused, but where it ends is clear.
OTHER = [400, 404]

# Name, bytes before SECOND, statuses of the answers.
CASES = [
    # Content-Length and Transfer-Encoding: RFC 9112 6.1 lets the encoding count, if the
    # connection is closed then.
    ("length, then chunks", post("Content-Length: 5\r\n" + CHUNKED, EMPTY), LAST),
    ("chunks, then length", post(CHUNKED + "Content-Length: 5\r\n", EMPTY), LAST),
    ("length that covers the next request", post("Content-Length: 40\r\n" + CHUNKED, EMPTY), LAST),
    ("length of nothing and chunks", post("Content-Length: 0\r\n" + CHUNKED, EMPTY), LAST),
    ("bad length and chunks", post("Content-Length: x\r\n" + CHUNKED, EMPTY), REFUSED),
    # Transfer-Encoding.
    ("chunks alone", post(CHUNKED, EMPTY), LAST),
    ("chunks in capitals", post("TRANSFER-ENCODING: CHUNKED\r\n", EMPTY), LAST),
    ("tab before chunked", post("Transfer-Encoding:\tchunked\r\n", EMPTY), LAST),
    ("space before the colon", post("Transfer-Encoding : chunked\r\n", EMPTY), REFUSED),
    ("tab before the colon", post("Transfer-Encoding\t: chunked\r\n", EMPTY), REFUSED),
    ("space before the name", post(" Transfer-Encoding: chunked\r\n", EMPTY), REFUSED),
    ("vertical tab after chunked", post("Transfer-Encoding: chunked\x0b\r\n", EMPTY), REFUSED),
    ("vertical tab before chunked", post("Transfer-Encoding: \x0bchunked\r\n", EMPTY), REFUSED),
    ("xchunked", post("Transfer-Encoding: xchunked\r\n", EMPTY), REFUSED),
    ("quoted chunked", post('Transfer-Encoding: "chunked"\r\n', EMPTY), REFUSED),
    ("chunked with a parameter", post("Transfer-Encoding: chunked;q=1\r\n", EMPTY), REFUSED),
    ("identity", post("Transfer-Encoding: identity\r\nContent-Length: 0\r\n"), REFUSED),
    ("gzip", post("Transfer-Encoding: gzip\r\n", "x"), REFUSED),
    ("chunked, then gzip", post("Transfer-Encoding: chunked, gzip\r\n", EMPTY), REFUSED),
    ("chunked, then identity", post(CHUNKED + "Transfer-Encoding: identity\r\n", EMPTY), REFUSED),
    ("empty encoding", post("Transfer-Encoding:\r\nContent-Length: 0\r\n"), REFUSED),
    ("folded encoding", post("Transfer-Encoding:\r\n chunked\r\n", EMPTY), REFUSED),
    ("folded by a line feed", post("Transfer-Encoding:\n chunked\r\n", EMPTY), REFUSED),
    ("carriage return before it", post("X: y\rTransfer-Encoding: chunked\r\n", EMPTY), REFUSED),
    ("carriage return in the value", post("Transfer-Encoding: chu\rnked\r\n", EMPTY), REFUSED),
    ("NUL in the value", post("Transfer-Encoding: chunked\0\r\n", EMPTY), REFUSED),
    ("NUL in the name", post("Transfer-Encoding\0: chunked\r\n", EMPTY), REFUSED),
    # A line feed alone ends a line (RFC 9112 2.2), so this is the header.
    ("line feed before it", post("X: y\nTransfer-Encoding: chunked\r\n", EMPTY), LAST),
    # Another header.
    ("underscore", post("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", EMPTY), BOTH),
    ("HTTP/1.0 with chunks", get(CHUNKED, "POST /first HTTP/1.0") + EMPTY.encode(), REFUSED),
    # Content-Length.
    ("two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n", "12345"), REFUSED),
    ("list of lengths", post("Content-Length: 5, 6\r\n", "12345"), REFUSED),
    ("list of equal lengths", post("Content-Length: 5, 5\r\n", "12345"), REFUSED),
    ("length with plus", post("Content-Length: +5\r\n", "12345"), REFUSED),
    ("length with minus", post("Content-Length: -5\r\n", "12345"), REFUSED),
    ("hexadecimal length", post("Content-Length: 0x5\r\n", "12345"), REFUSED),
    ("length with exponent", post("Content-Length: 5e0\r\n", "12345"), REFUSED),
    ("length with point", post("Content-Length: 5.0\r\n", "12345"), REFUSED),
    ("length with underscore", post("Content-Length: 1_0\r\n", "12345"), REFUSED),
    ("no length in Content-Length", post("Content-Length:\r\n", ""), REFUSED),
    ("length over 64 bits", post("Content-Length: 18446744073709551621\r\n", "12345"), REFUSED),
    ("space in the length", post("Content-Length: 1 5\r\n", "12345"), REFUSED),
    ("space before its colon", post("Content-Length : 5\r\n", "12345"), REFUSED),
    ("folded length", post("Content-Length: 5\r\n 0\r\n", "12345"), REFUSED),
    ("spaces around the length", post("Content-Length:  5 \r\n", "12345"), BOTH),
    ("zeros before the length", post("Content-Length: 00005\r\n", "12345"), BOTH),
    # Chunks.
    ("chunk with plus", post(CHUNKED, "+5\r\n12345\r\n" + EMPTY), LAST),
    ("chunk with minus", post(CHUNKED, "-5\r\n12345\r\n" + EMPTY), LAST),
    ("chunk with 0x", post(CHUNKED, "0x5\r\n12345\r\n" + EMPTY), LAST),
    ("chunk without a length", post(CHUNKED, "\r\n12345\r\n" + EMPTY), LAST),
    ("chunk over 64 bits", post(CHUNKED, "FFFFFFFFFFFFFFFFF\r\n12345\r\n" + EMPTY), LAST),
    ("chunk longer than said", post(CHUNKED, "3\r\n12345\r\n" + EMPTY), LAST),
    ("chunk shorter than said", post(CHUNKED, "F\r\n12345\r\n" + EMPTY), LAST),
    ("chunk ended by a line feed", post(CHUNKED, "5\n12345\n0\n\n"), LAST),
    ("line feed in an extension", post(CHUNKED, "5;a\nb\r\n12345\r\n" + EMPTY), LAST),
    ("long extension", post(CHUNKED, "5;" + "a" * 100_000 + "\r\n12345\r\n" + EMPTY), LAST),
    ("trailers", post(CHUNKED, "0\r\nContent-Length: 5\r\n\r\n"), LAST),
    ("long trailers", post(CHUNKED, "0\r\n" + "X: a\r\n" * 50_000 + "\r\n"), LAST),
    # Host.
    ("no host", get(), OTHER),
    ("two hosts", get("Host: a\r\nHost: b\r\n"), OTHER),
    ("two equal hosts", get("Host: a\r\nHost: a\r\n"), OTHER),
    ("empty host", get("Host:\r\n"), OTHER),
    ("list of hosts", get("Host: a, b\r\n"), OTHER),
    ("host with a user", get("Host: b@a\r\n"), OTHER),
    ("host with a path", get("Host: a/b\r\n"), OTHER),
    ("host with a space", get("Host: a b\r\n"), OTHER),
    ("space before the colon of Host", get("Host : a\r\n"), REFUSED),
    ("no host in HTTP/1.0", get("", "GET /first HTTP/1.0"), LAST),
    # The target.
    ("absolute target", get(HOST, "GET http://a/first HTTP/1.1"), BOTH),
    ("absolute target elsewhere", get(HOST, "GET http://b/first HTTP/1.1"), OTHER),
    ("target with a user", get(HOST, "GET http://u@a/first HTTP/1.1"), OTHER),
    ("target of a tunnel", get(HOST, "CONNECT a:1 HTTP/1.1"), OTHER),
    ("asterisk", get(HOST, "OPTIONS * HTTP/1.1"), BOTH),
    ("target without a slash", get(HOST, "GET first HTTP/1.1"), OTHER),
    ("fragment", get(HOST, "GET /first#a HTTP/1.1"), BOTH),
    ("space in the target", get(HOST, "GET /fi rst HTTP/1.1"), REFUSED),
    ("tab in the target", get(HOST, "GET /fi\trst HTTP/1.1"), REFUSED),
    ("NUL in the target", get(HOST, "GET /fi\0rst HTTP/1.1"), REFUSED),
    ("two spaces", get(HOST, "GET  /first HTTP/1.1"), REFUSED),
    ("tab for a space", get(HOST, "GET\t/first HTTP/1.1"), REFUSED),
    ("no target", get(HOST, "GET HTTP/1.1"), REFUSED),
    # Versions.
    ("HTTP/0.9", b"GET /first\r\n", REFUSED),
    ("HTTP/1.2", get(HOST, "GET /first HTTP/1.2"), REFUSED),
    ("HTTP/2.0", get(HOST, "GET /first HTTP/2.0"), REFUSED),
    ("http/1.1", get(HOST, "GET /first http/1.1"), REFUSED),
    ("HTTP/1.10", get(HOST, "GET /first HTTP/1.10"), REFUSED),
    ("HTTP/2 from the start", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []),
    ("upgrade to HTTP/2", get(HOST + "Upgrade: h2c\r\nConnection: Upgrade\r\n"), BOTH),
    ("upgrade to WebSocket", get(HOST + "Upgrade: websocket\r\nConnection: Upgrade\r\n"), BOTH),
    # Headers.
    ("folded header", get(HOST + "X: a\r\n b\r\n"), REFUSED),
    ("header without a colon", get(HOST + "X\r\n"), REFUSED),
    ("header without a name", get(HOST + ": x\r\n"), REFUSED),
    ("parenthesis in a name", get(HOST + "X(: x\r\n"), REFUSED),
    ("8-bit name", get(HOST + "X\xe4: x\r\n"), REFUSED),
    ("NUL in a header", get(HOST + "X: a\0b\r\n"), REFUSED),
    ("escape in a header", get(HOST + "X: a\x1bb\r\n"), REFUSED),
    ("101 headers", get(HOST + "X: a\r\n" * 100), [431]),
    ("1000 headers", get(HOST + "X: a\r\n" * 999), [431]),
    ("1001 headers", get(HOST + "X: a\r\n" * 1000), [431]),
    ("head that is a little long", get(HOST + "X: " + "a" * 70_000 + "\r\n"), [431]),
    ("long header", get(HOST + "X: " + "a" * 150_000 + "\r\n"), [431]),
    ("long name", get(HOST + "X" * 150_000 + ": a\r\n"), [431]),
    ("many megabytes of header", get(HOST + ("X: " + "a" * 1000 + "\r\n") * 10_000), [431]),
    ("head without an end", b"GET /first HTTP/1.1\r\nX: " + b"a" * (4 << 20), [431]),
    ("long target", get(HOST, "GET /" + "a" * 150_000 + " HTTP/1.1"), None),
    ("long method", get(HOST, "G" * 150_000 + " / HTTP/1.1"), [431]),
    # Other protocols.
    ("TLS", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(160), REFUSED),
    ("Redis", b"*1\r\n$4\r\nPING\r\n", REFUSED),
    ("Redis in a line", b"PING\r\n", REFUSED),
    ("SMTP", b"EHLO a\r\n", REFUSED),
    ("zeros", bytes(1000), REFUSED),
    ("empty lines before a request", b"\r\n\r\n" + get(HOST), BOTH),
]


def check(service, statuses, parsed):
    """Problems, one a line."""
    close = HOST + "Connection: close\r\n"
    for name, data in (
        ("101 headers", get(close + "X: a\r\n" * 99)),
        ("head that is a little long", get(close + "X: " + "a" * 70_000 + "\r\n")),
    ):
        status, headers, body = parsed(service.exchange(data))
        found = (status, body["error_code"], body["request_id"])
        if found != (431, "APIGW.0201", headers["x-request-id"]):
            yield f"{name}: {found}"
    for name, data, expected in CASES:
        found = statuses(service.exchange(data + SECOND))
        if expected is None:
            # Whatever says so, the client is at fault and the connection ends.
            if len(found) > 1 or any(not 400 <= status < 500 for status in found):
                yield f"{name}: {found}"
        elif found != expected:
            yield f"{name}: {found}, expected {expected}"
