"""A client of the service that shares nothing with it: sockets, and a signer of its own.

Python's standard library alone, so that requests can be spelled in ways that no HTTP library
would let pass.
"""

import datetime
import hashlib
import hmac
import json
import os
import socket
import subprocess
import tempfile
import threading

PROJECT = "0123456789abcdef0123456789abcdef"
OTHER_PROJECT = "fedcba9876543210fedcba9876543210"
INSTANCE = "5560df16-cebf-4473-95c4-d1b573c16e79"
NODE = "ff8080828fdd5aef018fe2218a886105"
ANALYSIS = f"/v2/{PROJECT}/instances/{INSTANCE}/offline/key-analysis"
AK, SK = "RAW", "raw secret"

CONFIG = """
listen = "127.0.0.1:0"
data_dir = "data"
[limits]
{limits}
[[projects]]
id = "0123456789abcdef0123456789abcdef"
name = "own"
[[credentials]]
ak = "RAW"
sk = "raw secret"
projects = ["0123456789abcdef0123456789abcdef"]
[[instances]]
id = "5560df16-cebf-4473-95c4-d1b573c16e79"
project = "0123456789abcdef0123456789abcdef"
name = "sessions"
engine_version = "7.0"
[[instances.nodes]]
id = "ff8080828fdd5aef018fe2218a886105"
name = "sessions-0"
role = "master"
backups = "backups"
"""


class Service:
    """`offkey serve` as a process, with these limits."""

    def __init__(self, offkey, limits):
        self.folder = tempfile.TemporaryDirectory()
        os.mkdir(os.path.join(self.folder.name, "backups"))
        config = os.path.join(self.folder.name, "offkey.toml")
        with open(config, "w") as file:
            file.write(CONFIG.format(limits=limits))
        command = [os.path.abspath(offkey), "serve", "--config", config]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE)
        line = self.process.stderr.readline().decode()
        self.host = line.strip().split("addr=")[1]
        self.log = []
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()

    def read_log(self):
        for line in self.process.stderr:
            if b"ERROR" in line or b"panicked" in line:
                self.log.append(line.decode(errors="replace"))

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.reader.join(30)
        self.process.stderr.close()
        self.folder.cleanup()

    def write_backup(self, name, data):
        with open(os.path.join(self.folder.name, "backups", name), "wb") as file:
            file.write(data)

    def memory_kib(self):
        """What the process has in memory now."""
        with open(f"/proc/{self.process.pid}/status") as status:
            line = next(line for line in status if line.startswith("VmRSS:"))
        return int(line.split()[1])

    def sockets(self):
        """How many sockets the process has open."""
        folder = f"/proc/{self.process.pid}/fd"
        links = [os.path.join(folder, name) for name in os.listdir(folder)]
        return sum(os.readlink(link).startswith("socket:") for link in links if os.path.islink(link))

    def connect(self, timeout=20):
        host, port = self.host.split(":")
        return socket.create_connection((host, int(port)), timeout=timeout)

    def exchange(self, data, timeout=20):
        """Sends bytes and reads until the service closes the connection."""
        with self.connect(timeout) as connection:
            try:
                connection.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # The service need not hear all of it.
            received = b""
            try:
                while part := connection.recv(1 << 16):
                    received += part
            except ConnectionResetError:
                pass
            return received

    def ask(self, method, target, body=b"", headers=None):
        """Status, headers and parsed body of the answer to a signed request."""
        data = self.signed(method, target, body, headers)
        return parsed(self.exchange(data, timeout=60))

    def signed(self, method, target, body=b"", headers=None, length=None):
        """The bytes of a signed request whose target needs no encoding."""
        path, _, query = target.partition("?")
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        signed = {"host": self.host, "x-sdk-date": date}
        names = ";".join(sorted(signed))
        canonical = "\n".join([
            method,
            path + "/",
            "&".join(sorted(pair if "=" in pair else pair + "=" for pair in query.split("&") if pair)),
            *[f"{name}:{signed[name]}" for name in sorted(signed)],
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ])
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"SDK-HMAC-SHA256\n{date}\n{digest}"
        signature = hmac.new(SK.encode(), text.encode(), "sha256").hexdigest()
        lines = {
            **signed,
            "connection": "close",
            "content-length": len(body) if length is None else length,
            "authorization": f"SDK-HMAC-SHA256 Access={AK}, SignedHeaders={names}, "
            f"Signature={signature}",
            **(headers or {}),
        }
        head = [f"{name}: {value}" for name, value in lines.items() if value is not None]
        return "\r\n".join([f"{method} {target} HTTP/1.1", *head, "", ""]).encode() + body


def parsed(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("iso-8859-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split(" ")[1]), headers, json.loads(body) if body else None


def statuses(answers):
    """Statuses of the answers on one connection."""
    found = []
    while answers.startswith(b"HTTP/1.1 ") or answers.startswith(b"HTTP/1.0 "):
        head, _, rest = answers.partition(b"\r\n\r\n")
        found.append(int(head[9:12]))
        lines = head.lower().split(b"\r\n")
        lengths = [line for line in lines if line.startswith(b"content-length:")]
        answers = rest[int(lengths[0].split(b":")[1]) if lengths else 0 :]
    assert not answers, f"not an answer: {answers[:200]!r}"
    return found
