"""TLS, node authentication and the isolation secret: who is in gets work, who is not gets words."""

import certificates
import experiments
import results
from federation import Federation, require, run_apus


def secret(path, text):
    """A file with a secret in it."""
    path.write_text(text)
    return path


@results.short
def check_secured(folder):
    """All of Flower's protections switched on: the run is the same to the bit."""
    experiment = experiments.write(folder, rounds=2)
    run_apus("run", experiment, "--runs", folder / "alone", "--quiet")
    tls = certificates.authority(folder / "tls")
    link_secret = secret(folder / "superlink.secret", "a secret of the SuperLink")
    node_secret = secret(folder / "supernode.secret", "a secret of the SuperNodes")
    with Federation(folder / "flower", tls) as federation:
        federation.superlink("--enable-supernode-auth", "--superexec-auth-secret-file", link_secret)
        ports = []
        for place in range(2):
            key, public = certificates.node_key(folder, f"node{place}")
            said = federation.flwr("supernode", "register", public, "check")
            require("rror" not in said, f"registering failed: {said.strip()[-200:]}")
            ports.append(federation.supernode(
                place, 2, "--auth-supernode-private-key", key, "--superexec-auth-secret-file",
                node_secret)[1])
        federation.client(experiment, ports, "--secret-file", node_secret)
        server = federation.server(experiment, "--secret-file", link_secret)
        federation.submit()
        alone, across = folder / "alone/check", federation.finish(server)
        require(results.adapter(alone) == results.adapter(across), "the adapters differ")
        return "TLS, node keys and secrets on; same bits"


def check_intruders(folder):
    """A plaintext node, nodes without a known key, wrong secrets, a foreign authority."""
    experiment = experiments.write(folder, rounds=1)
    tls, foreign = certificates.authority(folder / "tls"), certificates.authority(folder / "foreign")
    right, wrong = secret(folder / "right", "right"), secret(folder / "wrong", "wrong")
    key, _ = certificates.node_key(folder, "unknown")
    said = []
    with Federation(folder / "flower", tls) as federation:
        federation.superlink("--enable-supernode-auth", "--superexec-auth-secret-file", right)
        unknown, _ = federation.supernode(0, 2, "--auth-supernode-private-key", key, name="unknown")
        keyless, _ = federation.supernode(0, 2, name="keyless")
        federation.tls = None
        plain, _ = federation.supernode(0, 2, name="plain")
        plain_server = federation.server(experiment, "--secret-file", right, name="plain-server")
        federation.tls = foreign
        untrusting = federation.server(experiment, "--secret-file", right, name="untrusting")
        federation.tls = tls
        silent = federation.server(experiment, name="silent")
        liar = federation.server(experiment, "--secret-file", wrong, name="liar")
        for server, words in [
                (plain_server, "--root-certificates"), (untrusting, "TLS handshake failed"),
                (silent, "--secret-file"), (liar, "--secret-file")]:
            require(server.wait() != 0, f"{server.name} got in")
            require(words in server.last(), f"{server.name} is told: {server.last()}")
            said.append(f"{server.name}: {server.last()[:60]}")
        for node in (unknown, keyless):
            require(node.wait() != 0, f"the {node.name} node got in")
        nodes = federation.flwr("supernode", "list", "check")
        require("online" not in nodes, f"a node is online: {nodes.strip()[-200:]}")
        plain.stop()
    with Federation(folder / "node", None) as federation:
        federation.superlink()
        _, port = federation.supernode(0, 2, "--superexec-auth-secret-file", right)
        client = federation.client(experiment, [port], "--secret-file", wrong)
        require(client.wait() != 0, "a client with a wrong secret got in")
        require("--secret-file" in client.last(), f"the client is told: {client.last()}")
    return "; ".join(said)
