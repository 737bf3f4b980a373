"""Random requests, signed by the code of the official Python SDK, against the service.

Run by scripts/signatures, which builds offkey and installs the SDK:

    test_signatures.py path/to/offkey [count [seed]]

Each request is sent as it is, which must pass, and with one change: in a part that is signed,
which must be refused, or in one that is not, which must pass. KINDS lists them all. What is sent
is spelled as freely as HTTP allows: other orders, cases and percent-encodings than were signed.
"""

import collections
import datetime
import json
import multiprocessing
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.algorithm import SigningAlgorithm

PROCESSES = 2
PROJECT = "0123456789abcdef0123456789abcdef"
OTHER_PROJECT = "fedcba9876543210fedcba9876543210"
INSTANCE = "5560df16-cebf-4473-95c4-d1b573c16e79"
OTHER_INSTANCE = "9c1fc0a1-6bc0-4d6e-8a2c-6c1ecb26e9c1"
ANALYSIS = "/v2/{}/instances/{}/offline/key-analysis"
PATHS = [
    "/v3/projects",
    "/v2/{}/instances",
    "/v2/{}/instances/{}",
    "/v2/{}/instance/{}/groups",
    "/v2/{}/instances/{}/logical-nodes",
    "/v2/{}/instances/{}/backups",
    ANALYSIS,
    ANALYSIS + "/{}",
    ANALYSIS + "/{}/nodes",
    ANALYSIS + "/{}/report",
]
CONFIG = f"""
listen = "127.0.0.1:0"
data_dir = "data"
workers = 0
credential_key_file = "offkey.key"
[limits]
requests_per_second = 1000000
[[projects]]
id = "{PROJECT}"
name = "own"
[[projects]]
id = "{OTHER_PROJECT}"
name = "other"
[[credentials]]
ak = "OWN"
sk = "own/secret+%=*&~?"
projects = ["{PROJECT}"]
[[credentials]]
ak = "OTHER"
sk = "other/secret+%=*&~?"
projects = ["{OTHER_PROJECT}"]
[[instances]]
id = "{INSTANCE}"
project = "{PROJECT}"
name = "own"
engine_version = "7.0"
[[instances.nodes]]
id = "own"
name = "own"
role = "master"
backups = "own"
[[instances]]
id = "{OTHER_INSTANCE}"
project = "{OTHER_PROJECT}"
name = "other"
engine_version = "7.0"
[[instances.nodes]]
id = "other"
name = "other"
role = "master"
backups = "other"
"""

TEXT = "abcXYZ019-_.~ !\"#$%&'()*+,;:=?@[]^`{|}<>\\äß一🔑"
VISIBLE = "".join(chr(code) for code in range(33, 127))
# What may stand in a path and a query as it is; the rest must be percent-encoded.
RAW_IN_PATH = "!$&'()*+,;=:@"
RAW_IN_QUERY = "!$'()*+,;:@/?"


