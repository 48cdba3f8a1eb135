"""`kmerl experiments cost`: GPU-hours before anybody queues 40 runs."""

import math
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from kmerl import params, runtime
from kmerl.experiments import catalogue

NOTE = """\
=: shared with an experiment above, counted there. Counted: steps of pretraining, of encoding every
corpus for every set of leads, and of fine-tuning, on data in memory. Not counted: mining with an
LLM (docs/mining.md says what it takes), and what keeps processors busy: reading, validation,
embedding texts, probes and intervals. With --flops, remember that a small encoder reaches a few per
cent of what a GPU can do: measure where you can. With --gpus, every counted stage is dealt out over
all of them, as if that cost nothing."""


def cost_command(
    tables: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="table-2d, or one row; all: each.")
    ],
    *,
    profile: Annotated[
        str | None,
        typer.Option(help="A file of params/, such as paper; by default params.yaml as it is."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Of each experiment.")] = 3,
    flops: Annotated[
        float | None,
        typer.Option(
            help="Operations a second, such as 4e14 of an H100 at 40 % of bf16: counts instead of "
            "measuring, for a GPU that is not there."
        ),
    ] = None,
    flops_fp32: Annotated[
        float | None,
        typer.Option(help="Of steps in fp32, where that is another number than --flops."),
    ] = None,
    gpus: Annotated[int, typer.Option(min=1, help="Show also the hours on so many.")] = 1,
    measures: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keep what is measured here in FILE; on another machine, read it."
        ),
    ] = None,
) -> None:
    """GPU-hours of a table's experiments, stages that they share counted once.

    Without --flops a few steps of each model are timed on this machine.
    """
    from kmerl.cost import cost, steps

    rates = {"--flops": flops, "--flops-fp32": flops_fp32}
    for option, rate in rates.items():
        if rate is not None and not 0 < rate < math.inf:
            raise ValueError(f"{option} {rate:g}: operations a second are a number above 0")
    if flops is None and flops_fp32 is not None:
        raise ValueError("--flops-fp32 needs --flops, which is of all other steps")
    known = catalogue.read()
    path = Path(f"params/{profile}.yaml" if profile else "params.yaml")
    here = runtime.device(runtime.load())
    if flops is None:
        seconds = steps.Known(partial(steps.timed, device=here), steps.machine(here), measures)
        source = f"Hours measured on {seconds.kept['machine']}"
    else:
        fp32 = flops_fp32 or flops
        seconds = steps.Known(
            lambda step: steps.operations(step) / (fp32 if step.precision == "fp32" else flops), ""
        )
        source = f"GPU-hours at {flops:g} operations a second"
        source += f", {fp32:g} in fp32" * (fp32 != flops)
    found = cost.cost(known, tables, params.read(path), seeds, seconds)
    heading = f"{source}; {path}, {seeds} seed{'s' * (seeds > 1)} each"
    typer.echo(f"{cost.as_text(found, heading, gpus)}\n{NOTE}")
