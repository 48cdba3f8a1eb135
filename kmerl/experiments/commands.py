"""`kmerl experiments`: the paper's tables and figures by name, in DVC's queue and out of it."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from kmerl.experiments import catalogue, changed, collecting, queueing, runs
from kmerl.experiments.catalogue import Experiment

app = typer.Typer(
    no_args_is_help=True,
    help="The paper's tables and figures as named experiments (experiments.yaml).",
)
Tables = Annotated[
    list[str],
    typer.Argument(metavar="NAME", help="table-2d, or one row such as simclr; all: each."),
]
WORKERS = """
`dvc queue start -j N` then runs N at a time in the background, and goes on where a machine \
stopped; what ran at that moment is lost, and queued again by this command.

A worker sees the shell that started it, and -j N starts those of N that are missing. A GPU each:

    for gpu in 0 1 2 3; do
      CUDA_VISIBLE_DEVICES=$gpu dvc queue start -j $((gpu + 1))
      sleep 20  # until it shows in `dvc queue status`
    done
"""


@app.command(name="list")
def list_command(
    name: Annotated[str | None, typer.Argument(help="One of them, or of their rows.")] = None,
) -> None:
    """Tables and figures; of one, its experiments and the keys that each sets."""
    known = catalogue.read(catalogue.here(catalogue.FILE), catalogue.here("params.yaml"))
    if name is not None:
        typer.echo(_listed(known.of(name), known.every))
        return
    width = max(map(len, known.tables))
    for table, held in known.tables.items():
        count = len(known.of(table))
        typer.echo(f"{table:{width}}  {count:3}  {held.source:15}  {held.caption}")
    typer.echo(f"{len(known.experiments)} experiments in {len(known.tables)} tables")


@app.command(name="queue", epilog=WORKERS)
def queue_command(
    tables: Tables,
    *,
    seeds: Annotated[int, typer.Option(min=1, help="Of each experiment: 0, 1, ...")] = 3,
    given: Annotated[
        str, typer.Option("--with", help="What this machine has, of hub,llm,gpu.")
    ] = "",
    again: Annotated[bool, typer.Option("--again", help="Those that ran, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what, and leave it.")] = False,
) -> None:
    """Add experiments to DVC's queue, as <name>-s<seed>; what is there is skipped.

    They run at the scale of params.yaml as it stands now.
    """
    from kmerl.experiments import sections

    known = catalogue.read()
    sections.check(known)
    needs = [need for need in given.split(",") if need]
    planned = queueing.plan(known, tables, seeds, needs, queueing.states(), again)
    open_ones = [one for one in planned if not one.skip]
    for one in planned:
        if one.skip:
            typer.echo(f"skipped  {one.name}: {one.skip}")
    for one in open_ones if dry_run else queueing.add(known, open_ones, again):
        typer.echo(f"{'would queue' if dry_run else 'queued'}  {one.name}")
    left = len(planned) - len(open_ones)
    typer.echo(f"{len(open_ones)} {'to queue' if dry_run else 'queued'}, {left} skipped")


@app.command(name="status")
def status_command(
    only: Annotated[
        str | None, typer.Option(help="queued, running, success, failed or lost alone.")
    ] = None,
) -> None:
    """Where each experiment stands; of a failed one, the stage and the last line of its error."""
    found = queueing.states().values()
    width = max((len(state.name) for state in found), default=0)
    for state in found:
        if only in (None, state.status):
            typer.echo(f"{state.status:8} {state.name:{width}}  {state.reason}".rstrip())
    counts = Counter(state.status for state in found)
    summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    typer.echo(summary or "no experiment; `kmerl experiments queue TABLE` adds some")


@app.command(name="collect")
def collect_command() -> None:
    """Results of all experiments that ended well, into experiments.json.

    Runs that stand there already and are not of this repository stay.
    """
    known = catalogue.read()
    found, ignored = collecting.collect(known)
    kept = {run.key: run for run in runs.read() if run.experiment in known.experiments}
    runs.write({**kept, **found}.values())
    for name, why in sorted(ignored.items()):
        typer.echo(f"ignored  {name}: {why}")
    before = len(kept.keys() - found.keys())
    scales = Counter(run.scale for run in found.values())
    at = ", ".join(f"{count} at scale {scale}" for scale, count in sorted(scales.items()))
    typer.echo(f"{len(found)} runs{f' ({at})' if at else ''} in {runs.FILE}")
    if before:
        typer.echo(f"{before} that stood there before are kept")


def changed_command() -> None:
    """How the results here differ from those that are committed, and why; silent if they do not."""
    found = changed.since_commit()
    if found:
        typer.echo(found)


def _listed(chosen: list[Experiment], every: Mapping[str, Any]) -> str:
    width = max(len(experiment.name) for experiment in chosen)
    lines = []
    for experiment in chosen:
        changes = " ".join(queueing.written(experiment.set)) or "nothing else"
        needs = f"  (needs {', '.join(experiment.needs)})" if experiment.needs else ""
        lines.append(f"{experiment.name:{width}}  {changes}{needs}")
    return "\n".join([*lines, f"before that, each: {' '.join(queueing.written(every))}"])
