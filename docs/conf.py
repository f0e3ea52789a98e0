"""How Sphinx builds these pages; `scripts/docs` runs it."""

import sys
from pathlib import Path

from raylt._version import __version__

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "raylt"
author = "The raylt authors"
copyright = "the raylt authors, Apache-2.0"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "figures",
    "mathml",
    "reference",
]
exclude_patterns = ["_build", "README.md"]
html_theme = "furo"
html_title = f"raylt {version}"
html_static_path = ["_static"]
html_css_files = ["raylt.css"]
html_copy_source = False
html_show_sphinx = False

# What is linked must be there: a heading, a file, a name of raylt.
nitpicky = True
nitpick_ignore_regex = [
    # Names of other packages: their documentation is elsewhere, and a build has no network.
    ("py:.*", r"(?!raylt\.).*"),
    # Types in signatures that a user never makes by hand, and so have no entry.
    ("py:class", r"raylt\.(space|study)\..*"),
]
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist", "attrs_inline"]
myst_heading_anchors = 3

# Two dashes of an option stay two, and quotes can be copied to a shell.
smartquotes = False
# Docstrings are plain text with `names` between single ticks.
default_role = "code"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
html_math_renderer = "mathml"
# Notebooks are kept with their outputs.
nb_execution_mode = "off"
