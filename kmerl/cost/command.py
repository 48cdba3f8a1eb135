"""`kmerl experiments cost`: GPU-hours before anybody queues 40 runs."""

from pathlib import Path
from typing import Annotated

import typer

from kmerl import params, runtime
from kmerl.errors import clear_errors
from kmerl.experiments import catalogue
from kmerl.params import ParamsError

PROFILES = Path("params")
NOTE = """\
=: shared with an experiment above, counted there. Counted: products of pretraining, of encoding
every corpus for every set of leads, of fine-tuning, and where an LLM mines, its tokens x 2 x
parameters (docs/mining.md; loading and slow writing come on top). Not counted: reading, embedding
texts, probes and intervals, which keep processors busy. A small encoder reaches a few per cent of
what a GPU can do: measure where you can."""


def cost_command(
    tables: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="table-2d, or one row; all: each.")
    ],
    *,
    profile: Annotated[
        str | None, typer.Option(help="demo, ptbxl or paper; by default params.yaml as it is.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Of each experiment.")] = 3,
    flops: Annotated[
        float | None,
        typer.Option(
            help="Operations a second, such as 4e14 of an H100 at 40 % of bf16, instead of those "
            "measured here."
        ),
    ] = None,
) -> None:
    """GPU-hours of a table's experiments, stages that they share counted once.

    Without --flops a few training steps of each encoder are timed on this machine.
    """
    from kmerl.cost import cost

    with clear_errors():
        known = catalogue.read()
        wanted = list(known.tables) if tables == ["all"] else tables
        path = _path(profile)
        here = runtime.device(runtime.load())
        speed = cost.Measured(here) if flops is None else cost.given(flops)
        lines = cost.cost(known, wanted, params.read(path), seeds, speed)
        measured = f"each encoder's training step measured on this machine ({here})"
        source = measured if flops is None else f"{flops:g} operations a second as given"
        what = "Hours of this CPU" if flops is None and here == "cpu" else "GPU-hours"
        heading = f"{what} at {path}, {seeds} seed{'s' * (seeds > 1)} each; {source}"
        typer.echo(f"{cost.as_text(lines, heading)}\n{NOTE}")


def _path(profile: str | None) -> Path:
    if profile is None:
        return Path("params.yaml")
    path = PROFILES / f"{profile}.yaml"
    if not path.exists():
        known = ", ".join(sorted(one.stem for one in PROFILES.glob("*.yaml")))
        raise ParamsError(f"there is no profile {profile!r}; choose one of {known}")
    return path
