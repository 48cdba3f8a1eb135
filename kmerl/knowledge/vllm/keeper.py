"""Runs a server while its stage lives: `python -m kmerl.knowledge.vllm.keeper LOG COMMAND`.

The stage holds the other end of standard input. When that closes, because the stage is done or was
killed in any way, the server and all its children end.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

PATIENCE = 20.0  # seconds between asking the server to stop and killing what is left


def main() -> None:
    log, *command = sys.argv[1:]
    ending = threading.Event()
    with Path(log).open("wb") as output:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    threading.Thread(target=_until_closed, args=(ending,), daemon=True).start()
    while server.poll() is None and not ending.wait(0.2):
        pass
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)  # this process leads the group of all that it started
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(PATIENCE)
    os.killpg(0, signal.SIGKILL)


def _until_closed(ending: threading.Event) -> None:
    while sys.stdin.buffer.read(1024):
        pass
    ending.set()


if __name__ == "__main__":
    main()
