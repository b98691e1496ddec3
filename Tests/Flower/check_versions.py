"""Another version of Flower is found out at the handshake, and said plainly."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import experiments
import results
from federation import Federation, require


class OtherFlower(BaseHTTPRequestHandler):
    """Answers as a SuperLink or SuperNode of another version would, as far as it is asked."""

    version = ""
    asked = []

    def do_GET(self):
        """The description of the interface."""
        self.answer(b'{"openapi": "3.1.0", "info": {"title": "Flower", "version": "%s"}}'
                    % self.version.encode())

    def do_POST(self):
        """Any other call: there should be none."""
        self.answer(b"")

    def answer(self, body):
        """Writes down what was asked, and answers."""
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


@results.short
def check_another_version(folder):
    """Older and newer ones than were tested."""
    experiment = experiments.write(folder)
    said = []
    with HTTPServer(("127.0.0.1", 0), OtherFlower) as server, Federation(folder / "flower") as federation:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        federation.port = server.server_port
        for version in ("1.39.0", "1.43.0", "2.0.0"):
            OtherFlower.version = version
            process = federation.server(experiment, name=f"server-{version}")
            require(process.wait() != 0, f"Flower {version} was taken")
            require(f"Flower {version} runs there" in process.last(), f"it says: {process.last()}")
            require("flwr>=1.40,<1.43" in process.last(), f"no remedy: {process.last()}")
        said = process.last()
        process = federation.client(experiment, [federation.port])
        require(process.wait() != 0, "a client took it")
        require("Flower 2.0.0 runs there" in process.last(), f"the client says: {process.last()}")
        require(set(OtherFlower.asked) == {"/openapi.json"}, f"it asked {OtherFlower.asked}")
        server.shutdown()
    return said[:140]
