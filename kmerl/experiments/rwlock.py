"""DVC's list of what is being read and written, which a kill may leave empty or half written.

DVC rewrites `.dvc/tmp/rwlock` in place. Killed in that moment it leaves a file that no command of
DVC can read, and each ends with "JSON structure is corrupted". What such a file said was of the
process that was killed, so it may go.
"""

import json
import sys
from pathlib import Path

NAME = "rwlock"


def mend(repository: Path = Path()) -> bool:
    """Remove the list where it is torn; whether it was. A whole one stays, whoever it names.

    Raises:
        dvc.lock.LockError: a DVC process is writing it now.
    """
    path = repository / ".dvc" / "tmp" / NAME
    if not _is_torn(path):
        return False
    from dvc.lock import make_lock  # a second, and only needed where something is broken
    from dvc.repo import Repo

    shared = Repo(str(repository)).config["core"].get("hardlink_lock", False)
    guard = make_lock(f"{path}.lock", tmp_dir=str(path.parent), hardlink_lock=shared)
    with guard:  # DVC holds it while it writes the list
        torn = _is_torn(path)
        if torn:
            path.unlink()
    return torn


def _is_torn(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False


if __name__ == "__main__":
    if mend():
        print(f"removed .dvc/tmp/{NAME}, which a kill had left torn", file=sys.stderr)