class Request:
    """A request in parts: what is signed, and what is sent."""

    def __init__(self, rng, host, keys):
        self.rng = rng
        self.host = host
        self.keys = keys
        self.method = rng.choice(["GET", "GET", "GET", "POST", "DELETE", "PUT", "PATCH"])
        self.pattern = rng.choice(PATHS)
        self.segments = [self.id(at) for at in range(self.pattern.count("{}"))]
        self.query = self.random_query()
        self.body = self.random_body()
        headers = {"User-Agent": rng.choice(["huaweicloud-usdk-python/3.0", "a  b", "x"])}
        if self.body or rng.random() < 0.7:
            headers["Content-Type"] = rng.choice(
                ["application/json", "application/json;charset=utf-8"]
            )
        elif rng.random() < 0.3:
            headers["Content-Type"] = "text/plain"
        if rng.random() < 0.5:
            headers["X-Project-Id"] = PROJECT
        for number in range(rng.randrange(4)):
            words = [self.text(VISIBLE, 8) for _ in range(rng.randrange(4))]
            headers[f"X-{self.text('aZ09-', 6)}{number}"] = "  ".join(words)
        if rng.random() < 0.3:
            minutes = rng.randrange(-14 * 60, 14 * 60)
            date = datetime.datetime.now(datetime.timezone.utc)
            date += datetime.timedelta(seconds=minutes)
            headers["X-Sdk-Date"] = date.strftime("%Y%m%dT%H%M%SZ")
        self.sign(headers)
        # Headers that the SDK does not sign: none of its own, but a proxy may add some.
        self.unsigned = {"x_under_score": "1", "Via": "1.1 proxy"}

    def sign(self, headers):
        ak, sk, token = self.rng.choice(self.keys)
        algorithm = SigningAlgorithm.HMAC_SHA256
        if self.rng.random() < 0.1:
            algorithm = SigningAlgorithm.HMAC_SM3
        request = SdkRequest(
            method=self.method,
            host=self.host,
            resource_path=self.path(lambda text: urllib.parse.quote(text, safe="")),
            query_params=list(self.query),
            header_params=headers,
            body=self.body,
            signing_algorithm=algorithm,
        )
        credentials = BasicCredentials(ak, sk, PROJECT)
        credentials.security_token = token
        credentials.sign_request(request)
        headers = dict(request.header_params)
        self.authorization = headers.pop("Authorization")
        # The SDK calls so what is no JSON; without a body it still signs the hash of nothing.
        self.headers = headers
        self.is_temporary = token is not None
        # A list is a parameter that is there several times.
        self.query = [
            (name, str(one).lower() if isinstance(one, bool) else str(one))
            for name, value in self.query
            for one in (value if isinstance(value, list) else [value])
        ]

    def text(self, letters, most, least=1):
        return "".join(self.rng.choices(letters, k=self.rng.randint(least, most)))

    def id(self, at):
        own = [PROJECT, INSTANCE, "99999999-cebf-4473-95c4-d1b573c16e79"][at]
        other = [OTHER_PROJECT, OTHER_INSTANCE, INSTANCE][at]
        text = self.text(TEXT, 40)
        text = "x" if text in (".", "..") else text
        return self.rng.choice([own, own, other, text, text])

    def random_query(self):
        query = {}
        for _ in range(self.rng.choice([0, 0, 1, 2, 3, 6])):
            name = self.rng.choice(["limit", "offset", "status", "name", self.text(TEXT, 8)])
            query[name] = self.rng.choice([
                self.rng.randrange(10**6),
                self.rng.random() < 0.5,
                "",
                self.text(TEXT, 20),
                [self.text(TEXT, 5) for _ in range(self.rng.randint(1, 4))],
            ])
        return list(query.items())

    def random_body(self):
        kind = self.rng.random()
        if kind < 0.5:
            return b""
        if kind < 0.8:
            node = self.text(TEXT, 20)
            return json.dumps({"node_id": node, "backup_id": node}).encode()
        return self.rng.randbytes(self.rng.choice([1, 100, 2000, 70_000]))

    def path(self, encode):
        return self.pattern.format(*[encode(segment) for segment in self.segments])

    def spell(self, text, raw):
        """Percent-encodes what must be, and some of what need not be, in one case or the other."""
        spelled = []
        for byte in text.encode():
            letter = chr(byte)
            is_plain = byte < 128 and (letter.isalnum() or letter in "-_.~" + raw)
            if is_plain and self.rng.random() < 0.95:
                spelled.append(letter)
            else:
                spelled.append(self.rng.choice(["%%%02X", "%%%02x"]) % byte)
        return "".join(spelled)

    def bytes(self):
        """The request as it is sent."""
        target = self.path(lambda segment: self.spell(segment, RAW_IN_PATH))
        pairs = list(self.query)
        self.rng.shuffle(pairs)
        query = [
            self.spell(name, RAW_IN_QUERY) + "=" + self.spell(value, RAW_IN_QUERY)
            for name, value in pairs
        ]
        # A value that is not there is an empty one.
        query = [
            pair[:-1] if pair[-1] == "=" and len(pair) > 1 and self.rng.random() < 0.2 else pair
            for pair in query
        ]
        if query:
            target += "?" + "&".join(query)
        lines = list(self.headers.items()) if isinstance(self.headers, dict) else self.headers
        lines = lines + list(self.unsigned.items()) + [("Authorization", self.authorization)]
        lines.append(("Content-Length", str(len(self.body))))
        self.rng.shuffle(lines)
        head = [f"{self.method} {target} HTTP/1.1"]
        for name, value in lines:
            name = self.rng.choice([name, name.lower(), name.upper()])
            space = self.rng.choice(["", " ", "  ", "\t"])
            head.append(f"{name}:{space}{value}{self.rng.choice(['', '', ' '])}")
        return "\r\n".join(head).encode("iso-8859-1") + b"\r\n\r\n" + self.body

    def changed_text(self, text):
        """One character put in, taken away or replaced, none of them a space at an end."""
        while True:
            at = self.rng.randrange(len(text) + 1)
            new = self.rng.choice("abcXYZ019-_~")
            way = self.rng.randrange(3)
            cut = at + (way > 0)
            changed = text[:at] + (new if way < 2 else "") + text[cut:]
            if changed.strip() != text.strip() and changed not in ("", ".", ".."):
                return changed

    def changed_parameter(self, name, pattern):
        """Changes what Authorization says of `name` by the function `pattern`."""
        start = self.authorization.index(name + "=") + len(name) + 1
        end = (self.authorization + ",").index(",", start)
        value = self.authorization[start:end]
        changed = pattern(value)
        self.authorization = self.authorization[:start] + changed + self.authorization[end:]
        return changed != value


