"""What the commands say when something is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def clear_errors(*further: type[Exception]) -> Iterator[None]:
    """What a person can put right is one line and exit status 1; anything else is a bug's trace.

    Args:
        further: kinds of errors beside a wrong value and a missing file.
    """
    known: tuple[type[Exception], ...] = (ValueError, FileNotFoundError, *further)
    try:
        yield
    except known as error:
        typer.echo(f"kmerl: {error}", err=True)
        raise typer.Exit(1) from None
