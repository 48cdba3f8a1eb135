"""`kmerl compare`: is one run better than another?"""

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from kmerl import files


def compare_command(
    a: Annotated[Path, typer.Argument(metavar="FOLDER_A", help="data/zero_shot of one run, say.")],
    b: Annotated[Path, typer.Argument(metavar="FOLDER_B", help="The other; seeds are averaged.")],
    *,
    leads: Annotated[str, typer.Option(help="Keys of lead sets, 12,I+II; or all.")] = "12",
    replicates: Annotated[int, typer.Option(min=1, help="Draws of the test patients.")] = 1000,
    level: Annotated[
        float, typer.Option(min=0.01, max=0.999, help="Share of replicates in an interval.")
    ] = 0.95,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Is A better than B? Difference in macro AUROC on the same patients, task by task.

    `ahead` is the share of the replicates in which A is above B.
    """
    from kmerl.evaluation import compare

    if math.isnan(level):
        raise ValueError("--level nan: name a share of the replicates")
    keys = None if leads == "all" else leads.split(",")
    sides = compare.read_folder(a), compare.read_folder(b)
    table = compare.compare(*sides, keys, replicates, level, seed)
    typer.echo(
        json.dumps(files.rounded(table), indent=1) if as_json else compare.as_text(table, level)
    )
