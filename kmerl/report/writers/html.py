"""Pages: one file each, which holds its styles and drawings and asks the network for nothing."""

import re
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

NO_TEXT = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]"
)
"""What XML 1.0 forbids or discourages, and what turns the direction of the text behind it."""


def plain(value: Any) -> Any:
    """What a template prints: of a text, such as the name of a class or a record, each character of
    `NO_TEXT` becomes a sign that there was one."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", value) if is_text else value


ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("kmerl.report"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=plain,
    undefined=jinja2.StrictUndefined,
)
ENVIRONMENT.globals["shapes"] = SHAPES


def rendered(template: str, **values: Any) -> Markup:
    """A template of kmerl/report/templates with its values; all text in them is escaped."""
    return Markup(ENVIRONMENT.get_template(template).render(values))
