"""What a kill of DVC itself may leave and `make repro` mends: two files that DVC writes in place.

`.dvc/tmp/rwlock` lists what is being read and written, `dvc.lock` what the stages read and wrote.
Killed while it writes one of them DVC leaves it empty or half written, and every later command
ends with an error. The list was of the process that was killed, so it may go. For dvc.lock that of
the last commit is put in place; what ran since then is taken from DVC's run cache.
"""

import json
import subprocess
import sys
from pathlib import Path

RWLOCK, LOCK = Path(".dvc/tmp/rwlock"), Path("dvc.lock")


def mend(repository: Path = Path()) -> list[str]:
    """Mend what is torn; what was, in words. A whole file stays, whoever it names.

    Raises:
        dvc.lock.LockError: a DVC process is at work on it now.
    """
    from dvc.lock import make_lock  # heavy

    done = []
    for name, guard, is_torn, put_right in (
        (RWLOCK, "rwlock.lock", _is_no_json, Path.unlink),  # what DVC holds while it writes them
        (LOCK, "lock", _is_no_lock, _as_committed),
    ):
        path = repository / name
        if path.exists() and is_torn(path):
            with make_lock(str(repository / RWLOCK.with_name(guard))):
                if is_torn(path):
                    put_right(path)
                    done.append(f"{name}, which a kill had left torn, is mended")
    return done


def _is_no_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return True
    return False


def _is_no_lock(path: Path) -> bool:
    """By DVC's own schema: half a file may well be YAML."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.serialize import ParseError, load_yaml
    from voluptuous import Invalid

    try:
        COMPILED_LOCKFILE_SCHEMA(load_yaml(str(path)))
    except (ParseError, Invalid, UnicodeDecodeError):
        return True
    return False


def _as_committed(path: Path) -> None:
    command = ["git", "show", f"HEAD:./{path.name}"]
    found = subprocess.run(command, cwd=path.parent, capture_output=True, check=False)
    if found.returncode:  # it was never committed
        path.unlink()
    else:
        path.write_bytes(found.stdout)


if __name__ == "__main__":
    for line in mend():
        print(line, file=sys.stderr)
