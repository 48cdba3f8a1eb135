"""`python -m tests.audit`: known vulnerabilities of the locked packages, and their licences.

Vulnerabilities are asked of OSV, the source of pip-audit and `uv audit`, by name and version. Where
it is out of reach that is said, and is no failure; docs/licences.md says what the licences mean.
"""

import json
import re
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock")
OSV = "https://api.osv.dev/v1/querybatch"
COPYLEFT = re.compile(r"\bA?GPL|GNU (Affero )?General Public")
FAMILIES = ("GPL", "MPL", "Mozilla", "EPL", "Apache", "BSD", "MIT", "PSF", "Python", "ISC", "ZPL")
CHOICE = re.compile(r"\bOR\b")  # of two licences: whoever installs it takes the other


def main() -> None:
    found = vulnerable(pins())
    if found is None:
        print(f"audit: {OSV} is out of reach; no package was looked up")
    else:
        print(f"audit: {len(found)} of {len(pins())} locked packages have known vulnerabilities")
    for (name, version), known in (found or {}).items():
        print(f"  {name} {version}: {', '.join(known)} (https://osv.dev/vulnerability/...)")
    held = licences(pins())
    kinds = Counter(family(kind) for kind in held.values())
    print(f"licences: {', '.join(f'{count} {kind}' for kind, count in kinds.most_common())}")
    print(f"copyleft, see docs/licences.md: {', '.join(copyleft(held)) or 'none'}")
    sys.exit(bool(found))


def pins() -> list[tuple[str, str]]:
    """Name and version of each package that the locks hold."""
    lines = (line for lock in LOCKS for line in (ROOT / lock).read_text("utf-8").splitlines())
    return [tuple(line.split("==")) for line in lines if "==" in line and line[0] != "#"]


def vulnerable(
    packages: Iterable[tuple[str, str]], url: str = OSV
) -> dict[tuple[str, str], list[str]] | None:
    """Advisories of each package that has any; None where there is no answer to that."""
    packages = list(packages)
    queries = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
        for name, version in packages
    ]
    body = json.dumps({"queries": queries}).encode()
    asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=10) as reply:
            results = json.loads(reply.read(2**24))["results"]
        found = {
            package: [one["id"] for one in result.get("vulns", [])]
            for package, result in zip(packages, results, strict=True)
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return {package: known for package, known in found.items() if known}


def licences(packages: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The licence of each of these that is installed, as its own metadata have it."""
    wanted = {normal(name) for name, _ in packages}
    held = {normal(one.metadata["Name"]): one.metadata for one in metadata.distributions()}
    return {name: licence(held[name]) for name in sorted(wanted & held.keys())}


def licence(about: Any) -> str:
    """A short word where there is one: an expression, the field, or the classifiers."""
    field = (about.get("License") or "").strip()
    said = about.get("License-Expression") or ("" if "\n" in field or len(field) > 60 else field)
    return said or ", ".join(_classified(about)) or "not said"


def family(kind: str) -> str:
    words = kind.lower()
    return next((name for name in FAMILIES if name.lower() in words), "other")


def _classified(about: Any) -> Iterator[str]:
    for line in about.get_all("Classifier", []):
        if line.startswith("License :: ") and not line.endswith("OSI Approved"):
            yield line.rpartition(" :: ")[2]


def copyleft(held: dict[str, str]) -> list[str]:
    """Packages that come under the GPL and leave no choice but it."""
    return [
        name for name, kind in held.items() if COPYLEFT.search(kind) and not CHOICE.search(kind)
    ]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
