"""Bodies, queries and ids that no client sends: an answer of the API's form, and never a 5xx."""

import json

import client

LIMIT = 12 * 1024 * 1024
MEMBERS = [
    "node_id", "backup_id", "node_ids", "backup_ids", "top", "prefixes", "separators",
    "fold_digits", "profile", "size",
]
VALUES = [
    "null", "true", "0", "-0", "-1", "1.5", "1e0", "1e999", "-1e999", "1e-999", "1" * 5000,
    "18446744073709551616", "-9223372036854775809", '""', '"*"', '"\\u0000"', '"\\ud800"',
    '"\\udfff\\ud800"', '"../../etc/passwd"', '"a' + "b" * 10_000 + '"', "[]", "{}", "[null]",
    '["*"]', "[[]]", "[" * 100 + "]" * 100, "[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000,
    "[" + ",".join(["1"] * 50_000) + "]", "[" + ",".join(['"a"'] * 50_000) + "]",
    '{"__proto__":{}}', '"\u202e\u0000"', "NaN", "Infinity", "0x10", "01", "+1", ".5", "1.", "'a'",
    "undefined", '"\n"', '"\\x41"', '"\\u00"', '"',
]
WHOLE = [
    b"", b" ", b"\r\n\t ", b"null", b"true", b"1", b"1e999", b"[]", b"[1]", b'"x"', b"{", b"}", b"{}{}",
    b"{} x", b"{,}", b'{"a":1,}', b"{'a':1}", b"{a:1}", b'{"a" 1}', b'{"a":}', b"{}\0", b"\0{}",
    b"\xef\xbb\xbf{}", "{}".encode("utf-16"), "{}".encode("utf-32"), b'{"\xff":1}', b'{"a":"\xc0\xaf"}',
    b'{"a":"\xed\xa0\x80"}', b"// a\n{}", b"{}/* a */", b"\x1f\x8b\x08\x00", b"%PDF-1.4", b"<xml/>",
    b"node_id=a", b"--x\r\n", b"{" * 100_000, b"[" * 1_000_000, b'{"a":' * 1_000_000,
    b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
    b'{"node_id":"a","node_id":"b"}', b'{"node_id":"a","node\\u005fid":"b"}',
    b'{"top":1,"node_id":"a","top":2}', b'{"x":1,"x":2,"node_id":"a"}', b'{"":1}',
    b"{" + b",".join(b'"%d":1' % number for number in range(300_000)) + b"}",
    b'{"node_ids":[' + b",".join([b"1"] * 4_000_000) + b"]}",
    b'{"x":"' + b"a" * (LIMIT - 100) + b'"}', b" " * LIMIT,
]
PLACES = [
    "/v2/{}/instances",
    "/v2/{}/instances/{}",
    "/v2/{}/instance/{}/groups",
    "/v2/{}/instances/{}/backups",
    "/v2/{}/instances/{}/offline/key-analysis/{}",
    "/v2/{}/instances/{}/offline/key-analysis/{}/report",
]
IDS = [
    "..", ".", "...", "%2e%2e", "%2E%2E%2F", "..%2f..%2fetc%2fpasswd", "..%5c..%5c", "%252e%252e%252f",
    "%c0%ae%c0%ae", "%00", "a%00.rdb", "C:%5CWindows", "%2fetc%2fpasswd", "~", "~root", "-", "--help",
    "%20", "a%20", "a.", "%ef%bc%8e%ef%bc%8e", "%e2%80%ae", "%ff", "*", "%25", "%", "%zz", "'", "%22",
    "%3Cscript%3E", "%27%20OR%201=1--", ";", "a;b", "$(id)", "%60id%60", "%0d%0aX:%20a", "%0a", "0",
    "{}", "%7B0%7D", "a" * 20_000, "%F0%9F%94%91" * 1000, client.PROJECT.upper(), client.PROJECT + "0",
    client.INSTANCE.upper(), "{" + client.INSTANCE + "}", client.INSTANCE.replace("-", ""),
    "urn:uuid:" + client.INSTANCE, client.INSTANCE + "%20", client.PROJECT, client.INSTANCE,
]
QUERIES = [
    "limit=1&limit=2", "limit=", "limit", "limit=-1", "limit=1e3", "limit=0x1", "limit=%201", "limit=1.0",
    "limit=99999999999999999999", "offset=-1", "offset=99999999999999999999", "offset=NaN", "status=",
    "status=%00", "status=success&status=failed", "status=" + "a" * 30_000, "x=1", "x", "=", "&&&", "==",
    "&".join(f"x{number}=1" for number in range(3000)), "%ff=1", "limit=%ff", "a=%", "%zz=1", "limit[]=1",
    "begin_time=2026&end_time=x", "offset=1%00", "name=%27;--", "limit=1000", "offset=2147483648",
]


