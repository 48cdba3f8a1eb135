"""The house: which room may import which, drawn from the imports themselves."""

from graphlib import TopologicalSorter

from tests.import_closure import ROOT, imports

FLOORS = (  # a room imports rooms on lower floors alone
    "stages cli benchmarks",
    "predict",
    "report",
    "cost download",
    "experiments",
    "evaluation",
    "training",
    "methods",
    "models knowledge corpora synthetic",
    "tasks losses",
    "recordings",
    "store text",
    "runtime",
    "params",
    "leads signal files progress seeds distributed errors engines",
)
MOST_ROOMS = 31


def room(path: str) -> str:
    """kmerl/tasks/cohort.py is in tasks, kmerl/leads.py in leads, stages/encode.py in stages."""
    parts = path.removesuffix(".py").split("/")
    return parts[1] if parts[0] == "kmerl" else parts[0]


def files() -> list[str]:
    folders = ("kmerl", "stages", "benchmarks")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found if path.stat().st_size)


FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names.split()}


def test_every_room_has_its_floor_and_there_are_few():
    rooms = {room(path) for path in files()} - {"__init__"}
    assert rooms == set(FLOOR_OF)
    assert len(rooms) <= MOST_ROOMS


def test_imports_lead_to_lower_floors():
    found = [
        f"{path} imports {other}"
        for path in files()
        for other in imports(path)
        if room(other) not in (room(path), "__init__")
        and FLOOR_OF[room(other)] <= FLOOR_OF[room(path)]
    ]
    assert not found, "\n".join(found)


def test_no_file_is_in_a_circle():
    TopologicalSorter({path: imports(path) for path in files()}).prepare()
