"""`kmerl splits`: what is wrong with MERL's split files."""

import json
from pathlib import Path
from typing import Annotated

import typer

from kmerl.tasks import merl_splits


def splits_command(
    root: Annotated[Path, typer.Argument(help="The folder that holds MERL's data_split.")],
) -> None:
    """Print the rows of MERL's split files, and which of their labels are wrong, as JSON."""
    typer.echo(json.dumps(merl_splits.report(root), indent=1))
