"""The `kmerl` command: each room's commands under their names."""

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from kmerl.cost.command import cost_command
from kmerl.download.commands import app as data
from kmerl.errors import clear_errors
from kmerl.evaluation.commands import compare_command
from kmerl.experiments.commands import app as experiments
from kmerl.experiments.commands import changed_command
from kmerl.predict.app import app_command
from kmerl.predict.commands import (
    embed_command,
    export_command,
    leads_command,
    predict_command,
)
from kmerl.predict.explain_command import explain_command
from kmerl.predict.printing import NOTICE
from kmerl.predict.probe_commands import fine_tune_command, probe_command
from kmerl.report.commands import tables_command
from kmerl.tasks.commands import splits_command


class Commands(TyperGroup):
    """Commands whose errors are one line, whatever they are; see `kmerl.errors`."""

    def invoke(self, ctx: Any) -> Any:  # typer does not export the class of its context's base
        with clear_errors(lambda: f"{ctx.command_path} {ctx.invoked_subcommand}", OF_TYPER):
            return super().invoke(ctx)


OF_TYPER = (typer.Exit, typer.Abort, typer.TyperException, BrokenPipeError)
"""What typer itself makes of an option that is none, and of `kmerl tables | head`."""

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="K-MERL: classify an ECG by any class names, from any leads.",
    epilog=NOTICE,
)
app.command("predict", epilog=NOTICE)(predict_command)
app.command("embed", epilog=NOTICE)(embed_command)
app.command("export")(export_command)
app.command("explain", epilog=NOTICE)(explain_command)
app.command("app", epilog=NOTICE)(app_command)
app.command("leads")(leads_command)
app.command("probe", epilog=NOTICE)(probe_command)
app.command("fine-tune", epilog=NOTICE)(fine_tune_command)
app.command("tables")(tables_command)
app.command("compare")(compare_command)
app.command("splits")(splits_command)
app.command("changed")(changed_command)
experiments.command("cost")(cost_command)
app.add_typer(experiments, name="experiments", cls=Commands)
app.add_typer(data, name="data", cls=Commands)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"kmerl {version('kmerl')}")
        raise typer.Exit


@app.callback()
def kmerl(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


if __name__ == "__main__":
    app()
