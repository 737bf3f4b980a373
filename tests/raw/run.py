"""Sends the service what no client sends; see the other files here for what that is.

Run by scripts/raw, which builds offkey:

    run.py path/to/offkey [seconds]

Everything is sent, and then again until the seconds are over: memory must not grow with it.
"""

import random
import sys
import time

import client
import bodies
import framing
import limits

MANY = "requests_per_second = 1000000\nheader_seconds = 2\nbody_seconds = 2"
GROWN_MAX_KIB = 32 * 1024


def noise(service, seed):
    """Good requests with bytes put in, taken away and replaced anywhere."""
    rng = random.Random(seed)
    for _ in range(300):
        request = bytearray(service.signed("POST", client.ANALYSIS, b'{"node_id":"a"}'))
        for _ in range(rng.randint(1, 5)):
            at = rng.randrange(len(request))
            new = rng.choice([rng.randbytes(1), b"\r\n", b"\n", b" ", b":", b"\0", b""])
            request[at : at + rng.randrange(2)] = new
        answer = service.exchange(bytes(request))
        if any(status >= 500 for status in client.statuses(answer)):
            yield f"noise, seed {seed}: {bytes(request)!r}: {answer[:100]!r}"


def main():
    offkey = sys.argv[1]
    end = time.monotonic() + float(sys.argv[2] if len(sys.argv) > 2 else 20)
    problems, grown, rounds = [], 0, 0
    service = client.Service(offkey, MANY)
    seed = random.randrange(10**9)
    while rounds < 3 or time.monotonic() < end:
        problems += framing.check(service, client.statuses, client.parsed)
        problems += bodies.check(service)
        problems += noise(service, f"{seed}/{rounds}")
        rounds += 1
        if rounds == 1:
            first = service.memory_kib()
        grown = service.memory_kib() - first
        if problems:
            break
    if grown > GROWN_MAX_KIB:
        problems.append(f"memory has grown by {grown} KiB in {rounds} rounds")
    problems += [f"log: {line}" for line in service.log]
    service.stop()
    service = client.Service(offkey, limits.LIMITS)
    problems += limits.check(service)
    service.stop()
    for problem in problems:
        print(problem[:1000], file=sys.stderr)
    print(
        f"{len(framing.CASES)} framings and others, {rounds} rounds: {len(problems)} problems, "
        f"{first} KiB of memory and {grown} more at the end"
    )
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
