"""Files of an object store and of a web server that makes faults."""

import http.server
import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

import boto3
import pyarrow
import pytest
import trustme
from conftest import KEYS_OF_STORE, analyze, workload

import offkey
from offkey.spark import report


class Faulty(http.server.BaseHTTPRequestHandler):
    """Hands requests to the store; every third answer is an error or breaks off."""

    protocol_version = "HTTP/1.1"
    store = None
    count = 0
    faults = 0

    def do_GET(self):
        cls = type(self)
        cls.count += 1
        headers = {name: self.headers[name] for name in ("Range", "If-Match") if name in self.headers}
        if "list-type" not in self.path and cls.count % 3 == 0:
            cls.faults += 1
            if cls.faults % 2:
                self.send_error(503)
                return
            headers["break"] = "yes"
        broken = headers.pop("break", None)
        # The signature is for this address; the store does not look at it.
        request = urllib.request.Request(cls.store + self.path, headers=headers)
        try:
            answer = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        body = answer.read()
        self.send_response(answer.status)
        for name in ("ETag", "Content-Range", "Last-Modified", "Accept-Ranges", "Content-Type"):
            if answer.headers.get(name):
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if broken:
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        else:
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A bucket of an S3 server, reached through a proxy that makes faults."""
    folder = tmp_path_factory.mktemp("store")
    port = 15_000 + os.getpid() % 1000
    log = open(folder / "log", "wb")
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=1)
            break
        except urllib.error.HTTPError:
            break
        except OSError:
            time.sleep(0.1)
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="canary-secret",
    )
    client.create_bucket(Bucket="backups")
    files = []
    for number in range(12):
        path = workload(folder / f"{number:02}.rdb", "mixed", 300, number)
        # Plain URLs read it too.
        acl = {"ACL": "public-read"}
        client.upload_file(str(path), "backups", f"day/node{number:02}.rdb", ExtraArgs=acl)
        files.append(path)
    client.put_object(Bucket="backups", Key="day/readme.txt", Body=b"no file of ours")
    Faulty.store = url
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    os.environ.update(KEYS_OF_STORE)
    try:
        yield files, f"http://127.0.0.1:{proxy.server_port}"
    finally:
        for name in KEYS_OF_STORE:
            del os.environ[name]
        proxy.shutdown()
        server.kill()
        server.wait()
        log.close()


def without_names(told):
    """A report without what differs between a disk and a store."""
    for each in told["inputs"]:
        each["file"] = each["file"].rsplit("/", 1)[1].replace("node", "")
    return told


def test_objects_are_read_through_faults(store):
    files, endpoint = store
    place = {"endpoint": endpoint, "path_style": True}
    expected = without_names(analyze(files))
    found = offkey.analyze("s3://backups/day/", **place)
    assert without_names(found.to_dict()) == expected
    rows = pyarrow.table(offkey.keys("s3://backups/day/node03.rdb", columns=["bytes"], **place))
    assert sum(rows["bytes"].to_pylist()) == offkey.analyze(files[3]).total_bytes
    assert Faulty.faults > 3
    with pytest.raises(offkey.Error, match="s3://backups/day/none.rdb") as raised:
        offkey.analyze("s3://backups/day/none.rdb", **place)
    assert "canary-secret" not in str(raised.value)


def test_obs_and_plain_urls_are_read_through_faults(store):
    files, endpoint = store
    before = Faulty.faults
    place = {"endpoint": endpoint, "path_style": True}
    found = offkey.analyze("obs://backups/day/", **place).to_dict()
    assert all(each["file"].startswith("obs://backups/day/") for each in found["inputs"])
    assert without_names(found) == without_names(analyze(files))
    assert Faulty.faults > before + 3
    with pytest.raises(ValueError, match="obs:// needs a region or an endpoint"):
        offkey.analyze("obs://backups/day/node00.rdb")

    before = Faulty.faults
    urls = [f"{endpoint}/backups/day/node{number:02}.rdb" for number in range(len(files))]
    # What is behind the question mark may be a signature: it is sent, but not shown.
    found = offkey.analyze([*urls[:-1], urls[-1] + "?x-id=GetObject"])
    assert without_names(found.to_dict()) == without_names(analyze(files))
    rows = pyarrow.table(offkey.keys(urls[3], columns=["bytes"]))
    assert sum(rows["bytes"].to_pylist()) == offkey.analyze(files[3]).total_bytes
    assert Faulty.faults > before + 3
    with pytest.raises(offkey.Error, match="none.rdb"):
        offkey.analyze(f"{endpoint}/backups/day/none.rdb")


def test_stores_behind_tls(store, tmp_path, monkeypatch):
    """SSL_CERT_FILE names the authority of a store that has one of its own."""
    files, _ = store
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"https://127.0.0.1:{server.server_port}"
    place = {"endpoint": endpoint, "path_style": True}
    urls = [f"{endpoint}/backups/day/node{number:02}.rdb" for number in range(len(files))]
    try:
        for path, options in (("s3://backups/day/node00.rdb", place), (urls[0], {})):
            with pytest.raises(offkey.Error, match="certificate") as raised:
                offkey.analyze(path, **options)
            assert urls[0].rsplit("/", 1)[1] in str(raised.value)
        authority.cert_pem.write_to_path(tmp_path / "authority.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        before = Faulty.faults
        expected = without_names(analyze(files))
        assert without_names(offkey.analyze("s3://backups/day/", **place).to_dict()) == expected
        assert without_names(offkey.analyze(urls).to_dict()) == expected
        assert Faulty.faults > before
    finally:
        server.shutdown()


def test_a_fleet_in_an_object_store(store, spark):
    files, endpoint = store
    before = Faulty.faults
    found = report(spark, "s3://backups/day/node*.rdb", endpoint=endpoint, path_style=True)
    assert without_names(found.to_dict()) == without_names(analyze(files))
    assert Faulty.faults > before
