"""Small experiments for the checks: rows on which a model can learn something, and their file."""

import json
import random
from pathlib import Path

TOPICS = [
    "kernel driver firmware module device bus memory".split(),
    "chess puzzle arcade score player level enemy".split(),
]
FILLERS = "the a for with new small free fast of and".split()


def write(folder, clients=2, rounds=3, method="fedit", pooling="mean", rows=16, **settings):
    """Writes rows and an experiment over them; returns the experiment's file."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(7)
    with open(folder / "rows.jsonl", "w", encoding="utf-8") as file:
        for number in range(rows * clients * 5 // 4):
            label = number // 2 % 2
            words = [draw.choice(TOPICS[label] if draw.random() < 0.6 else FILLERS) for _ in range(8)]
            file.write(json.dumps({"text": " ".join(words), "label": label}) + "\n")
    values = {"local-epochs": 1, "batch-size": 8, "learning-rate": 5e-3, "rank": 4, "cohort": clients,
              "client-splits": "[]", "every": 1, "minimum-updates": 1, **settings}
    file = folder / "experiment.yaml"
    file.write_text(f"""\
name: check
seed: 3
model: {{checkpoint: all-MiniLM-L6-v2, pooling: {pooling}, max-length: 16}}
data:
  source: jsonl
  train: rows.jsonl
  partition: {{kind: iid, clients: {clients}}}
  test-share: 0.2
adapter: {{rank: {values["rank"]}, alpha: 8, targets: [query, value]}}
method: {{name: {method}}}
training:
  local-epochs: {values["local-epochs"]}
  batch-size: {values["batch-size"]}
  learning-rate: {values["learning-rate"]}
  schedule: constant
  clip-norm: 1
federation:
  rounds: {rounds}
  minimum-updates: {values["minimum-updates"]}
  sampling: {{cohort-size: {values["cohort"]}}}
  evaluation: {{shards: 2, every: {values["every"]}, client-splits: {values["client-splits"]}}}
""")
    return file


def write_sites(folder, sites=2):
    """An experiment over rows with owners, and one file of rows for each owner beside it."""
    file = write(folder)
    folder, draw, everything = Path(folder), random.Random(9), ""
    for site in [*range(sites), "test"]:
        lines = ""
        for number in range(20):
            label = draw.randrange(2)
            words = [draw.choice(TOPICS[label] if draw.random() < 0.6 else FILLERS) for _ in range(8)]
            lines += json.dumps({"text": " ".join(words), "label": ["hardware", "games"][label],
                                 "owner": f"site {site}"}) + "\n"
        (folder / f"{site}.jsonl").write_text(lines, encoding="utf-8")
        everything += lines if site != "test" else ""
    (folder / "rows.jsonl").write_text(everything, encoding="utf-8")
    file.write_text(file.read_text().replace(
        f"partition: {{kind: iid, clients: {sites}}}\n  test-share: 0.2",
        "test: test.jsonl\n  labels: [hardware, games]\n  columns: {client: owner}\n"
        "  partition: {kind: natural}"))
    return file
