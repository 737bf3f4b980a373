"""Files of an object store and of a web server that makes faults."""

import http.server
import json
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
from offkey._files import expand
from offkey.spark import keys, report


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
    for _ in range(3000):
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


def behind_tls(handler, authority):
    """A server on loopback with a certificate of an authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_stores_behind_tls(store, tmp_path, monkeypatch):
    """SSL_CERT_FILE names the authority of a store that has one of its own."""
    files, _ = store
    authority = trustme.CA()
    server = behind_tls(Faulty, authority)
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


@pytest.mark.parametrize("scheme", ["s3", "obs", "http"])
def test_a_fleet_in_an_object_store(store, spark, scheme):
    files, endpoint = store
    before = Faulty.faults
    place = {"endpoint": endpoint, "path_style": True}
    expected = analyze(files)
    if scheme == "http":
        place = {}
        paths = [f"{endpoint}/backups/day/node{number:02}.rdb" for number in range(len(files))]
    else:
        paths = f"{scheme}://backups/day/node*.rdb"
    found = report(spark, paths, **place).to_dict()
    assert found["inputs"][0]["file"].startswith(f"{scheme}://")
    assert without_names(found) == without_names(expected)
    mapped = keys(spark, paths, columns=["bytes"], **place).groupBy().sum("bytes").first()[0]
    assert mapped == expected["total_bytes"]
    assert Faulty.faults > before


@pytest.mark.parametrize("scheme", ["s3", "obs", "http"])
def test_the_data_source_reads_an_object_store(store, source, scheme):
    files, endpoint = store
    before = Faulty.faults
    loading = source.read.format("offkey")
    if scheme == "http":
        paths = [f"{endpoint}/backups/day/node{number:02}.rdb" for number in range(len(files))]
    else:
        loading = loading.option("endpoint", endpoint).option("path_style", True)
        paths = f"{scheme}://backups/day/"
    rows = loading.load(paths).selectExpr("count(*)", "sum(bytes)").first()
    expected = analyze(files)
    assert tuple(rows) == (expected["total_num"], expected["total_bytes"])
    summed = loading.option("mode", "summary").load(paths).toArrow()
    assert without_names(offkey.merge(summed).to_dict()) == without_names(expected)
    assert Faulty.faults > before


def test_what_a_path_to_a_store_stands_for(store):
    files, endpoint = store
    place = {"endpoint": endpoint, "path_style": True, "top": 3}
    all_of_them = [f"s3://backups/day/node{number:02}.rdb" for number in range(len(files))]
    for key in ("day/", "day", "d*/*.rdb", "d**"):
        path = f"s3://backups/{key}"
        assert expand(path, place) == all_of_them, path
    for key in ("none", "day/none*.rdb", "day/readme.txt", "day/node0[0-9].rdb"):
        path = f"s3://backups/{key}"
        assert expand(path, place) == [path], "what stands for nothing is told when it is read"
    with pytest.raises(ValueError, match="a pattern needs the beginning of a key"):
        expand("s3://backups/*.rdb", place)
    with pytest.raises(ValueError, match="not of the form s3://bucket/key"):
        expand("s3://backups", place)
    with pytest.raises(ValueError, match="s3a:// is not read"):
        expand("s3a://backups/day/*.rdb", place)


class Outage(Faulty):
    """Hands requests to the store, except for two objects: one is out of reach for as long as
    one reading tries, the other for good."""

    left = 6

    def do_GET(self):
        cls = type(self)
        if "node03" in self.path and cls.left > 0:
            cls.left -= 1
            self.send_error(503)
        elif "node05" in self.path:
            self.send_error(503)
        else:
            super().do_GET()

    do_HEAD = do_GET


def test_an_outage_is_a_failed_task_and_at_last_a_failed_file(store, tmp_path):
    """By TLS and the command line, on a Spark that tries each task twice."""
    files, _ = store
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    server = behind_tls(Outage, authority)
    output = tmp_path / "report.json"
    command = [sys.executable, "-m", "offkey.fleet", "--master", "local[2,2]"]
    command += ["--endpoint", f"https://127.0.0.1:{server.server_port}", "--path-style"]
    command += ["-o", str(output), "--by", "none of these", "s3://backups/day"]
    environment = {**os.environ, "SSL_CERT_FILE": str(tmp_path / "authority.pem")}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=900, check=False
        )
    finally:
        server.shutdown()
    assert done.returncode == 1, done.stderr
    assert Outage.left == 0
    found = json.loads(output.read_text())
    assert not found["complete"]
    assert [each["num"] for each in found["inputs"] if "error" in each] == [0]
    assert "--by finds nothing in any file's name" in done.stderr
    assert "node05.rdb: cannot open: s3://backups/day/node05.rdb: HTTP 503" in done.stderr
    expected = analyze([path for number, path in enumerate(files) if number != 5])
    for name in ("total_num", "total_bytes", "type_num", "largest_key_prefixes"):
        assert found[name] == expected[name], name
    assert "canary-secret" not in done.stderr + output.read_text()
