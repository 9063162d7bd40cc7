"""The documentation site: `make docs` builds reports/docs/index.html from these pages, without a network."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.special import TextLexer

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT / "src"))

from carelane import __version__  # noqa: E402

project = "carelane"
author = "the carelane authors"
copyright = "2026, the carelane authors. Apache-2.0"
version = release = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
suppress_warnings = ["misc.highlighting_failure"]  # examples with dots in them are still examples
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]
html_theme = "alabaster"
html_theme_options = {
    "description": "The control plane of a dedicated health network",
    "fixed_sidebar": True,
    "page_width": "72rem",
    "font_family": "system-ui, sans-serif",
}
html_show_sourcelink = False
html_copy_source = False

# These pages are the repository's own files, which are read there as well. Their links are relative to the file; links
# that lead to none of the site's pages become the plain name of what they lead to.
_PAGES = {
    "README.md": "start",
    "mininet/README.md": "lab",
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
    "docs/reference": "reference/commands",
    "docs/runbooks": "runbooks/README",
    "docs/adr": "adr/0001-os-ken",
}
_FILES = {page: file for file, page in _PAGES.items() if file.endswith(".md")}
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\[\]]+)\]\((?P<target>[^)#\s:]+)(?P<anchor>#[^)\s]*)?\)")


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    file = ROOT / _FILES[docname] if docname in _FILES else DOCS / f"{docname}.md"
    text = file.read_text(encoding="utf-8") if docname in _FILES else source[0]
    app.env.note_dependency(str(file))
    text = text.replace("](docs/images/", "](images/")
    source[0] = _LINK.sub(lambda match: _relinked(match, docname, file.parent), text)


def _relinked(match: re.Match[str], docname: str, folder: Path) -> str:
    target = Path(os.path.normpath(folder / match["target"]))
    name = target.relative_to(ROOT).as_posix() if target.is_relative_to(ROOT) else ""
    if name in _PAGES:
        page = DOCS / f"{_PAGES[name]}.md"
    elif target.is_relative_to(DOCS) and target.suffix == ".md":
        page = target
    elif target.exists():
        return f"{match['text']} (`{name}`)" if match["text"].strip("`") != name else match["text"]
    else:
        return match.group()  # leads nowhere: Sphinx says so, and the build fails
    return f"[{match['text']}]({os.path.relpath(page, (DOCS / docname).parent)}{match['anchor'] or ''})"


def setup(app: Sphinx) -> None:
    app.connect("source-read", _read)
    app.add_lexer("mermaid", TextLexer)  # shown as text: drawing it would need a script from elsewhere