def method(request):
    others = {"GET", "POST", "DELETE", "PUT", "PATCH"} - {request.method}
    request.method = request.rng.choice(sorted(others))
    return True


def id_in_path(request):
    if not request.segments:
        return False
    at = request.rng.randrange(len(request.segments))
    request.segments[at] = request.changed_text(request.segments[at])
    return True


def query_name(request):
    if not request.query:
        return False
    at = request.rng.randrange(len(request.query))
    name, value = request.query[at]
    request.query[at] = (request.changed_text(name), value)
    return True


def query_value(request):
    if not request.query:
        return False
    at = request.rng.randrange(len(request.query))
    name, value = request.query[at]
    request.query[at] = (name, value + "x" if not value.strip() else request.changed_text(value))
    return True


def query_more(request):
    pair = (request.text(TEXT, 5), request.text(TEXT, 5, 0))
    request.query.append(request.rng.choice(request.query + [pair]))
    return True


def query_less(request):
    if not request.query:
        return False
    request.query.pop(request.rng.randrange(len(request.query)))
    return True


def header_value(request):
    name = request.rng.choice(sorted(request.headers))
    request.headers[name] = request.changed_text(request.headers[name])
    return True


def header_gone(request):
    del request.headers[request.rng.choice(sorted(request.headers))]
    return True


def header_twice(request):
    request.headers = list(request.headers.items())
    name, value = request.rng.choice(request.headers)
    request.headers.append((name, request.rng.choice([value, "x"])))
    return True


def body_byte(request):
    if not request.body:
        request.body = request.rng.randbytes(1)
        return True
    at = request.rng.randrange(len(request.body))
    new = bytes([request.body[at] ^ (1 << request.rng.randrange(8))])
    way = request.rng.randrange(4)
    request.body = [
        request.body[:at] + new + request.body[at + 1 :],
        request.body[:at] + new + request.body[at:],
        request.body[:at] + request.body[at + 1 :],
        b"",
    ][way]
    return True


def access_key(request):
    other = request.rng.choice(["OTHER", "own", "OWN1", "", "OWN2"])
    return request.changed_parameter("Access", lambda _: other)


