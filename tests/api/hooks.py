"""Hooks for schemathesis: ids that exist, as those it makes up lead nowhere."""

import json
import os
import re
import zlib

import schemathesis

KNOWN = json.loads(os.environ["OFFKEY_KNOWN_IDS"])

# A malformed id stays malformed.
WELL_FORMED = re.compile("[0-9a-f]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def chosen(value, share):
    """Whether a value is among one in `share`, the same ones in every run."""
    return zlib.crc32(str(value).encode(errors="replace")) % share == 0


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Most requests are about the instance, half of them about a task and a backup of it."""
    for name, value in (path_parameters or {}).items():
        if name not in KNOWN or not WELL_FORMED.fullmatch(str(value)):
            continue
        if name in ("project_id", "instance_id"):
            take = not chosen(value, 8)
        else:
            # What is deleted would be gone for all that follow.
            take = chosen(value, 2) and context.operation.method.upper() != "DELETE"
        if take:
            path_parameters[name] = KNOWN[name]
    return path_parameters


@schemathesis.hook
def map_body(context, body):
    """Half of the analyses are of the node and its backup."""
    if isinstance(body, dict) and isinstance(body.get("node_id"), str) and chosen(body, 2):
        body["node_id"] = "node"
        if isinstance(body.get("backup_id"), str):
            body["backup_id"] = KNOWN["backup_id"]
    return body
