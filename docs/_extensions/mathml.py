"""Formulas as MathML, which browsers draw themselves: a page needs no script from elsewhere."""

import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def _inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(_spaced(tex2mathml(node.astext())))
    raise nodes.SkipNode


def _block(self: HTML5Translator, node: nodes.math_block) -> None:
    formula = _spaced(tex2mathml(node.astext(), as_block=True))
    # Without room above and below, furo shows a scroll bar beside a formula with a fraction.
    self.body.append(f'<div class="math" style="padding: 0.6em 0">{formula}</div>')
    raise nodes.SkipNode


def _spaced(formula: str) -> str:
    """A formula with room between a function such as log and what stands behind it without (."""
    applied = r'(<mo>&ApplyFunction;</mo>)(?!\s*<mo stretchy="false">\()'
    return re.sub(applied, r'\1<mspace width="0.17em"></mspace>', formula)


def setup(app: Sphinx) -> dict[str, bool]:
    """The renderer `mathml`; a formula that it does not know ends the build."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