def signed_headers(request):
    def change(value):
        names = value.split(";")
        way = request.rng.randrange(6)
        if way == 0:
            names.pop(request.rng.randrange(len(names)))
        elif way == 1:
            names.append(request.rng.choice(["via", "zzz", "content-length", names[0]]))
            names.sort()
        elif way == 2:
            names.append(names.pop(0))
        elif way == 3:
            at = request.rng.randrange(len(names))
            names[at] = names[at].title()
        elif way == 4:
            names.insert(request.rng.randrange(len(names) + 1), "")
        else:
            names = []
        return ";".join(names)

    return request.changed_parameter("SignedHeaders", change)


def signature(request):
    def change(value):
        at = request.rng.randrange(64)
        new = request.rng.choice("0123456789abcdef")
        return request.rng.choice(
            [value[:at] + new + value[at + 1 :], value.upper(), value[:-1], value + new, ""]
        )

    return request.changed_parameter("Signature", change)


def algorithm(request):
    name = request.authorization.split(" ")[0]
    others = {"SDK-HMAC-SHA256", "SDK-HMAC-SM3", "V11-HMAC-SHA256", "Basic", name.lower()}
    other = request.rng.choice(sorted(others - {name}))
    request.authorization = request.authorization.replace(name, other)
    return True


def content_hash(request):
    if "X-Sdk-Content-Sha256" in request.headers or "SM3" in request.authorization:
        return False
    hashes = ["0" * 64, "x", ""] + ["UNSIGNED-PAYLOAD"] * bool(request.body)
    request.unsigned["X-Sdk-Content-Sha256"] = request.rng.choice(hashes)
    return True


def security_token(request):
    if request.is_temporary:
        return False
    request.unsigned["X-Security-Token"] = request.text(VISIBLE, 20)
    return True


def second_proof(request):
    request.unsigned["X-Auth-Token"] = request.text(VISIBLE, 20)
    return True


def unsigned_header(request):
    name = request.rng.choice(["Via", "x_under_score", f"X-Forwarded-{request.text('abc', 5)}"])
    request.unsigned[name] = request.text(VISIBLE, 20)
    if request.rng.random() < 0.2:
        request.unsigned.clear()
    return True


def spaces_of_authorization(request):
    space = request.rng.choice(["", "  ", " \t"])
    request.authorization = request.authorization.replace(", ", "," + space)
    return True


def nothing(request):
    """Orders, cases, spaces and percent-encodings are others each time the request is written."""
    return True


# Each kind of change, and whether the request must pass with it.
KINDS = {
    method: False,
    id_in_path: False,
    query_name: False,
    query_value: False,
    query_more: False,
    query_less: False,
    header_value: False,
    header_gone: False,
    header_twice: False,
    body_byte: False,
    access_key: False,
    signed_headers: False,
    signature: False,
    algorithm: False,
    content_hash: False,
    security_token: False,
    second_proof: False,
    unsigned_header: True,
    spaces_of_authorization: True,
    nothing: True,
}


class Connection:
    def __init__(self, host):
        self.address = (host.split(":")[0], int(host.split(":")[1]))
        self.socket = None

    def ask(self, request):
        """Status and error code of the answer."""
        if self.socket is None:
            self.socket = socket.create_connection(self.address, timeout=60)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self.receive()
        head, _, body = received.partition(b"\r\n\r\n")
        head = head.decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        while len(body) < length:
            body += self.receive()
        if "connection: close" in head:
            self.socket.close()
            self.socket = None
        body = json.loads(body) if body else {}
        return int(head.split(" ")[1]), body.get("error_code", "")

    def receive(self):
        received = self.socket.recv(65536)
        if not received:
            raise ConnectionError("the service has closed the connection")
        return received


def passes(answer):
    """Whether the signature was good; what the request came to does not matter."""
    status, code = answer
    if status >= 500 or status == 429 or (status, code) == (404, "APIGW.0101"):
        raise AssertionError(f"unexpected answer: {answer}")
    # APIGW.0201: no Host, or several of them.
    return status == 200 or code not in ("APIGW.0301", "APIGW.0201", "DCS.1001", "DCS.1003", "")


