#!/usr/bin/env python3
"""Runs one federated job in Apus and in Python programs, one after another, and prints ratios.

Usage: peers.py --peers FOLDER [--program FILE] [--only NAME ...] [--repeats N]

FOLDER holds job.json, partition.json and the peers' programs, each of which prints one JSON line.
Everything is measured from outside: wall time of the whole process, start-up included, and the
largest resident memory of one process. Programs of one precision take turns, so that a drift of
the machine's speed meets all of them.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PEERS = ["torch_loop", "pfl_peft", "flower_peft"]
# What Apus computes in: dtype, and how the frozen projections are kept.
APUS = {"fp32": ("float32", "none"), "bf16": ("bfloat16", "none"), "w8a8": ("bfloat16", "w8a8")}
# One client of eight rows, in one round without evaluation: a run that is hardly more than its start.
ONE_STEP = [
    "federation.rounds=1", "federation.evaluation.every=0",
    "federation.sampling.cohort-file=one-step-cohort.json"]


def measured(command, environment):
    """Runs a command; returns its seconds, its largest process in MiB and what it printed."""
    begin = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, errors = process.communicate()
    seconds = time.monotonic() - begin
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{errors[-2000:]}")
    return seconds, output


def last_json(output):
    return json.loads([line for line in output.splitlines() if line.startswith("{")][-1])


def run_peer(name, folder, precision):
    environment = dict(os.environ, PEER_PRECISION=precision)
    seconds, output = measured([sys.executable, str(folder / f"{name}.py")], environment)
    result = last_json(output)
    return {"seconds": seconds, "MiB": result["peak_rss_mib"], "accuracy": result["accuracy"]}


def run_apus(program, precision, seed, settings=()):
    runs = HERE.parent / ".build" / "bench-runs"
    shutil.rmtree(runs, ignore_errors=True)
    dtype, quantization = APUS[precision]
    command = [
        "/usr/bin/env", "time", "-f", "%M", "-o", str(runs) + ".rss", str(program), "run",
        str(HERE / "peers.yaml"), "--json", "--runs", str(runs), "--set",
        f"model.precision={dtype}", f"model.quantization={quantization}", f"seed={seed}", *settings]
    seconds, output = measured(command, dict(os.environ))
    memory = int(pathlib.Path(str(runs) + ".rss").read_text().split()[-1]) / 1024
    return {"seconds": seconds, "MiB": memory, "accuracy": last_json(output)["accuracy"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", type=pathlib.Path, required=True)
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parent / ".build/release/apus")
    parser.add_argument("--only", nargs="*", default=PEERS)
    parser.add_argument("--precisions", nargs="*", default=["w8a8", "fp32", "bf16"])
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    folder = arguments.peers.resolve()
    rows = {}
    for repeat in range(arguments.repeats):
        for precision in arguments.precisions:
            turns = [("apus", lambda p: run_apus(arguments.program, p, repeat + 1))]
            if precision != "w8a8":
                turns += [(n, lambda p, n=n: run_peer(n, folder, p)) for n in arguments.only]
            for name, run in turns:
                result = run(precision)
                rows.setdefault((name, precision), []).append(result)
                print(f"{name} {precision}: {result}", file=sys.stderr, flush=True)
    fastest = min(
        statistics.median(r["seconds"] for r in results)
        for (name, _), results in rows.items() if name == "apus")
    print("| program | precision | seconds | × Apus | × its fastest | MiB | accuracy |")
    print("|---|---|---|---|---|---|---|")
    for (name, precision), results in rows.items():
        def middle(key, of=results):
            return statistics.median(r[key] for r in of)
        ours = statistics.median(r["seconds"] for r in rows[("apus", precision)])
        print(
            f"| {name} | {precision} | {middle('seconds'):.1f} | {middle('seconds') / ours:.2f} "
            f"| {middle('seconds') / fastest:.2f} | {middle('MiB'):.0f} | {middle('accuracy'):.3f} |")
    for precision in arguments.precisions:
        starts = [run_apus(arguments.program, precision, 1, ONE_STEP) for _ in range(3)]
        print(
            f"start-up in {precision}, with one step and the files of a run: "
            f"{statistics.median(s['seconds'] for s in starts):.2f} s, {starts[0]['MiB']:.0f} MiB")


if __name__ == "__main__":
    main()
