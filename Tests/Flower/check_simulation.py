"""`flwr run` on a SuperLink in simulation mode starts the in-process engine."""

import experiments
import results
from federation import APP, Federation, require, run_apus


@results.short
def check_simulation(folder):
    """As many clients as --federation-config says; no Ray, no SuperNode."""
    experiment = experiments.write(folder, clients=2, rounds=2)
    run_apus("run", experiment, "--runs", folder / "alone", "--quiet", "--set",
             "data.partition.clients=4", "federation.rounds=3")
    with Federation(folder / "flower") as federation:
        federation.superlink("--simulation")
        worker = federation.apus(
            "worker", "flower", "simulation", experiment, "--runtime",
            f"127.0.0.1:{federation.port}", "--runs", federation.folder / "runs", "--quiet")
        federation.submit(
            APP, "--federation-config", "num-supernodes=4", "--run-config", "num-server-rounds=3")
        alone, across = folder / "alone/check", federation.finish(worker)
        require(results.adapter(alone) == results.adapter(across), "the adapters differ")
        listed = federation.flwr("ls", "check", "--format", "json")
        require("completed" in listed, f"Flower was not told: {listed.strip()[-200:]}")
        return "4 clients, 3 rounds, the bits of apus run; flwr ls says completed"
