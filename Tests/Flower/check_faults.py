"""What goes wrong costs a client's part in a round, or stops at a point to resume from."""

import signal
import time

import experiments
import results
from federation import FLWR, ROOT, Federation, require, run_apus


def statuses(run):
    """How the clients' parts ended, round by round."""
    rounds = {}
    for number, client, status, *_ in results.traffic(run):
        rounds.setdefault(number, []).append(status)
    return [rounds[number] for number in sorted(rounds)]


def reasons(run):
    """Why parts failed."""
    return [row[0] for row in results.query(run, "SELECT text FROM events")]


def check_killed_supernode(folder):
    """A SuperNode that dies in mid-round: the round goes on without it, and it may come back."""
    experiment = experiments.write(folder, rounds=4, **{"local-epochs": 8})
    with Federation(folder / "flower") as federation:
        federation.superlink()
        nodes = [federation.supernode(place, 2) for place in range(2)]
        federation.client(experiment, [nodes[0][1]], name="client0")
        client = federation.client(experiment, [nodes[1][1]], name="client1")
        server = federation.server(experiment)
        federation.submit()
        client.wait_for("train.apus, round 1", 60)
        nodes[1][0].stop(signal.SIGKILL)
        client.stop()
        server.wait_for("its SuperNode went away", 120)
        federation.supernode(1, 2, port=nodes[1][1], name="supernode1-again")
        federation.client(experiment, [nodes[1][1]], name="client1-again")
        require(server.wait(300) == 0, f"the server failed: {server.last()}")
        ends = statuses(federation.folder / "runs/check")
        require(len(ends) == 4, f"{len(ends)} of 4 rounds")
        require(any("failed" in end for end in ends), "no round noticed")
        require(all("used" in end for end in ends), "a round had no update")
        return f"rounds went on: {ends}"


def check_killed_client(folder):
    """A client's process that dies in mid-round: Flower reports it, the next one takes over."""
    experiment = experiments.write(folder, rounds=3, **{"local-epochs": 40})
    with Federation(folder / "flower") as federation:
        federation.superlink()
        ports = [federation.supernode(place, 2)[1] for place in range(2)]
        federation.client(experiment, [ports[0]], name="client0")
        client = federation.client(experiment, [ports[1]], name="client1")
        server = federation.server(experiment)
        federation.submit()
        client.wait_for("train.apus, round 1", 60)
        client.stop(signal.SIGKILL)
        federation.client(experiment, [ports[1]], name="client1-again")
        require(server.wait(300) == 0, f"the server failed: {server.last()}")
        run = federation.folder / "runs/check"
        ends = statuses(run)
        require(len(ends) == 3 and all("used" in end for end in ends), f"rounds: {ends}")
        require(ends[0] == ["used", "failed"], f"nobody noticed: {ends}")
        require(ends[-1] == ["used", "used"], f"it did not come back: {ends}")
        return f"{ends}; {'; '.join(reasons(run))[:120]}"


@results.short
def check_restarted_superlink(folder):
    """A SuperLink that forgets everything: the run stops at a point to resume from, same bits."""
    experiment = experiments.write(folder, rounds=4, **{"local-epochs": 8})
    run_apus("run", experiment, "--runs", folder / "alone", "--quiet")
    with Federation(folder / "flower") as federation:
        link = federation.superlink()
        nodes = [federation.supernode(place, 2) for place in range(2)]
        client = federation.client(experiment, [port for _, port in nodes])
        server = federation.server(experiment)
        federation.submit()
        database = federation.folder / "runs/check/run.sqlite"
        end = time.monotonic() + 120
        while not database.exists() or not results.query(
                database.parent, "SELECT name FROM sqlite_master WHERE name = 'rounds'") or not \
                results.query(database.parent, "SELECT round FROM rounds"):
            require(time.monotonic() < end, f"no round was committed: {server.last()}")
            time.sleep(0.1)
        for process in (link, client, *[node for node, _ in nodes]):
            process.stop(signal.SIGKILL)
        federation.superlink(name="superlink-again")
        require(server.wait(120) != 0, "the server did not notice")
        said = server.last()
        ports = [
            federation.supernode(place, 2, name=f"supernode{place}-again")[1] for place in range(2)]
        federation.client(experiment, ports, name="client-again")
        again = federation.server(experiment, "--resume", name="server-again")
        federation.submit()
        require(again.wait(300) == 0, f"resuming failed: {again.last()}")
        run = federation.folder / "runs/check"
        require(results.adapter(run) == results.adapter(folder / "alone/check"), "other bits")
        return f"stopped ({said[:100]}), resumed, same bits"


def check_restarted_superlink_with_database(folder):
    """A SuperLink that keeps its books in a file: the run goes on where it was, same bits."""
    experiment = experiments.write(folder, rounds=4, **{"local-epochs": 8})
    run_apus("run", experiment, "--runs", folder / "alone", "--quiet")
    with Federation(folder / "flower") as federation:
        books = ["--database", federation.folder / "superlink.db"]
        link = federation.superlink(*books)
        ports = [federation.supernode(place, 2)[1] for place in range(2)]
        client = federation.client(experiment, ports)
        server = federation.server(experiment)
        federation.submit()
        client.wait_for("train.apus, round 2", 180)
        link.stop(signal.SIGKILL)
        federation.superlink(*books, name="superlink-again")
        require(server.wait(300) == 0, f"the server failed: {server.last()}")
        run = federation.folder / "runs/check"
        require(statuses(run) == [["used", "used"]] * 4, f"rounds: {statuses(run)}")
        require(results.adapter(run) == results.adapter(folder / "alone/check"), "other bits")
        return "killed and started in round 2, 4 rounds, same bits"


