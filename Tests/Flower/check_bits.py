"""Law: `apus run` and the same file on Flower give the same bits and the same bytes."""

import experiments
import results
from federation import Failure, Federation, require, run_apus


# Of each kind of what a method may do besides averaging factors: take turns, change the frozen
# weights, keep something on the clients, draw unequal ranks.
METHODS = ["rolora", "flora", "fedex-lora", "frlora", "slora", "feddpa", "fedalt", "lora-a2"]


def compare(alone, across):
    """All that must be equal; bytes of messages and on the wire."""
    if (alone / "adapter").exists():
        require(results.adapter(alone) == results.adapter(across), "the adapters differ")
    require(results.traffic(alone) == results.traffic(across), "the reported bytes differ")
    require(results.metrics(alone) == results.metrics(across), "the metrics differ")
    payload = sum(row[3] + row[4] for row in results.traffic(across))
    wire = sum(row["sent_bytes"] + row["received_bytes"] for row in results.transport(across))
    return f"same bits, {payload:,} B of messages, {wire:,.0f} B on the wire"


def same(folder, experiment, clients, *flags):
    """Runs an experiment in one process and on Flower, and compares."""
    run_apus("run", experiment, "--runs", folder / "alone", "--quiet")
    with Federation(folder / "flower") as federation:
        federation.superlink()
        ports = [federation.supernode(place, clients)[1] for place in range(clients)]
        federation.client(experiment, ports)
        server = federation.server(experiment, *flags)
        federation.submit()
        return compare(folder / "alone/check", federation.finish(server))


def check_same_bits_fedit(folder):
    """The plain case."""
    return same(folder, experiments.write(folder), 2)


def check_same_bits_with_client_states(folder):
    """A method whose clients keep state, a part of the clients in each round."""
    experiment = experiments.write(
        folder, clients=3, cohort=2, method="fedsa-lora", **{"client-splits": "[test]"})
    return same(folder, experiment, 3)


def check_same_bits_of_methods(folder):
    """One method after the other, over the same SuperLink and SuperNodes."""
    with Federation(folder / "flower") as federation:
        federation.superlink()
        ports = [federation.supernode(place, 2)[1] for place in range(2)]
        for method in METHODS:
            own = folder / method
            experiment = experiments.write(
                own, rounds=2, method=method, **{"client-splits": "[test]"})
            run_apus("run", experiment, "--runs", own / "alone", "--quiet")
            client = federation.client(experiment, ports, name=f"client-{method}")
            server = federation.server(experiment, runs=own / "flower", name=f"server-{method}")
            federation.submit()
            federation.finish(server)
            try:
                compare(own / "alone/check", own / "flower/check")
            except Failure as failure:
                raise Failure(f"{method}: {failure}") from None
            client.stop()
    return f"same bits and bytes: {', '.join(METHODS)}"


def check_over_the_chunk_limit(folder):
    """A message of several chunks of Flower's."""
    experiment = experiments.write(folder, rounds=1, rank=192, every=0)
    said = same(folder, experiment, 2)
    size = results.traffic(folder / "alone/check")[0][3]
    require(size > 5_242_880, f"a brief has {size} B only")
    return f"{said}; a brief has {size:,} B"


def check_own_rows(folder):
    """Clients whose rows no other machine has; the same bits as all rows in one file."""
    experiment = experiments.write_sites(folder)
    run_apus("run", experiment, "--runs", folder / "alone", "--quiet")
    (folder / "rows.jsonl").unlink()
    with Federation(folder / "flower") as federation:
        federation.superlink()
        for place in range(2):
            _, port = federation.supernode(place, 2)
            federation.client(
                experiment, [port], "--own-rows", place, "--client-name", f"site {place}", "--set",
                f"data.train={place}.jsonl", name=f"client{place}")
        server = federation.server(experiment, "--sites", "2", "--set", "data.train=test.jsonl")
        federation.submit()
        alone, across = folder / "alone/check", federation.finish(server)
        require(results.adapter(alone) == results.adapter(across), "the adapters differ")
        require(results.traffic(alone) == results.traffic(across), "the reported bytes differ")
        return "rows stayed in two files; the bits of one file"
