"""Stage check: the method that params.yaml names is there, before any other stage has begun.

Without it `dvc repro` would do all that comes before stage pretrain, and then miss the method's
file. What it writes is the same whatever is named, so that no other stage runs again.
"""

import pkgutil
from importlib.util import find_spec

from kmerl import files, params
from kmerl.errors import clear_errors

OUT = "data/check.txt"


def main() -> None:
    method = params.value(params.read(), "method", str)
    found = find_spec("kmerl.methods")  # imports none of them, nor torch
    places = found.submodule_search_locations if found else None
    names = sorted(module.name for module in pkgutil.iter_modules(places))
    if method not in names:
        raise params.ParamsError(f"method is {method!r}; choose one of {', '.join(names)}")
    files.write_text(OUT, "params.yaml names a method that is there\n")


if __name__ == "__main__":
    with clear_errors("check"):
        main()
