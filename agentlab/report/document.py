"""The frame of every page: one file with its styles and scripts inside, which its policy keeps from the network."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template

from agentlab.report.markup import Html, asset, join


def document(
    *, title: str, header: Html, main: Html, styles: Sequence[str] = (), scripts: Sequence[str] = ()
) -> tuple[Html, Html]:
    """A page in two parts, between which its data goes, however much that is.

    `styles` are assets that come after the common one, `scripts` are assets that run once all data is there.
    """
    from agentlab import __version__

    content = {
        "title": join(title),
        "generator": join(f"agentlab {__version__}"),
        "style": "\n".join(map(asset, ("page.css", *styles))),
        "header": header,
        "main": main,
        "script": "\n".join(map(asset, scripts)),
    }
    before, after = asset("page.html").split("$data\n")
    return Html(Template(before).substitute(content)), Html(Template(after).substitute(content))
