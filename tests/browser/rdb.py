"""Writes small RDB files: strings only, as plainly as the format allows."""

import random
import struct

MAGIC = b"REDIS0011"
END = b"\xff" + bytes(8)  # No checksum.

# Names that were made to do harm: to a page, to a terminal, to a table, to whoever reads them.
HOSTILE_NAMES = [
    b"<script>alert(1)</script>",
    b"</script><script>alert(2)</script>",
    b"<img src=x onerror=alert(3)>",
    b"<img src='http://evil.invalid/pixel.png'>",
    b"\"><svg onload=alert(4)>",
    b"<!--",
    b"]]>",
    b"javascript:alert(5)",
    b"<a href='javascript:alert(6)'>click</a>",
    b"<iframe srcdoc='<script>parent.alert(7)</script>'></iframe>",
    b"<style>*{display:none}</style>",
    b"<base href='http://evil.invalid/'>",
    b"<meta http-equiv=refresh content='0;url=http://evil.invalid/'>",
    b"{{constructor.constructor('alert(8)')()}}",
    b"${alert(9)}",
    b"&lt;b&gt;&amp;",
    b"__proto__",
    b"constructor:prototype:x",
    b"a\x00b",
    b"\x1b[31mred\x1b[0m",
    b"\x9b31m",
    b"line\r\nbreak\ttab",
    "\u202egnp.exe".encode(),
    "\u2066isolate\u2069\u200b\ufeff".encode(),
    "\u2028\u2029".encode(),
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334".encode() * 8,
    b"\xff\xfe\xfd",
    b"\xc3\x28:\xa0\xa1",
    b"",
    b" leading and trailing ",
    b"'; DROP TABLE keys; --",
    b"=cmd|' /C calc'!A0",
    b"very:" + b"long/" * 400 + b"name",
    "\u6570\u636e:\u7528\u6237:\U0001f511".encode(),
]


def length(number):
    if number < 1 << 6:
        return bytes([number])
    if number < 1 << 14:
        return bytes([0x40 | number >> 8, number & 0xFF])
    return b"\x80" + struct.pack(">I", number)


def text(value):
    return length(len(value)) + value


def key(name, value, expire_at_ms=None):
    expiry = b"" if expire_at_ms is None else b"\xfc" + struct.pack("<Q", expire_at_ms)
    return expiry + b"\x00" + text(name) + text(value)


def file(keys, aux=((b"redis-ver", b"7.2.6"), (b"ctime", b"1767225600"))):
    head = b"".join(b"\xfa" + text(name) + text(value) for name, value in aux)
    return MAGIC + head + b"\xfe\x00" + b"".join(keys) + END


def hostile():
    return file(key(name, b"v" * (2000 - at)) for at, name in enumerate(HOSTILE_NAMES))


def long_names(count=60_000):
    """Very many prefixes and long names: what makes a report long."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=24)) for _ in range(400)]
    keys = []
    for number in range(count):
        name = ":".join([*draw.choices(words, k=5), f"{number:012d}"])
        keys.append(key(name.encode(), b"v" * draw.randrange(20, 3000)))
    return file(keys)


def longest_names(count=150):
    """Names as long as a report tells them whole."""
    return file(key(f"{number:06}:".encode() + b"n" * (65_536 - 7), b"v") for number in range(count))
