"""Renders pages from jinja2 templates, in which everything is escaped, and formats their values."""

import base64
import math
import re
from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup, escape


def render(
    context: Mapping[str, Any],
    template: str = "report.html.j2",
    *,
    package: str = "jensen.reports",
) -> bytes:
    """Renders a page as UTF-8; characters that UTF-8 cannot hold become '?'.

    Args:
        context: the template's variables.
        template: in the folder `templates` of `package`. It may include those of this package.
        package: the package that holds the template.
    """
    packages = dict.fromkeys((package, "jensen.reports"))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name, "templates") for name in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "nats": nats,
        "percent": percent,
        "data_uri": data_uri,
        "lead": lead,
        "options": options,
    }
    return environment.get_template(template).render(**context).encode("utf-8", "replace")


def nats(value: float, digits: int = 3, *, sign: bool = False) -> Markup:
    """A number as <data>: rounded for the reader, at full precision in its attribute."""
    if math.isnan(value):
        return Markup("n/a")
    if math.isinf(value):
        return Markup("\N{INFINITY}" if value > 0 else "\N{MINUS SIGN}\N{INFINITY}")
    text = f"{value:{'+' if sign else ''}.{digits}f}" if abs(value) < 1e7 else f"{value:.5g}"
    text = text.replace("-", "\N{MINUS SIGN}")
    return Markup('<data value="{}">{}</data>').format(repr(float(value)), text)


def percent(share: float) -> str:
    """A share as a percentage."""
    return f"{share:.1%}"


def data_uri(content: bytes) -> str:
    """PNG, JPEG or SVG bytes as an address that needs no network."""
    media = {b"\x89PNG": "image/png", b"\xff\xd8\xff\xe0": "image/jpeg"}.get(
        content[:4], "image/svg+xml"
    )
    return f"data:{media};base64,{base64.b64encode(content).decode()}"


def lead(text: str) -> Markup:
    """A verdict with its first word, up to the colon, in bold."""
    first, colon, rest = text.partition(": ")
    if not colon or len(first) > 40:
        return options(text)
    return Markup("<strong>{}:</strong> {}").format(first, options(rest))


def options(text: str) -> Markup:
    """A text in which --options with their value are code, so that no line breaks inside one."""
    return Markup(re.sub(r"--[a-z][a-z-]*(?: [\w.=]+)?", r"<code>\g<0></code>", str(escape(text))))


def configuration_groups(config: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Returns a nested configuration as [(section, [(dotted key, value)])].

    Values outside any section come first, under an empty name.
    """
    loose = [(str(k), _text(v)) for k, v in config.items() if not isinstance(v, Mapping)]
    groups = [("", loose)] if loose else []
    return groups + [(str(k), list(_flat(v))) for k, v in config.items() if isinstance(v, Mapping)]


def _flat(section: Mapping[str, Any], prefix: str = ""):
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(_text(v) for v in value) or "(none)"
    if value is None or value in ("", {}):
        return "(none)"
    return str(value)
