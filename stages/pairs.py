"""Stage pairs: which corpora's recordings and reports are trained on."""

from pathlib import Path

from kmerl import params
from kmerl.errors import clear_errors
from kmerl.store import pairs
from kmerl.tasks.simulated import simulated

DATA = Path("data")


def main() -> None:
    values = params.read()
    names = pairs.corpora_of(values["pretrain"]["corpus"])
    pairs.choose(names, simulated(values["corpora"]), DATA)


if __name__ == "__main__":
    with clear_errors("pairs"):
        main()
