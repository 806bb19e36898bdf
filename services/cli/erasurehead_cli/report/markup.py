"""Text to HTML: escaping, tables, disclosures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape


def table(columns: Mapping[str, Sequence[str]], caption: str, *, names: int = 1) -> str:
    """Return a table that scrolls sideways in its own box.

    Parameters
    ----------
    columns: heading -> cells as plain text; all of one length.
    caption: what it shows, read out and shown above it.
    names: so many first columns are the rows' names, aligned left.
    """
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in columns)
    rows = []
    for row in zip(*columns.values(), strict=True):
        cells = [f'<th scope="row">{escape(cell)}</th>' for cell in row[:names]]
        cells += [f"<td>{escape(cell)}</td>" for cell in row[names:]]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    body = "\n".join(rows)
    label = escape(caption)
    # A box that scrolls must be reachable by keyboard, and then it needs a name.
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
        f"<caption>{label}</caption><thead><tr>{head}</tr></thead>\n"
        f"<tbody>{body}</tbody></table></div>"
    )


def disclosure(summary: str, content: str) -> str:
    """Return content that is shown on request."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def paragraphs(sentences: Sequence[str], kind: str = "") -> str:
    """Return each sentence as a paragraph of class `kind`."""
    attribute = f' class="{kind}"' if kind else ""
    return "".join(f"<p{attribute}>{escape(sentence)}</p>" for sentence in sentences)


def section(ident: str, heading: str, content: str) -> str:
    """Return a part of the page with a heading."""
    return (
        f'<section aria-labelledby="{ident}"><h2 id="{ident}">{escape(heading)}</h2>'
        f"\n{content}</section>\n"
    )


def figure(ident: str, caption: str, content: str, *, note: str = "", wide: bool = False) -> str:
    """Return a chart with its caption above it."""
    said = f"<small>{escape(note)}</small>" if note else ""
    kind = ' class="wide"' if wide else ""
    return (
        f'<figure id="{ident}"{kind}><figcaption>{escape(caption)}{said}</figcaption>'
        f"{content}</figure>\n"
    )
