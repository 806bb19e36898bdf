"""The report: one HTML page on one or more runs that needs nothing but itself.

No request ever leaves the page, and it works without JavaScript. Charts are inline SVG without a
view box, in percent of their place, so that text keeps its size from a phone to a wide screen; the
lines inside stretch. Every chart comes with a title, a description and a table.

``sections`` says what is shown of what ``material.py`` has gathered; ``page.py`` puts it together
and writes it. Below them are ``lines.py``, ``histograms.py``, ``bars.py`` and ``heatmap.py`` (one
kind of chart each), on ``frame.py`` (axes around a plot), ``axes.py`` (numbers to places),
``thinning.py`` (many points to few), ``symbols.py`` (colours, dashes, markers) and ``markup.py``
(text to HTML).
"""

from erasurehead_cli.report.page import write_report

__all__ = ["write_report"]
