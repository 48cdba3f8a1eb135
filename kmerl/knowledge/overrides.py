"""overrides.yaml: what a cardiologist changes by hand in the mined entities and superclasses."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from kmerl import params
from kmerl.knowledge.backend import MiningError, free_name
from kmerl.params import checked

PATH = Path("overrides.yaml")


@checked
class Overrides:
    """The sections of overrides.yaml; every name in lower case, as entities.yaml has it."""

    drop: tuple[str, ...]  # expressions that are no entity: no label
    merge: dict[str, str]  # expression -> entity, whatever the backend and the guard say
    apart: tuple[str, ...]  # expressions that are not merged into another name
    superclasses: dict[str, tuple[str, ...]]  # superclass -> all its children; () removes it


def read(path: Path = PATH) -> Overrides:
    """The overrides, checked.

    Raises:
        ParamsError: the file cannot be read, or a key is unknown or missing.
        MiningError: an expression stands in two sections, or a merge leads to an expression that is
            itself merged or dropped.
    """
    values = params.read_file(path, "it stands in the repository's root; its keys may be empty")
    found = params.build(Overrides, values, f"{path}: ")
    given = [*found.drop, *found.merge, *found.apart]
    twice = sorted({name for name in given if given.count(name) > 1})
    if twice:
        raise MiningError(f"{path}: {twice[0]!r} stands in two of drop, merge and apart; keep one")
    for expression, entity in found.merge.items():
        if entity != expression and (entity in found.merge or entity in found.drop):
            raise MiningError(
                f"{path}: merge.{expression} leads to {entity!r}, which is itself merged or "
                "dropped; name the last entity"
            )
    return found


def merged(entity: Mapping[str, str], overrides: Overrides) -> dict[str, str]:
    """The canonical entity of each expression that is not dropped, after the overrides.

    One whose name the label table needs for itself ("record") becomes "any ...".
    """
    changed = dict(entity) | {name: name for name in overrides.apart if name in entity}
    changed |= {name: to for name, to in overrides.merge.items() if name in entity}
    kept = sorted(changed.keys() - set(overrides.drop))
    return {name: free_name(changed[name], ()) for name in kept}


def hierarchy(
    found: Mapping[str, Sequence[str]], entities: Sequence[str], overrides: Overrides
) -> dict[str, list[str]]:
    """Superclasses after the overrides, whose children not mined here are left out."""
    mined = set(entities)
    ours = {
        name: sorted(mined & set(children)) for name, children in overrides.superclasses.items()
    }
    both = dict(found) | ours
    return {name: list(both[name]) for name in sorted(both) if both[name]}


def unused_expressions(overrides: Overrides, expressions: Collection[str]) -> list[str]:
    """Expressions of overrides.yaml that were not mined: a typo, or a cohort without them."""
    return sorted({*overrides.drop, *overrides.merge, *overrides.apart} - set(expressions))


def unused_children(overrides: Overrides, entities: Collection[str]) -> list[str]:
    """Children in overrides.yaml that were not mined, as `unused_expressions`."""
    children = {child for names in overrides.superclasses.values() for child in names}
    return sorted(children - set(entities))
