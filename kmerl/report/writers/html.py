"""Pages: one file each, which holds its styles and drawings and asks the network for nothing."""

from typing import Any

import jinja2
from markupsafe import Markup

SHAPES = (
    "M-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0-6.8 0Z",
    "M-3.2-3.2h6.4v6.4h-6.4Z",
    "M0-4.5l4.5 4.5l-4.5 4.5l-4.5-4.5Z",
    "M0-3.8l4.2 7.2h-8.4Z",
    "M0 3.8l4.2-7.2h-8.4Z",
    "M-3.3-1h2.3v-2.3h2v2.3h2.3v2h-2.3v2.3h-2v-2.3h-2.3Z",
)
"""A circle, a square, a diamond, triangles, a cross: series differ by more than their colour."""

ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("kmerl.report"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
ENVIRONMENT.globals["shapes"] = SHAPES


def rendered(template: str, **values: Any) -> Markup:
    """A template of kmerl/report/templates with its values; all text in them is escaped."""
    return Markup(ENVIRONMENT.get_template(template).render(values))
