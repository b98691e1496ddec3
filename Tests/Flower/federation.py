"""Starts Flower's own processes and those of Apus on loopback, and ends them by their own ids."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APUS = Path(os.environ.get("APUS", ROOT / ".build/release/apus")).absolute()
FLWR = Path(sys.executable).parent
APP = ROOT / "Examples/Flower/apus-app"
QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "HF_HUB_OFFLINE": "1",
         "PYTHONWARNINGS": "ignore", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
# Seconds that nothing takes, however loaded the machine; a check that holds never waits so long.
PATIENCE = 600


class Failure(Exception):
    """A check that did not hold; its text is one line."""


def require(condition, text):
    """Ends a check that does not hold."""
    if not condition:
        raise Failure(text)


def wait_until(what, found, *processes, seconds=None):
    """Waits until `found()` is something, and returns it; all waiting for others is done here.

    A failure if it takes too long, or if one of the processes ends meanwhile.
    """
    seconds = PATIENCE if seconds is None else seconds
    end = time.monotonic() + seconds
    while True:
        ended = [process for process in processes if process.status is not None]
        value = found()
        if value:
            return value
        for process in ended:
            raise Failure(f"{process.name} ended with {process.status}: {process.last()}")
        if time.monotonic() > end:
            said = "; ".join(f"{process.name}: {process.last()}" for process in processes)
            raise Failure(f"{what} did not come in {seconds} s; {said}")
        time.sleep(0.1)


# Ports that were given, also where nobody listens yet.
given = set()


def free_port():
    """A port of loopback that nobody has or was given, and that no connection gets by chance."""
    draw = random.SystemRandom()
    while True:
        port = draw.randrange(20_000, 32_000)
        if port in given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        given.add(port)
        return port


def connects(port):
    """Whether somebody listens at a port of loopback."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class Running:
    """A process, its log, and its end."""

    def __init__(self, name, command, log, environment):
        self.name, self.log = name, log
        # Whether its end is what was wanted, or waited for.
        self.is_stopped = False
        self.file = open(log, "ab")
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=self.file,
            stderr=self.file, env=environment, start_new_session=True)

    def text(self):
        """What it has said so far."""
        return self.log.read_text(errors="replace")

    @property
    def status(self):
        """Its exit status; None while it runs."""
        return self.process.poll()

    def wait(self, *others):
        """Its exit status, once it has ended; a failure if one of the others ends before."""
        wait_until(f"the end of {self.name}", lambda: self.status is not None, *others)
        self.is_stopped = True
        return self.status

    def wait_for(self, text, times=1):
        """Waits until it has said something so many times."""
        wait_until(f"\"{text}\" of {self.name}", lambda: self.text().count(text) >= times, self)

    def last(self):
        """Its last line."""
        lines = [line for line in self.text().splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"

    def stop(self, how=signal.SIGTERM):
        """Ends this process by its id and waits; Flower's own children end with their parents."""
        self.is_stopped = True
        if self.status is None:
            self.process.send_signal(how)
            try:
                wait_until(f"the end of {self.name}", lambda: self.status is not None, seconds=30)
            except Failure:
                self.process.kill()
                self.process.wait()
        self.file.close()


class Federation:
    """One SuperLink and whatever stands around it, in a folder of its own."""

    def __init__(self, folder, tls=None):
        self.folder = Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "home").mkdir(parents=True)
        self.tls, self.running = tls, []
        self.port = free_port()
        self.environment = {**os.environ, **QUIET, "FLWR_HOME": str(self.folder / "home")}
        self.environment["PATH"] = f"{FLWR}:{os.environ['PATH']}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            process.stop()

    def start(self, name, *command):
        """Starts a process; its log is <name>.log."""
        process = Running(name, command, self.folder / f"{name}.log", self.environment)
        self.running.append(process)
        return process

    @property
    def trust(self):
        """Flags of whoever talks to the SuperLink."""
        return ["--root-certificates", self.tls / "ca.crt"] if self.tls else ["--insecure"]

    def superlink(self, *flags, name="superlink"):
        """Starts the SuperLink and waits until it answers."""
        server = ["--ssl-ca-certfile", self.tls / "ca.crt", "--ssl-certfile", self.tls / "server.pem",
                  "--ssl-keyfile", self.tls / "server.key"] if self.tls else ["--insecure"]
        process = self.start(
            name, FLWR / "flower-superlink", *server, "--isolation", "process", "--host", "127.0.0.1",
            "--port", self.port, *flags)
        wait_until("an answer of the SuperLink", lambda: connects(self.port), process)
        connection = f'root-certificates = "{self.tls / "ca.crt"}"' if self.tls else "insecure = true"
        (self.folder / "home/config.toml").write_text(
            f'[superlink]\ndefault = "check"\n[superlink.check]\naddress = "127.0.0.1:{self.port}"\n'
            f"{connection}\n")
        return process

    def supernode(self, place, count, *flags, port=None, name=None):
        """Starts the SuperNode of one client; returns it and the port of its Runtime API."""
        port = port or free_port()
        process = self.start(
            name or f"supernode{place}", FLWR / "flower-supernode", *self.trust,
            "--superlink", f"127.0.0.1:{self.port}", "--isolation", "process", "--host", "127.0.0.1",
            "--port", port, "--node-config", f"partition-id={place} num-partitions={count}", *flags)
        return process, port

    def apus(self, name, *arguments):
        """Starts `apus`."""
        return self.start(name, APUS, *arguments)

    def client(self, experiment, ports, *flags, name="client"):
        """Starts one process of Apus for the SuperNodes at these ports."""
        return self.apus(
            name, "flower", "client", experiment, "--runtime",
            *[f"127.0.0.1:{port}" for port in ports], "--states", self.folder / "states", *flags)

    def server(self, experiment, *flags, runs=None, name="server"):
        """Starts the server's app of Apus."""
        trust = self.trust if self.tls else []
        return self.apus(
            name, "flower", "server", experiment, "--runtime", f"127.0.0.1:{self.port}", "--quiet",
            "--runs", runs or self.folder / "runs", *trust, *flags)

    def finish(self, server):
        """Waits until the server has done its run, with all others in good health."""
        others = [
            process for process in self.running if process is not server and not process.is_stopped]
        require(server.wait(*others) == 0, f"the server failed: {server.last()}")
        return self.folder / "runs/check"

    def superexec(self, *flags):
        """Starts Flower's own process for server apps in Python."""
        return self.start(
            "superexec", FLWR / "flower-superexec", *self.trust, "--runtime-api-address",
            f"127.0.0.1:{self.port}", *flags)

    def submit(self, app=APP, *flags):
        """`flwr run`."""
        done = subprocess.run(
            [FLWR / "flwr", "run", app, "check", *flags], env=self.environment, text=True,
            capture_output=True, timeout=PATIENCE)
        require(done.returncode == 0, f"flwr run failed: {(done.stdout + done.stderr).strip()[-300:]}")
        return done.stdout

    def flwr(self, *arguments):
        """Any other command of flwr; its output."""
        done = subprocess.run(
            [FLWR / "flwr", *arguments], env=self.environment, text=True, capture_output=True,
            timeout=PATIENCE)
        said = done.stdout + done.stderr
        require(
            done.returncode == 0,
            f"flwr {' '.join(str(part) for part in arguments)} failed: {said.strip()[-300:]}")
        return said


def run_apus(*arguments, expect=0):
    """Runs `apus` to its end; what it said."""
    done = subprocess.run(
        [APUS, *[str(part) for part in arguments]], text=True, capture_output=True,
        env={**os.environ, **QUIET}, timeout=PATIENCE)
    require(
        done.returncode == expect,
        f"apus {arguments[0]} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout + done.stderr
