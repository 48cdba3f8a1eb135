"""`kmerl data`: where the corpora are to be had, and one of them into its folder."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kmerl.download.sources import REMOTE, Source, root_of, source, sources

if TYPE_CHECKING:
    from kmerl.download.fetch import Outcome

app = typer.Typer(
    no_args_is_help=True,
    help="The corpora: where they are to be had, getting them, and what is kept decoded of them.",
)


@app.command("list")
def list_command() -> None:
    """What each corpus is, its size and licence, and the commands that bring it here."""
    typer.echo("\n\n".join(_described(name, one) for name, one in sources().items()))
    remote = "\n".join(f"    {line}" for line in REMOTE.splitlines())
    typer.echo(f"\nbefore the first `dvc import-url`, with kmerl[s3] installed:\n{remote}")


@app.command("get")
def get_command(
    corpus: Annotated[str, typer.Argument(help="As `kmerl data list` calls it.")],
    *,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="By default corpora.CORPUS.root of params.yaml, or raw/CORPUS."
        ),
    ] = None,
    place: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="URL",
            help="Another address, s3://, https:// or http://, of a folder with SHA256SUMS.txt.",
        ),
    ] = None,
    records: Annotated[
        str | None,
        typer.Option(
            metavar="N|NAMES|FILE",
            help="The first N records; or those named, with commas between; or those named in a "
            "file, one a line. By default all.",
        ),
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, max=256, help="Files at a time.")] = 32,
) -> None:
    """Bring a corpus into its folder, each file checked against the corpus's SHA256SUMS.txt.

    The same command goes on after a kill or a failure, and checks what another tool fetched. Exit
    status 1 if a file could not be had: failed.csv in the folder names each, with its reason."""
    from kmerl.download.fetch import fetch  # heavy

    known = source(corpus)
    root = to or Path(root_of(corpus))
    found = asyncio.run(
        fetch(
            place or known.project,
            root,
            folder=known.folder,
            unread=known.unread,
            records=None if records is None else _wanted(records),
            average=known.bytes / known.files,
            parallel=parallel,
        )
    )
    _tell(corpus, root, found)
    if place is None and found.listed != known.records:
        typer.echo(
            f"kmerl: {known.project} lists {found.listed:,} records, and {known.records:,} are "
            "known: another release, or a list cut short",
            err=True,
        )
    if found.failed or found.stopped:
        raise typer.Exit(1)
    _say_root(corpus, root)


@app.command("cache")
def cache_command(
    *,
    clear: Annotated[bool, typer.Option("--clear", help="Remove them.")] = False,
) -> None:
    """The decoded copies of stores that runtime.cache of params.yaml keeps on this machine."""
    from kmerl import runtime
    from kmerl.training import cache

    folder = runtime.load().cache_folder
    if folder is None:
        typer.echo("runtime.cache of params.yaml is empty: no store is kept decoded")
        return
    found = cache.copies(folder)
    for name, size in found.items():
        typer.echo(f"{size / 1e9:9.2f} GB  {folder / name}")
    if clear and found:
        cache.clear(folder)
    typer.echo(f"{folder}: {len(found)} decoded copies{' removed' if clear else ''}")


def _tell(corpus: str, root: Path, found: "Outcome") -> None:
    """What came of it, in numbers."""
    from kmerl.download.fetch import FAILED

    typer.echo(
        f"{corpus}: {found.fetched:,} files fetched ({found.bytes / 1e9:.2f} GB), of them "
        f"{found.replaced:,} in place of one that was not whole; {found.there:,} already there; "
        f"{len(found.failed):,} failed; {found.untried:,} not tried"
    )
    if found.failed:
        typer.echo(f"{root / FAILED} has the reason of each that failed", err=True)
    if found.stopped:
        typer.echo(f"kmerl: stopped: {found.stopped}; the same command goes on", err=True)


def _wanted(records: str) -> int | Iterable[str]:
    if records.isdecimal():
        return int(records)
    if Path(records).is_file():
        lines = Path(records).read_text(encoding="utf-8").splitlines()
        return [line.strip() for line in lines if line.strip()]
    return [name.strip() for name in records.split(",") if name.strip()]


def _say_root(corpus: str, root: Path) -> None:
    """What params.yaml must say for the chain to read it, where it says something else."""
    from kmerl.corpora.entries import CorpusFiles, corpus_files
    from kmerl.download.sums import MANIFEST

    wanted = CorpusFiles(root=str(root), manifest=MANIFEST)
    if not Path("params.yaml").exists() or corpus_files(corpus) != wanted:
        typer.echo(
            f"for params.yaml: corpora: {corpus}: {{root: {wanted.root}, manifest: {MANIFEST}}}"
        )


def _described(corpus: str, known: Source) -> str:
    people = f" of {known.patients:,} patients" if known.patients else ""
    lines = [
        f"{corpus}: {known.title}, version {known.version}",
        f"  {known.records:,} records{people}: {known.about}",
        f"  {known.bytes / 1e9:.1f} GB in {known.files:,} files; {known.licence}; "
        f"credentials: {known.credentials}",
    ]
    commands = known.commands(corpus, root_of(corpus)).values()
    return "\n".join(lines + [f"    {command}" for command in commands])
