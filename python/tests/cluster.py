"""Spark's processes: sessions, a standalone cluster on loopback, and whom to kill."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import pyspark
from pyspark.sql import SparkSession

os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ["SPARK_HOME"] = str(pathlib.Path(pyspark.__file__).parent)


_EXECUTOR = ".executor.CoarseGrainedExecutorBackend"


@contextlib.contextmanager
def session(master, events=None, environment=None):
    """A session whose executors have 512 MiB, and an environment. Spark writes its events to a
    folder."""
    # A process has one session at a time.
    if active := SparkSession.getActiveSession():
        active.stop()
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": os.environ.get("OFFKEY_EXECUTOR_MEMORY", "512m"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.python.worker.reuse": "true",
        "spark.sql.shuffle.partitions": "8",
    }
    if events:
        settings["spark.eventLog.enabled"] = "true"
        settings["spark.eventLog.dir"] = events.as_uri()
        settings["spark.eventLog.compress"] = "false"
    for name, value in (environment or {}).items():
        settings[f"spark.executorEnv.{name}"] = value
    builder = SparkSession.builder.master(master).appName("offkey tests")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    try:
        yield spark
    finally:
        spark.stop()


def spilled(events):
    """Bytes that tasks wrote to disk since their memory did not hold them, by Spark's own
    metrics."""
    found = 0
    for path in events.rglob("*"):
        for line in path.read_text().splitlines() if path.is_file() else ():
            if '"SparkListenerTaskEnd"' in line:
                metrics = json.loads(line).get("Task Metrics") or {}
                found += metrics.get("Disk Bytes Spilled", 0)
    return found


def descendants(pid):
    """Processes that a process started, and those that they did."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name stands in parentheses and may have spaces.
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, left = [], [pid]
    while left:
        for child in children.get(left.pop(), []):
            found.append(child)
            left.append(child)
    return found


def executors(below=None):
    """Executors that this process, or another, has started."""
    return sorted(
        pid
        for pid in descendants(below or os.getpid())
        if _is_executor(_command(pid).split("\0"))
    )


def _is_executor(words):
    return words[0].endswith("java") and any(word.endswith(_EXECUTOR) for word in words)


def _command(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def in_background(call):
    """Starts a call; answers a function that waits for what it returns."""
    outcome = {}

    def run():
        try:
            outcome["value"] = call()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run)
    thread.start()

    def wait():
        thread.join(900)
        assert not thread.is_alive(), "the job goes on"
        if "error" in outcome:
            raise outcome["error"]
        return outcome["value"]

    return wait


class Stage:
    """A stage of the job that runs."""

    def __init__(self, number):
        self.number = number

    def was_hit(self, tracker):
        """Whether tasks of it failed, or the whole stage did, and were run again."""
        info = tracker.getStageInfo(self.number)
        return info.numFailedTasks > 0 or info.currentAttemptId > 0


def stage_with_tasks(spark, place, timeout=600):
    """Waits until the stage at ``place`` of the job that was started last has tasks running
    and one done, if it has several."""
    tracker = spark.sparkContext.statusTracker()
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        jobs = sorted(tracker.getActiveJobsIds())
        if jobs:
            job = tracker.getJobInfo(jobs[-1])
            stages = sorted(job.stageIds) if job else []
            info = tracker.getStageInfo(stages[place]) if len(stages) > place else None
            if info and info.numActiveTasks > 0 and info.numCompletedTasks > 0:
                return Stage(stages[place])
        time.sleep(0.01)
    raise TimeoutError("the stage did not begin")


class Cluster:
    """A standalone master and workers on loopback."""

    def __init__(self, workers, folder):
        self.folder = folder
        self.port = _free_port()
        self.master = f"spark://127.0.0.1:{self.port}"
        self.processes = []
        self.worker_count = workers

    def __enter__(self):
        self._start("master.Master", "--host", "127.0.0.1", "--port", str(self.port),
            "--webui-port", "0")  # fmt: skip
        _wait_for(self.port)
        for number in range(self.worker_count):
            self._start("worker.Worker", "--host", "127.0.0.1", "--cores", "1", "--memory", "1g",
                "--webui-port", "0", "--work-dir", str(self.folder / f"work{number}"),
                self.master)  # fmt: skip
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            _kill([process.pid, *descendants(process.pid)])
            process.wait()

    def wait_for_executors(self, timeout=600):
        """Waits until each worker has one."""
        end = time.monotonic() + timeout
        while not all(executors(worker.pid) for worker in self.processes[1:]):
            assert time.monotonic() < end, "a worker got no executor"
            time.sleep(0.1)

    def kill_worker(self):
        """Ends the worker that was started last and its executors, without a warning."""
        worker = self.processes.pop()
        found = descendants(worker.pid)
        assert executors(worker.pid), "the worker has an executor"
        _kill([worker.pid, *found])
        worker.wait()

    def _start(self, name, *arguments):
        command = [f"{os.environ['SPARK_HOME']}/bin/spark-class", f"org.apache.spark.deploy.{name}"]
        log = open(self.folder / f"log{len(self.processes)}", "wb")
        with log:
            self.processes.append(
                subprocess.Popen([*command, *arguments], stdout=log, stderr=subprocess.STDOUT)
            )


def _kill(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait_for(port, timeout=300):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nobody listens at port {port}")