def check_stopped_and_resumed_with_client_states(folder):
    """Ctrl-C on the server, and resuming, with a method whose clients keep state: same bits."""
    experiment = experiments.write(folder, rounds=4, method="fedsa-lora", **{"client-splits": "[test]"})
    run_apus("run", experiment, "--runs", folder / "alone", "--quiet")
    with Federation(folder / "flower") as federation:
        federation.superlink()
        ports = [federation.supernode(place, 2)[1] for place in range(2)]
        federation.client(experiment, ports)
        server = federation.server(experiment)
        federation.submit()
        run = federation.folder / "runs/check"
        end = time.monotonic() + 120
        while not (run / "checkpoints").exists() or not list((run / "checkpoints").iterdir()):
            require(time.monotonic() < end, f"no round was committed: {server.last()}")
            time.sleep(0.05)
        server.stop(signal.SIGINT)
        require(server.process.returncode == 130, f"it ended with {server.process.returncode}")
        rounds = len(results.query(run, "SELECT round FROM rounds"))
        again = federation.server(experiment, "--resume", name="server-again")
        federation.submit()
        require(again.wait(300) == 0, f"resuming failed: {again.last()}")
        alone = folder / "alone/check"
        require(results.metrics(run) == results.metrics(alone), "other metrics")
        require(results.traffic(run) == results.traffic(alone), "other bytes")
        return f"stopped after {rounds} of 4 rounds, resumed, same bits"


@results.short
def check_slow_client(folder):
    """A client past the deadline: the round goes on without it."""
    experiment = experiments.write(folder, rounds=2)
    with Federation(folder / "flower") as federation:
        federation.superlink()
        ports = [federation.supernode(place, 2)[1] for place in range(2)]
        # The second client's process is never started: the slowest client there is.
        federation.client(experiment, [ports[0]]).wait_for("ready for work", 120)
        server = federation.server(experiment, "--deadline", "20")
        federation.submit()
        require(server.wait(180) == 0, f"the server failed: {server.last()}")
        run = federation.folder / "runs/check"
        require(statuses(run) == [["used", "failed"]] * 2, f"rounds: {statuses(run)}")
        return f"rounds of one client: {reasons(run)[0][:90]}"


def check_too_few_clients(folder):
    """Fewer updates than the experiment demands: the run stops, and says why."""
    experiment = experiments.write(folder, rounds=2, **{"minimum-updates": 2})
    with Federation(folder / "flower") as federation:
        federation.superlink()
        ports = [federation.supernode(place, 2)[1] for place in range(2)]
        federation.client(experiment, [ports[0]]).wait_for("ready for work", 120)
        server = federation.server(experiment, "--deadline", "20")
        federation.submit()
        require(server.wait(180) != 0, "the run went on")
        require("1 updates came, 2 are needed" in server.last(), f"it says: {server.last()}")
        require("failed" in federation.flwr("ls", "check", "--format", "json"), "Flower was not told")
        return server.last()[:140]


def check_another_experiment(folder):
    """A client with another learning rate gets nowhere, by name."""
    experiment = experiments.write(folder, rounds=1)
    other = experiments.write(folder / "other", rounds=1, **{"learning-rate": 1e-3})
    with Federation(folder / "flower") as federation:
        federation.superlink()
        ports = [federation.supernode(place, 2)[1] for place in range(2)]
        federation.client(experiment, [ports[0]], name="client0")
        federation.client(other, [ports[1]], name="client1")
        server = federation.server(experiment, "--deadline", "15")
        federation.submit()
        require(server.wait(180) == 0, f"the server failed: {server.last()}")
        said = "training.learning-rate: the server has 0.005, this client 0.001"
        require(said in server.text(), f"the server says: {server.last()}")
        return said


def check_wrong_updates(folder):
    """NaN, another shape, no number of examples: refused by name, and the rounds go on."""
    experiment = experiments.write(folder, rounds=3, every=0)
    with Federation(folder / "flower") as federation:
        federation.superlink()
        nodes = [federation.supernode(place, 2) for place in range(2)]
        for place, (_, port) in enumerate(nodes):
            federation.start(
                f"superexec{place}", FLWR / "flower-superexec", "--insecure",
                "--runtime-api-address", f"127.0.0.1:{port}")
        server = federation.server(experiment, "--clients", "arrays")
        federation.submit(ROOT / "Tests/Flower/broken_app")
        require(server.wait(300) == 0, f"the server failed: {server.last()}")
        run = federation.folder / "runs/check"
        ends = [sorted(end) for end in statuses(run)]
        require(ends == [["refused", "used"]] * 2 + [["failed", "used"]], f"rounds: {ends}")
        found = "; ".join(reasons(run))
        for words in ("NaN", "expected shape", "num-examples"):
            require(words in found, f"it says: {found}")
        return "NaN, a shape and a missing count refused, 3 rounds done"
