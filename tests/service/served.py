"""`loom serve` as a process group of its own, as a user has it; to be stopped, or killed."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx

TOKEN = "correct-horse-battery"


class Served:
    """A running service over a store. Its log is in `log`, one JSON document a line."""

    def __init__(self, url: str, folder: Path, *words: str, port: int = 0) -> None:
        self.log = folder / f"serve-{time.monotonic_ns()}.log"
        store = ["--store", url] if url else []  # none: what the environment names
        command = [Path(sys.executable).parent / "loom", "serve", *store, "--port", str(port), "--token", TOKEN, *words]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True, start_new_session=True, cwd=folder
            )
        line = self.process.stdout.readline()
        assert line.startswith("Worldloom serves at http://"), line + self.log.read_text()
        self.address = line.split()[-1].partition("/?token=")[0]
        self.http = httpx.Client(base_url=self.address, headers={"authorization": f"Bearer {TOKEN}"}, timeout=30)

    def ready(self) -> "Served":
        """Waits until requests are answered."""
        end = time.monotonic() + 60
        while True:
            with suppress(httpx.TransportError):
                self.http.get("/healthz")
                return self
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.01)

    def members(self) -> dict[str, int]:
        """Process numbers of the crew that live, by name."""
        alive: dict[str, int] = {}
        for line in self.log.read_text().splitlines():
            with suppress(ValueError):
                told = json.loads(line)
                if told.get("event") == "started":
                    alive[told["process"]] = told["pid"]
                elif told.get("event") == "ended":
                    alive.pop(told["process"], None)
        return alive

    def kill(self, victim: str) -> None:
        """kill -9 of "server", of "worker" (the process that carries out runs), or of the whole "group"."""
        if victim == "group":
            os.killpg(self.process.pid, signal.SIGKILL)
        elif victim == "server":
            self.process.kill()
        else:
            for name, pid in self.members().items():
                if name.startswith("runs"):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            return
        self.process.wait(10)
        self.process.stdout.close()
        self.http.close()

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Ends it as a user or a service manager does; its exit code."""
        self.http.close()
        self.process.send_signal(how)
        code = self.process.wait(30)
        self.process.stdout.close()
        return code
