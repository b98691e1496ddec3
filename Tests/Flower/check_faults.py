"""What goes wrong costs a client's part in a round, or stops at a point to resume from."""

import signal
import sys

import experiments
import results
from federation import FLWR, ROOT, Federation, require, run_apus, wait_until


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
        client.wait_for("train.apus, round 1")
        nodes[1][0].stop(signal.SIGKILL)
        client.stop()
        server.wait_for("its SuperNode went away")
        federation.supernode(1, 2, port=nodes[1][1], name="supernode1-again")
        federation.client(experiment, [nodes[1][1]], name="client1-again")
        ends = statuses(federation.finish(server))
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
        client.wait_for("train.apus, round 1")
        client.stop(signal.SIGKILL)
        federation.client(experiment, [ports[1]], name="client1-again")
        run = federation.finish(server)
        ends = statuses(run)
        require(len(ends) == 3 and all("used" in end for end in ends), f"rounds: {ends}")
        require(ends[0] == ["used", "failed"], f"nobody noticed: {ends}")
        require(ends[-1] == ["used", "used"], f"it did not come back: {ends}")
        return f"{ends}; {'; '.join(reasons(run))[:120]}"


@results.short
def check_restarted_superlink(folder):
    """A SuperLink that forgets everything: the run stops at a point to resume from, same bits."""
    experiment = experiments.write(folder, rounds=3)
    run_apus("run", experiment, "--runs", folder / "alone", "--quiet")
    with Federation(folder / "flower") as federation:
        link = federation.superlink()
        nodes = [federation.supernode(place, 2) for place in range(2)]
        client = federation.client(experiment, [port for _, port in nodes])
        server = federation.server(experiment)
        federation.submit()
        run = federation.folder / "runs/check"
        wait_until("a committed round", lambda: results.rounds(run), server, link, client)
        for process in (link, client, *[node for node, _ in nodes]):
            process.stop(signal.SIGKILL)
        again = federation.superlink(name="superlink-again")
        require(server.wait(again) != 0, "the server did not notice")
        said = server.last()
        ports = [
            federation.supernode(place, 2, name=f"supernode{place}-again")[1] for place in range(2)]
        federation.client(experiment, ports, name="client-again")
        resumed = federation.server(experiment, "--resume", name="server-again")
        federation.submit()
        federation.finish(resumed)
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
        client.wait_for("train.apus, round 2")
        link.stop(signal.SIGKILL)
        federation.superlink(*books, name="superlink-again")
        run = federation.finish(server)
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
        wait_until("a committed round", lambda: results.rounds(run), server)
        server.stop(signal.SIGINT)
        require(server.status == 130, f"it ended with {server.status}")
        rounds = len(results.rounds(run))
        again = federation.server(experiment, "--resume", name="server-again")
        federation.submit()
        federation.finish(again)
        alone = folder / "alone/check"
        require(results.metrics(run) == results.metrics(alone), "other metrics")
        require(results.traffic(run) == results.traffic(alone), "other bytes")
        return f"stopped after {rounds} of 4 rounds, resumed, same bits"


def check_slow_client(folder):
    """A client past the deadline: the round goes on without it, and it comes back."""
    experiment = experiments.write(folder, rounds=3, **{"local-epochs": 10})
    with Federation(folder / "flower") as federation:
        federation.superlink()
        ports = [federation.supernode(place, 2)[1] for place in range(2)]
        clients = [
            federation.client(experiment, [port], name=f"client{place}")
            for place, port in enumerate(ports)]
        for client in clients:
            client.wait_for("ready for work")
        server = federation.server(experiment, "--deadline", "45")
        federation.submit()
        clients[1].wait_for("train.apus, round 1")
        clients[1].process.send_signal(signal.SIGSTOP)
        clients[0].wait_for("train.apus, round 2")
        clients[1].process.send_signal(signal.SIGCONT)
        run = federation.finish(server)
        ends = statuses(run)
        require(ends[0] == ["used", "failed"] and ends[-1] == ["used"] * 2, f"rounds: {ends}")
        return f"{ends}: {reasons(run)[0][:90]}"


def check_too_few_clients(folder):
    """Fewer updates than the experiment demands: the run stops, and says why."""
    experiment = experiments.write(folder, rounds=2, **{"minimum-updates": 2})
    with Federation(folder / "flower") as federation:
        federation.superlink()
        ports = [federation.supernode(place, 2)[1] for place in range(2)]
        federation.client(experiment, [ports[0]]).wait_for("ready for work")
        server = federation.server(experiment, "--deadline", "30")
        federation.submit()
        require(server.wait() != 0, "the run went on")
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
        federation.client(experiment, [ports[0]], name="client0").wait_for("ready for work")
        federation.client(other, [ports[1]], name="client1").wait_for("ready for work")
        server = federation.server(experiment, "--deadline", "30")
        federation.submit()
        federation.finish(server)
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
        run = federation.finish(server)
        ends = [sorted(end) for end in statuses(run)]
        require(ends == [["refused", "used"]] * 2 + [["failed", "used"]], f"rounds: {ends}")
        found = "; ".join(reasons(run))
        for words in ("NaN", "expected shape", "num-examples"):
            require(words in found, f"it says: {found}")
        return "NaN, a shape and a missing count refused, 3 rounds done"


def check_duplicate_and_corrupt_updates(folder):
    """An update that comes twice counts once; one with damaged bytes not at all."""
    experiment = experiments.write(folder, rounds=2, every=0)
    with Federation(folder / "flower") as federation:
        federation.superlink()
        ports = [federation.supernode(place, 2)[1] for place in range(2)]
        federation.client(experiment, [ports[0]]).wait_for("ready for work")
        raw = federation.start(
            "raw", sys.executable, ROOT / "Tests/Flower/raw_client.py", ports[1])
        server = federation.server(experiment, "--clients", "arrays", "--deadline", "45")
        federation.submit()
        run = federation.finish(server)
        ends = [sorted(end) for end in statuses(run)]
        require(ends == [["used", "used"], ["failed", "used"]], f"rounds: {ends}")
        require("pushed again" in raw.text() and "damaged" in raw.text(), f"raw: {raw.last()}")
        return f"{raw.text().strip().splitlines()}; {ends}"
