"""What the commands say when something is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def clear_errors() -> Iterator[None]:
    """What a person can put right, a wrong value or a missing file, is one line and exit status 1;
    anything else is a bug's trace."""
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        typer.echo(f"kmerl: {error}", err=True)
        raise typer.Exit(1) from None
