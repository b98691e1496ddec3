"""Reads what runs leave behind."""

import csv
import json
import sqlite3
import struct
from array import array
from pathlib import Path

from federation import require


def short(check):
    """Marks a check of the short form: a minute at most, and no PyTorch."""
    check.is_short = True
    return check


def adapter(run):
    """The bytes of a run's adapter."""
    return (Path(run) / "adapter/adapter_model.safetensors").read_bytes()


def tensors(data):
    """Float32 tensors of a safetensors file, by name."""
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    body = data[8 + size:]
    found = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        require(entry["dtype"] == "F32", f"{name} is {entry['dtype']}")
        begin, end = entry["data_offsets"]
        found[name] = array("f", body[begin:end])
    return found


def distance(one, other):
    """Greatest difference of two adapters, relative to the greatest value of each tensor."""
    require(one.keys() == other.keys(), f"other names: {sorted(one.keys() ^ other.keys())[:3]}")
    worst = 0.0
    for name, values in one.items():
        require(len(values) == len(other[name]), f"{name} has another size")
        scale = max(max(map(abs, values)), 1e-12)
        worst = max(worst, max(abs(a - b) for a, b in zip(values, other[name])) / scale)
    return worst


def movement(one, other):
    """Greatest difference of two adapters."""
    return max(max(abs(a - b) for a, b in zip(values, other[name])) for name, values in one.items())


def query(run, text):
    """Rows of a run's database."""
    with sqlite3.connect(f"file:{Path(run) / 'run.sqlite'}?mode=ro", uri=True) as database:
        return database.execute(text).fetchall()


def rounds(run):
    """Numbers of the rounds that are committed; none before the run has books."""
    try:
        return query(run, "SELECT round FROM rounds")
    except sqlite3.OperationalError:
        return []


def traffic(run):
    """Round, client, status, bytes down, bytes up: what a run reports of its messages."""
    return query(
        run, "SELECT round, client, status, downlink_bytes, uplink_bytes FROM client_rounds "
             "ORDER BY round, client")


def metrics(run):
    """Rows of metrics.csv."""
    with open(Path(run) / "metrics.csv", encoding="utf-8") as file:
        return list(csv.reader(file))


def transport(run):
    """Rows of transport.csv, as numbers by name."""
    with open(Path(run) / "transport.csv", encoding="utf-8") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