def run(arguments):
    """Sends `count` requests, and answers how many there were of each kind, and what is wrong."""
    host, keys, count, seed = arguments
    connection = Connection(host)
    counts, problems = collections.Counter(), []
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        request = Request(rng, host, keys)
        sent = request.bytes()
        answer = connection.ask(sent)
        if not passes(answer):
            problems.append(f"refused, {seed}/{number}: {answer}: {sent!r}")
        change = rng.choice(list(KINDS))
        while not change(request):
            change = rng.choice(list(KINDS))
        changed = request.bytes()
        answer = connection.ask(changed)
        counts[change.__name__] += 1
        if passes(answer) != KINDS[change]:
            verdict = "refused" if KINDS[change] else "accepted"
            problems.append(
                f"{change.__name__}, {verdict}, {seed}/{number}: {answer}: {sent!r} -> {changed!r}"
            )
        if len(problems) > 10:
            break
    return counts, problems


def of_other_tenant(host):
    """What the other tenant sees of its own."""
    credentials = BasicCredentials("OTHER", "other/secret+%=*&~?", OTHER_PROJECT)
    answers = []
    for path in (ANALYSIS, "/v2/{}/instances/{}"):
        request = SdkRequest(
            method="GET",
            host=host,
            resource_path=path.format(OTHER_PROJECT, OTHER_INSTANCE),
            query_params=[],
            header_params={},
            body=b"",
        )
        credentials.sign_request(request)
        lines = [f"{name}: {value}" for name, value in request.header_params.items()]
        connection = Connection(host)
        answers.append(connection.ask(
            "\r\n".join([f"GET {request.resource_path} HTTP/1.1", *lines, "\r\n"]).encode()
        ))
    return answers


def main():
    offkey = os.path.abspath(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    seed = sys.argv[3] if len(sys.argv) > 3 else str(random.randrange(10**9))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("own", "other"):
            os.mkdir(os.path.join(folder, name))
        config = os.path.join(folder, "offkey.toml")
        with open(config, "w") as file:
            file.write(CONFIG)
        with open(os.path.join(folder, "offkey.key"), "w") as file:
            file.write("0" * 64)
        command = [offkey, "credential", "add", "--config", config, "--json"]
        command += ["--project", PROJECT, "--expires-in", "12h", "--ak", "OWN2"]
        temporary = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        keys = [("OWN", "own/secret+%=*&~?", None)] * 3
        keys.append((temporary["ak"], temporary["sk"], temporary["security_token"]))
        service = subprocess.Popen([offkey, "serve", "--config", config], stderr=subprocess.PIPE)
        try:
            line = service.stderr.readline().decode()
            host = line.strip().split("addr=")[1]
            check(service, host, keys, count, seed)
        finally:
            service.terminate()
            service.stderr.close()
            service.wait(30)


def check(service, host, keys, count, seed):
    # Nobody reads the log, and a full pipe would stop the service.
    drain = multiprocessing.Process(target=service.stderr.read, daemon=True)
    drain.start()
    start = time.monotonic()
    before = of_other_tenant(host)
    jobs = [(host, keys, count // PROCESSES, f"{seed}-{at}") for at in range(PROCESSES)]
    with multiprocessing.Pool(PROCESSES) as pool:
        results = pool.map(run, jobs)
    problems = [problem for _, found in results for problem in found]
    if of_other_tenant(host) != before:
        problems.append("what another tenant sees has changed")
    counts = sum((counts for counts, _ in results), collections.Counter())
    missing = {change.__name__ for change in KINDS} - set(counts)
    if missing and count >= 10_000:
        problems.append(f"never tried: {missing}")
    for problem in problems:
        print(problem[:2000], file=sys.stderr)
    took = time.monotonic() - start
    passed = sum(counts[change.__name__] for change, must_pass in KINDS.items() if must_pass)
    print(
        f"{sum(counts.values())} requests, as signed and with one change ({passed} of them in what "
        f"is not signed): {len(problems)} problems, seed {seed}, {took:.0f} s"
    )
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