def check(service):
    """Problems, one a line."""
    whole = [*WHOLE, *duplicated()]
    for member in MEMBERS:
        for value in VALUES:
            others = f'"node_id":"{client.NODE}",' if member not in ("node_id", "node_ids") else ""
            whole.append(f'{{{others}"{member}":{value}}}'.encode())
    for body in whole:
        yield from judged(service.ask("POST", client.ANALYSIS, body), 400, f"body {body[:60]!r}")
    for body in (b" " * (LIMIT + 1), b'{"x":"' + b"a" * LIMIT + b'"}'):
        answer = service.ask("POST", client.ANALYSIS, body)
        yield from judged(answer, 413, f"body of {len(body)}")
        if answer[2]["error_code"] != "APIGW.0201":
            yield f"body of {len(body)}: {answer}"
    yield from in_chunks(service)
    for body in [*WHOLE, *tokens()]:
        request = service.signed("POST", "/v3/auth/tokens", body, {"authorization": None})
        answer = client.parsed(service.exchange(request))
        yield from judged(answer, (400, 413), f"token {body[:60]!r}")
    for place in PLACES:
        own = [client.PROJECT, client.INSTANCE, client.INSTANCE]
        for at in range(place.count("{}")):
            for bad in IDS:
                ids = own[:at] + [bad] + own[at + 1 :]
                answer = service.exchange(service.signed("GET", place.format(*ids)))
                # Where a good id is tried in its own place, or the path is refused as HTTP.
                # A UUID is one in capitals too.
                is_good = bad == own[at] or (at > 0 and bad.lower() == own[at])
                yield from of_id(answer, f"{place} {at} {bad[:60]!r}", is_good)
    for query in QUERIES:
        for path in (client.ANALYSIS, f"/v2/{client.PROJECT}/instances"):
            answer = service.ask("GET", f"{path}?{query}")
            yield from judged(answer, (200, 400, 401), f"query {query[:60]!r}")


def duplicated():
    """A good body with each member twice."""
    for member in MEMBERS:
        yield f'{{"{member}":null,"{member}":"a"}}'.encode()


def tokens():
    """Bodies that ask for a token and are not quite right."""
    good = {"auth": {"identity": {"methods": ["hw_ak_sk"], "hw_ak_sk": {
        "access": {"key": "RAW"}, "secret": {"key": "raw secret"}}}}}
    text = json.dumps(good)
    for value in VALUES:
        yield text.replace('"raw secret"', value).encode() + b","
        yield text.replace('["hw_ak_sk"]', value).encode() + b","
    for cut in range(1, len(text)):
        yield text[:cut].encode()


def in_chunks(service):
    """A body of unknown length is read up to the limit, and a malformed one is told as such."""
    def chunked(body, coded):
        headers = {"content-length": None, "transfer-encoding": "chunked"}
        signed = service.signed("POST", client.ANALYSIS, body, headers)
        head, _, _ = signed.partition(b"\r\n\r\n")
        return client.parsed(service.exchange(head + b"\r\n\r\n" + coded))

    good = b"{}"
    yield from judged(chunked(good, b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"), 400, "chunks")
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    for pieces, rest, status in ((12, b"0\r\n\r\n", 400), (12, b"1\r\n \r\n0\r\n\r\n", 413)):
        body = b" " * (pieces * 0x100000)
        answer = chunked(body, piece * pieces + rest)
        yield from judged(answer, status, f"{pieces} MiB in chunks, then {rest[:4]!r}")
    for bad in (b"+2\r\n{}\r\n0\r\n\r\n", b"x\r\n", b"2\r\n{}x0\r\n\r\n", b"2\r\n{}\r\n0\r\nX\r\n\r\n"):
        yield from judged(chunked(good, bad), 400, f"chunks {bad!r}")


def of_id(answer, name, is_good):
    status = int(answer[9:12])
    if answer.startswith(b"HTTP/1.1 400") and b"content-length: 0\r\n" in answer:
        return
    expected = (200, 400) if is_good else (400, 401, 404)
    yield from judged(client.parsed(answer), expected, name)
    if status == 200 and not is_good:
        yield f"{name}: {answer[:200]!r}"


def judged(answer, expected, name):
    """A problem unless the answer has the status and, if it is an error, the API's form."""
    status, headers, body = answer
    if status not in (expected if isinstance(expected, tuple) else (expected,)):
        yield f"{name}: {answer}, expected {expected}"
    elif "x-request-id" not in headers:
        yield f"{name}: no X-Request-Id"
    elif status >= 400 and not {"error_code", "error_msg"} <= set(body):
        yield f"{name}: {body}"
