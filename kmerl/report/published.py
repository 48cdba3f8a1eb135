"""What stands behind the paper's results, and what it claims (published.yaml)."""

from importlib import resources
from typing import Any

from kmerl.files import read_yaml

PUBLISHED: dict[str, Any] = read_yaml(resources.files("kmerl.report") / "published.yaml")
