"""FedAvg, FedAdam or Krum of Flower over a LoRA adapter that clients of Apus train."""

from pathlib import Path

from flwr.app import ArrayRecord, Array, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAdam, FedAvg, Krum
from safetensors.numpy import load_file, save_file

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Trains from an adapter in Hugging Face PEFT's format to another."""
    config = context.run_config
    nodes = config["min-nodes"]
    enough = dict(min_train_nodes=nodes, min_evaluate_nodes=nodes, min_available_nodes=nodes)
    strategy = {
        "fedavg": lambda: FedAvg(**enough),
        "fedadam": lambda: FedAdam(eta=1e-2, **enough),
        "krum": lambda: Krum(num_malicious_nodes=0, **enough),
    }[config["strategy"]]()
    initial = load_file(Path(config["initial-adapter"]) / "adapter_model.safetensors")
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord({name: Array(values) for name, values in initial.items()}),
        num_rounds=config["num-server-rounds"],
    )
    # Some strategies compute in float64; an adapter is kept in float32.
    final = {name: array.numpy().astype("float32") for name, array in result.arrays.items()}
    save_file(final, config["final-adapter"], metadata={"format": "pt"})
