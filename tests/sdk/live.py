"""A service whose instance is a real server, so that new backups of it can be taken.

    live.py path/to/offkey

Prints one line of JSON when it is ready, in the form of `offkey demo --json`, and ends when its
input does. The server is one of those of scripts/servers, which installs it if it is missing.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

REPOSITORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SERVER = "redis-7.0.15"
PROJECT = "0123456789abcdef0123456789abcdef"
INSTANCE = "5560df16-cebf-4473-95c4-d1b573c16e79"
NODE = "ff8080828fdd5aef018fe2218a886105"
CONFIG = """
listen = "127.0.0.1:0"
data_dir = "data"
[[projects]]
id = "{project}"
name = "demo"
[[credentials]]
ak = "LIVE"
sk = "live-secret"
projects = ["{project}"]
role = "admin"
[[instances]]
id = "{instance}"
project = "{project}"
name = "live"
engine_version = "7.0"
[instances.live]
[[instances.nodes]]
id = "{node}"
name = "live-0"
ip = "127.0.0.1"
port = {port}
role = "master"
backups = "backups"
"""


def start_server(folder):
    """The server as a process, and its port."""
    output = subprocess.run(
        [os.path.join(REPOSITORY, "scripts", "servers"), SERVER], check=True, stdout=subprocess.PIPE
    )
    program = output.stdout.decode().split()[-1]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
    command += ["--repl-diskless-sync-delay", "0"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    for _ in range(200):
        try:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(b"SET key value\r\n")
                if connection.recv(100) == b"+OK\r\n":
                    return server, port
        except ConnectionRefusedError:
            pass
        time.sleep(0.05)
    server.kill()
    sys.exit(f"{SERVER} does not start")


def main():
    offkey = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "backups"))
        sample = os.path.join(REPOSITORY, "testdata", "demo.rdb")
        shutil.copy(sample, os.path.join(folder, "backups"))
        server, port = start_server(folder)
        config = os.path.join(folder, "offkey.toml")
        with open(config, "w") as file:
            file.write(CONFIG.format(project=PROJECT, instance=INSTANCE, node=NODE, port=port))
        log = os.path.join(folder, "log")
        with open(log, "w") as file:
            service = subprocess.Popen([offkey, "serve", "--config", config], stderr=file)
        try:
            while "addr=" not in (text := open(log).read()):
                if service.poll() is not None:
                    sys.exit(text)
                time.sleep(0.05)
            contract = {
                "endpoint": "http://" + text.split("addr=")[1].split()[0],
                "project_id": PROJECT,
                "ak": "LIVE",
                "sk": "live-secret",
                "instance_id": INSTANCE,
                "nodes": [{"node_id": NODE}],
            }
            print(json.dumps(contract), flush=True)
            sys.stdin.read()
        finally:
            for process in (service, server):
                process.terminate()
                process.wait(30)


if __name__ == "__main__":
    main()
