"""Stage pretrain: ECG, report and entity alignment on every device there is."""

from functools import partial
from pathlib import Path

from kmerl import params, runtime
from kmerl.errors import about, clear_errors
from kmerl.training.launch import run
from kmerl.training.session import Session


def main() -> None:
    values = params.read()
    with about("params.yaml"):
        session = Session.from_params(values, Path("data"))
    run(partial(session.train, Path()), runtime.load(), "stages.pretrain")


if __name__ == "__main__":
    with clear_errors("pretrain"):
        main()
