"""Aggregation: entities under superclasses, two levels (Sec. 3.4; the paper has 252 + 25 = 277)."""

from collections.abc import Iterable, Mapping, Sequence

from kmerl.knowledge.backend import Backend, MiningError, is_of_the_table
from kmerl.params import checked


class HierarchyError(MiningError):
    """The superclasses do not make two levels; the message names the superclass and what to do."""


@checked
class Aggregate:
    """The `aggregate` section of params.yaml."""

    superclasses: bool


def aggregate(
    entities: Iterable[str], backend: Backend, superclasses: bool = True
) -> dict[str, list[str]]:
    """Each superclass with its children, both in alphabetical order; {} if `superclasses` is off.

    Raises:
        HierarchyError: see `check`.
    """
    names = sorted(set(entities))
    if not superclasses:
        return {}
    answer = backend.aggregate(names)
    hierarchy = {name: sorted(set(answer[name])) for name in sorted(answer)}
    check(hierarchy, names)
    return hierarchy


def check(hierarchy: Mapping[str, Sequence[str]], entities: Sequence[str]) -> None:
    """Two levels: superclasses above entities, and nothing else.

    Raises:
        HierarchyError: a superclass has no child, a child that is no entity, or a name that is an
            entity's (so that it would be its own child or stand under another superclass) or the
            label table's own.
    """
    known = set(entities)
    for superclass, children in hierarchy.items():
        if superclass in known:
            raise HierarchyError(
                f"{superclass!r} is an entity and a superclass; give one another name"
            )
        if is_of_the_table(superclass):
            raise HierarchyError(f"superclass {superclass!r}: the label table's own; rename it")
        if not children:
            raise HierarchyError(f"superclass {superclass!r} has no child; leave it out")
        unknown = sorted(set(children) - known)
        if unknown:
            raise HierarchyError(
                f"superclass {superclass!r} has the child {unknown[0]!r}, which is no entity"
            )
