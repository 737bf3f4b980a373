"""Runs schemathesis against `offkey serve`: requests made of its own OpenAPI document.

Run by scripts/fuzz-api, which builds offkey and installs schemathesis:

    fuzz.py path/to/offkey [seconds]
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OFFKEY = sys.argv[1]
SECONDS = sys.argv[2] if len(sys.argv) > 2 else "60"

PROJECT = "0123456789abcdef0123456789abcdef"
INSTANCE = "5560df16-cebf-4473-95c4-d1b573c16e79"
CONFIG = f"""
listen = "127.0.0.1:0"
data_dir = "data"
log_format = "json"
limits = {{ requests_per_second = 100000 }}
projects = [{{ id = "{PROJECT}", name = "cn-north-4" }}]
[[credentials]]
ak = "FUZZ"
sk = "secret of a test"
projects = ["{PROJECT}"]
role = "admin"
[[instances]]
id = "{INSTANCE}"
project = "{PROJECT}"
name = "sessions"
engine_version = "7.0"
nodes = [{{ id = "node", name = "node", role = "master", backups = "backups" }}]
"""


def ask(url, body=None, token=None):
    """An answer that is a success: its headers and its body."""
    headers = {"X-Auth-Token": token} if token else {}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
        return answer.headers, json.load(answer)


def known_ids(endpoint, token):
    """Ids of a project, an instance, a backup and an ended task."""
    instance = f"{endpoint}/v2/{PROJECT}/instances/{INSTANCE}"
    _, backups = ask(f"{instance}/backups", token=token)
    backup_id = backups["backup_record_response"][0]["backup_id"]
    tasks = f"{instance}/offline/key-analysis"
    _, created = ask(tasks, {"node_id": "node", "backup_id": backup_id}, token)
    for _ in range(300):
        _, task = ask(f"{tasks}/{created['task_id']}", token=token)
        if task["status"] == "success":
            break
        time.sleep(0.1)
    else:
        sys.exit(f"the analysis has not succeeded: {task}")
    return {
        "project_id": PROJECT,
        "instance_id": INSTANCE,
        "backup_id": backup_id,
        "task_id": created["task_id"],
    }


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "backups").mkdir()
        shutil.copy(ROOT / "testdata" / "redis-7.0.15.rdb", folder / "backups")
        (folder / "offkey.toml").write_text(CONFIG)
        log_path = folder / "log"
        with open(log_path, "w", encoding="utf-8") as log:
            service = subprocess.Popen(
                [OFFKEY, "serve", "--config", folder / "offkey.toml"], stderr=log
            )
        try:
            while "\n" not in log_path.read_text():
                if service.poll() is not None:
                    sys.exit("offkey serve has ended")
                time.sleep(0.05)
            endpoint = "http://" + json.loads(log_path.read_text().splitlines()[0])["addr"]
            access = {"access": {"key": "FUZZ"}, "secret": {"key": "secret of a test"}}
            identity = {"methods": ["hw_ak_sk"], "hw_ak_sk": access}
            headers, _ = ask(f"{endpoint}/v3/auth/tokens", {"auth": {"identity": identity}})
            token = headers["X-Subject-Token"]
            ids = known_ids(endpoint, token)
            ended = subprocess.run(
                [
                    pathlib.Path(sys.executable).with_name("schemathesis"),
                    "--config-file",
                    ROOT / "tests" / "api" / "schemathesis.toml",
                    "run",
                    f"{endpoint}/openapi.json",
                    "--header",
                    f"X-Auth-Token: {token}",
                    "--max-time",
                    SECONDS,
                    "--request-timeout",
                    "10",
                ],
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT / "tests" / "api"),
                    "SCHEMATHESIS_HOOKS": "hooks",
                    "OFFKEY_KNOWN_IDS": json.dumps(ids),
                },
            )
        finally:
            service.terminate()
            service.wait(30)
        lines = [json.loads(line) for line in log_path.read_text().splitlines()]
        errors = [line for line in lines if line["level"] == "ERROR"]
        if errors:
            sys.exit("\n".join(map(str, errors[:10])))
        done = {
            line["operation"]
            for line in lines
            if line.get("target") == "offkey::audit" and line["status"] < 300
        }
        if "CreateOfflineKeyAnalysis" not in done:
            sys.exit(f"too little has been tried with success: {sorted(done)}")
        sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
