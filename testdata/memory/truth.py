#!/usr/bin/env python3
"""Makes a file and its truth: what a real server says of every key after loading it.

  truth.py SERVER NAME [--seed N] [--scale X] [--types string,hash,...] [--letters abcd] [--count-max N]
           [--load FILE.rdb]

SERVER is a redis-server or valkey-server binary. It is started in an empty folder, filled with
random data of LETTERS (or given FILE.rdb, such as one of an older version), saved, started again on that
file and asked for TYPE, OBJECT ENCODING, MEMORY USAGE SAMPLES 0 and the number of elements.
Writes NAME.rdb, NAME.truth.jsonl.gz and NAME.info.json, which `memory_error` compares. No
number in it comes from the memory model. Needs redis-py.
"""
import argparse, base64, gzip, json, random, re, shutil, string, subprocess, tempfile, time
from pathlib import Path

import redis

TYPES = ("string", "list", "set", "zset", "hash", "expire", "stream")
# Limits that are lowered while half of the keys are filled, so that the load converts them.
LIMITS = ("hash-max-%s-entries", "hash-max-%s-value", "zset-max-%s-entries", "zset-max-%s-value")


class Server:
    """A server on a free port of its own, in a folder of its own."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, Path(folder)

    def __enter__(self):
        self.port = random.SystemRandom().randrange(20000, 30000)
        argv = [self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        self.client = redis.Redis(port=self.port, protocol=2)
        for _ in range(600):
            try:
                if not self.client.info("persistence")["loading"]:
                    return self.client
            except (redis.ConnectionError, redis.exceptions.BusyLoadingError):
                pass
            time.sleep(0.1)
        raise RuntimeError(f"{self.binary} does not answer")

    def __exit__(self, *_):
        self.client.close()
        self.process.terminate()
        self.process.wait()


class Filler:
    def __init__(self, client, opt):
        self.client, self.random = client, random.Random(opt.seed)
        self.scale, self.letters, self.count_max = opt.scale, opt.letters, opt.count_max
        self.pipe = client.pipeline(transaction=False)
        self.packed = "listpack" if client.config_get("hash-max-listpack-entries") else "ziplist"

    def text(self, length):
        return "".join(self.random.choices(self.letters, k=length))

    def length(self):
        pick = self.random.random()
        return self.random.randrange(0, 40 if pick < 0.6 else 80 if pick < 0.95 else 400)

    def item(self):
        return str(self.random.randrange(-1 << self.random.randrange(1, 63), 1 << 40)) if self.random.random() < 0.2 else self.text(self.length())

    def count(self):
        count = self.random.choice((1, 2, 3, 5, 10, 20, 50, 100, 130, 200, 400, 511, 520, 700, 1500))
        return min(count + self.random.randrange(3), self.count_max)

    def key(self, kind, number):
        return f"{kind}:{number}:" + self.text(self.random.randrange(0, 40) if self.random.random() < 0.9 else self.random.randrange(100, 300))

    def limit(self, lowered):
        for name in LIMITS:
            self.client.config_set(name % self.packed, 4 if lowered else 512 if "hash" in name and "entries" in name else 128 if "entries" in name else 64)

    def string(self, key):
        value = str(self.random.randrange(1 << self.random.randrange(1, 63))) if self.random.random() < 0.2 else self.text(self.length())
        self.pipe.set(key, value, px=self.random.randrange(10**9, 10**11) if self.random.random() < 0.4 else None)

    def list(self, key):
        items = [self.item() for _ in range(self.count())]
        if self.random.random() < 0.1:
            items.append(self.text(self.random.randrange(8000, 20000)))
        self.pipe.rpush(key, *items)

    def set(self, key):
        ints = self.random.random() < 0.4
        width = self.random.randrange(4, 60)
        self.pipe.sadd(key, *[self.random.randrange(1 << width) if ints else self.item() for _ in range(self.count())])

    def zset(self, key):
        score = lambda: self.random.choice((self.random.randrange(1000), self.random.random() * 1000, self.random.random() / 1e7, 1e18))
        self.pipe.zadd(key, {self.item(): score() for _ in range(self.count())})

    def hash(self, key):
        fields = {self.item(): self.item() for _ in range(self.count())}
        if self.random.random() < 0.5:  # most must have nothing over the limit
            fields = {field[:64]: value[:64] for field, value in fields.items()}
        self.pipe.hset(key, mapping=fields)
        return fields

    def expire(self, key):
        fields = [field for field in self.hash(key) if self.random.random() < 0.5]
        for field in fields:
            self.pipe.execute_command("HPEXPIRE", key, self.random.randrange(10**9, 10**11), "FIELDS", 1, field)

    def stream(self, key):
        start = self.random.randrange(10**12)
        for number in range(self.count()):
            start += self.random.choice((0, 1, 50, 70000))
            self.pipe.xadd(key, {self.text(5): self.text(self.length()) for _ in range(self.random.randrange(1, 4))}, id=f"{start}-{number}")
        for group in range(self.random.randrange(3)):
            self.pipe.xgroup_create(key, f"{group}" + self.text(self.random.randrange(1, 60)), id="0")
        self.pipe.execute()
        for group in self.client.xinfo_groups(key):
            for consumer in range(self.random.randrange(1, 4)):
                self.client.xreadgroup(group["name"], f"c{consumer}" + self.text(consumer * 20), {key: ">"}, count=self.random.randrange(1, 60))

    def fill(self, types):
        counts = {"string": 1500, "list": 120, "set": 150, "zset": 120, "hash": 200, "expire": 60, "stream": 40}
        can_expire = "hpexpire" in self.client.command()
        for kind in types:
            if kind == "expire" and not can_expire or kind == "stream" and not hasattr(self.client, "xadd"):
                continue
            for number in range(int(counts[kind] * self.scale)):
                if number in (0, int(counts[kind] * self.scale) // 2):
                    self.pipe.execute()
                    self.limit(number == 0)
                getattr(self, kind)(self.key(kind, number))
                if number % 20 == 0:
                    self.pipe.execute()
            self.pipe.execute()


LENGTH = {"string": "STRLEN", "list": "LLEN", "set": "SCARD", "zset": "ZCARD", "hash": "HLEN", "stream": "XLEN"}


def ask(client):
    """What the server says of each key."""
    for db in range(16):
        try:
            client.execute_command("SELECT", db)
        except redis.ResponseError:
            return
        for key in client.scan_iter(count=1000):
            kind = client.type(key).decode()
            encoding = client.object("ENCODING", key)
            yield {
                "db": db, "key": base64.b64encode(key).decode(), "type": kind,
                "encoding": encoding.decode() if isinstance(encoding, bytes) else encoding,
                "memory_loaded": client.execute_command("MEMORY", "USAGE", key, "SAMPLES", 0),
                "count": client.execute_command(LENGTH[kind], key) if kind in LENGTH else None,
            }


def used_memory(client):
    """What the server uses once its tables have stopped moving: the least within a second."""
    figures = []
    for _ in range(20):
        time.sleep(0.05)
        figures.append(client.info("memory")["used_memory"])
    return min(figures)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server")
    parser.add_argument("name", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--types", default=",".join(TYPES))
    parser.add_argument("--letters", default=string.ascii_letters + string.digits)
    parser.add_argument("--count-max", type=int, default=10000)
    parser.add_argument("--load", type=Path)
    opt = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with Server(opt.server, folder) as client:
            used_memory_empty = used_memory(client)
        dump = Path(folder) / "dump.rdb"
        if opt.load:
            shutil.copy(opt.load, dump)
        else:
            with Server(opt.server, folder) as client:
                Filler(client, opt).fill(opt.types.split(","))
                client.save()
        with Server(opt.server, folder) as client:
            used_memory_loaded = used_memory(client)
            loaded_at_ms = int(client.time()[0]) * 1000
            info = client.info()
            stats = client.execute_command("MEMORY", "MALLOC-STATS")
            bins = re.findall(r"^ {0,20}(\d+) +\d+ ", stats.decode(errors="replace") if isinstance(stats, bytes) else stats, re.M)
            wanted = ("redis_version", "valkey_version", "mem_allocator")
            loaded = {"info": {name: info[name] for name in wanted if name in info} | {
                          "used_memory": used_memory_loaded, "used_memory_startup": used_memory_empty},
                      "config": {"list-compress-depth": "0"}, "jemalloc_bins": sorted({int(b) for b in bins})[:12]}
            truth = list(ask(client))
        shutil.copy(dump, opt.name.with_suffix(opt.name.suffix + ".rdb"))
    document = {"loaded_at_ms": loaded_at_ms, "loaded": loaded}
    Path(f"{opt.name}.info.json").write_text(json.dumps(document, indent=1) + "\n")
    with gzip.GzipFile(f"{opt.name}.truth.jsonl.gz", "wb", mtime=0) as out:
        for row in truth:
            out.write(json.dumps(row).encode() + b"\n")
    print(f"{opt.name}: {len(truth)} keys")


if __name__ == "__main__":
    main()
