"""Long lists of names in several questions, and maps and hierarchies that an LLM left untidy."""

from collections import Counter
from collections.abc import Mapping, Sequence

from kmerl.knowledge.backend import free_name


def turns(names: Sequence[str], parts: int) -> list[list[list[str]]]:
    """Turns in each of which `parts` lists hold every name once, so that every pair meets in one.

    The names are cut into 2 * `parts` blocks of neighbours; in each turn every block stands with
    another one, as in a tournament. The first turn holds neighbours together.
    """
    if parts <= 1:
        return [[list(names)]] if names else []
    blocks = [names[len(names) * i // (2 * parts) : len(names) * (i + 1) // (2 * parts)]
              for i in range(2 * parts)]  # fmt: skip
    first, *others = [*blocks[::2], *blocks[1::2][::-1]]
    found = []
    for _ in range(2 * parts - 1):
        row = [first, *others]
        pairs = zip(row[:parts], row[: parts - 1 : -1], strict=True)
        found.append([part for one, other in pairs if (part := sorted([*one, *other]))])
        others = [*others[-1:], *others[:-1]]
    return found


def resolved(answers: Mapping[str, str], counts: Counter[str]) -> dict[str, str]:
    """For each name one of the names, the same for all that `answers` puts together.

    A chain (a -> b, b -> c) ends at its end. Where there is no end, in a cycle or at a name that
    was not asked, the group takes the member that most of it points to, else the one that shares
    most words with the unknown name, else the longest. `counts` gets chains, cycles and unknown.
    """
    groups: dict[str, list[str]] = {}
    cyclic = set()
    for name in sorted(answers):
        path = [name]
        while (end := answers.get(path[-1])) is not None and end not in path:
            path.append(end)
        if end is not None and end != path[-1]:
            path.append(min(path[path.index(end) :]))  # one member stands for the cycle
            counts["cycles"] += path[-1] not in cyclic
            cyclic.add(path[-1])
        elif len(path) > 2:
            counts["chains"] += 1
        groups.setdefault(path[-1], []).append(name)
    found: dict[str, str] = {}
    for end, members in groups.items():
        known = end in answers and end not in cyclic
        counts["unknown"] += end not in answers
        found |= dict.fromkeys(members, end if known else _named(end, members, answers))
    return found


def flattened(
    hierarchy: Mapping[str, Sequence[str]], entities: Sequence[str], counts: Counter[str]
) -> dict[str, list[str]]:
    """Two levels: each superclass with the entities below it, also through other superclasses.

    A superclass that bears an entity's name is called "any ...". One without children, or whose
    only child is that entity, is left out. `counts` gets nested, renamed and empty.
    """
    known = set(entities)
    found: dict[str, list[str]] = {}
    for name in sorted(hierarchy):
        below = _below(name, hierarchy) & known
        counts["nested"] += bool(set(hierarchy[name]) - known)
        if not below - {name}:
            counts["empty"] += 1
            continue
        free = free_name(name, known | ({*hierarchy, *found} - {name}))
        counts["renamed"] += free != name
        found[free] = sorted(below)
    return found


def _named(end: str, members: Sequence[str], answers: Mapping[str, str]) -> str:
    pointed = Counter(answers[name] for name in members)
    words = set(end.split())

    def fitness(name: str) -> tuple[int, float, int, str]:
        own = set(name.split())
        return pointed[name], len(words & own) / len(words | own), len(name), name

    return max(members, key=fitness)


def _below(name: str, hierarchy: Mapping[str, Sequence[str]]) -> set[str]:
    """`name` and all that stands below it."""
    found, waiting = {name}, [name]
    while waiting:
        new = set(hierarchy.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return found
