"""Content -> Markdown and HTML. What is not a message of ours is quoted; the page fetches nothing and runs nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator

from markupsafe import escape

from toolkit.init import template
from toolkit.messages import tell
from toolkit.outcomes import text
from toolkit.render.markdown import code, md
from toolkit.suite.papers.content import (
    Block,
    Cell,
    Items,
    Lines,
    Name,
    Para,
    Picture,
    Runbook,
    Said,
    Section,
    Step,
    Table,
)

Teller = Callable[[Said], str]


def teller(language: str) -> Teller:
    """Says messages in a language."""

    def t(message: Said) -> str:
        return tell(message, language)

    return t


# ----------------------------------------------------------------------------------------------- Markdown


def markdown(title: Said, sections: tuple[Section, ...], books: tuple[Runbook, ...], t: Teller) -> bytes:  # fmt: skip
    """`binder.md`; the runbooks are files of their own that it leads to."""
    lines = [f"# {_md(title, t)}", ""]
    for section in sections:
        lines += [f"## {_md(section.title, t)}", ""]
        for block in section.blocks:
            lines += [*_md_block(block, t), ""]
    lines += [f"## {_md(text('Runbooks'), t)}", ""]
    lines += [f"- [{_md(book.title, t)}](runbooks/{book.id}.md){t(text(':'))} {_md(book.when, t)}" for book in books]  # fmt: skip
    return ("\n".join(lines).rstrip() + "\n").encode()


def runbook_markdown(book: Runbook, t: Teller) -> bytes:
    """One runbook as a page."""
    lines = [f"# {_md(book.title, t)}", "", _md(book.when, t), ""]
    if book.steps:
        lines += [_md(_MEASURED, t), ""]
    for block in book.before:
        lines += [*_md_block(block, t), ""]
    for number, step in enumerate(book.steps, start=1):
        lines += [*_md_step(number, step, t)]
    for block in book.after:
        lines += [*_md_block(block, t), ""]
    return ("\n".join(lines).rstrip() + "\n").encode()


_MEASURED = text("Work through it in order; tick what is done and write the time beside it. Minutes are our judgement until you measured them.")  # fmt: skip


def _about(step: Step, t: Teller) -> str:
    who = t(text(step.role))
    return f"{who}, {t(text('{n} min', n=step.minutes))}" + (f", {t(text('by hand'))}" if step.person and not step.command else "")  # fmt: skip


def _md_step(number: int, step: Step, t: Teller) -> Iterator[str]:
    yield f"## {number}. {_md(step.title, t)}"
    yield ""
    yield f"*{md(_about(step, t))}*"
    yield ""
    if step.why:
        yield _md(step.why, t)
        yield ""
    if step.command:
        yield from ("```sh", step.command, "```", "")
    if step.check:
        yield f"{_md(text('Check'), t)}{t(text(':'))}"
        yield from ("", "```sh", step.check, "```", "")
    if step.expected:
        yield f"- [ ] {_md(text('Expected'), t)}{t(text(':'))} {_md(step.expected, t)}"
    if step.undo:
        yield f"- {_md(text('Way back'), t)}{t(text(':'))} {_md(step.undo, t)}"
    yield ""


def _md(cell: Cell, t: Teller) -> str:
    if isinstance(cell, Name):
        return code(cell.text) if cell.code else md(cell.text)
    if isinstance(cell, (int, float)):
        return t(text("{n}", n=cell))
    return "".join(code(part) if number % 2 else _kept(part) for number, part in enumerate(t(cell).split("`")))  # fmt: skip


def _kept(part: str) -> str:
    """One line of Markdown, with the blanks at its ends: a span of code stands beside it."""
    held = md(part)
    return (" " if part[:1] == " " else "") + held + (" " if part[-1:] == " " and part.strip() else "")  # fmt: skip


def _md_block(block: Block, t: Teller) -> Iterator[str]:
    match block:
        case Para(says=says, mark=mark):
            yield f"> **{_md(says, t)}**" if mark else _md(says, t)
        case Items(cells=cells):
            yield from (f"- {_md(cell, t)}" for cell in cells)
        case Table(heads=heads, rows=rows):
            yield f"| {' | '.join(_md(head, t) for head in heads)} |"
            yield f"|{'---|' * len(heads)}"
            yield from (f"| {' | '.join(_md(cell, t) for cell in row)} |" for row in rows)
        case Lines(text=held):
            yield from ("```", *held.splitlines(), "```")
        case Picture(file=file, says=says):
            yield f"![{_md(says, t)}]({file})"


# --------------------------------------------------------------------------------------------------- HTML


def html(title: Said, sections: tuple[Section, ...], books: tuple[Runbook, ...], language: str, version: str, t: Teller) -> bytes:  # fmt: skip
    """`binder.html`: one file, with the runbooks in it, without script."""
    style = template("suite/papers.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    contents = [(section.id, section.title) for section in sections]
    contents.append(("runbooks", text("Runbooks")))
    links = "".join(f'<li><a href="#{id_}">{_html(says, t)}</a></li>' for id_, says in contents)
    parts = [
        f'<section id="{section.id}" aria-labelledby="h-{section.id}"><h2 id="h-{section.id}">{_html(section.title, t)}</h2>{"".join(_html_block(block, t) for block in section.blocks)}</section>'
        for section in sections
    ]
    listed = "".join(f'<li><a href="#{book.id}">{_html(book.title, t)}</a> <span class="soft">{_html(book.when, t)}</span></li>' for book in books)  # fmt: skip
    parts.append(f'<section id="runbooks" aria-labelledby="h-runbooks"><h2 id="h-runbooks">{_html(text("Runbooks"), t)}</h2><p>{_html(_MEASURED, t)}</p><ul class="plain">{listed}</ul></section>')  # fmt: skip
    parts += [_html_book(book, t) for book in books]
    page = f"""<!doctype html>
<html lang="{escape(language)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'">
<title>{_html(title, t)}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#main">{_html(text("Skip to the binder"), t)}</a>
<header><p class="over">{_html(text("Handover binder"), t)}</p><h1>{_html(title, t)}</h1></header>
<nav aria-label="{_html(text("Sections"), t)}"><ul>{links}</ul></nav>
<main id="main" tabindex="-1">
{"".join(parts)}
</main>
<footer><p>{_html(text("Made by repatria {version} from files in this folder; the same files make the same page.", version=version), t)}</p>
<p class="sign">{_html(text("Handed over by"), t)} <span></span> {_html(text("to"), t)} <span></span> {_html(text("on"), t)} <span></span></p></footer>
</body>
</html>
"""
    return page.encode()


def _html_book(book: Runbook, t: Teller) -> str:
    steps = "".join(_html_step(number, step, t) for number, step in enumerate(book.steps, start=1))
    return (
        f'<section id="{book.id}" class="book" aria-labelledby="h-{book.id}"><h2 id="h-{book.id}">{_html(book.title, t)}</h2><p>{_html(book.when, t)}</p>'
        f'{"".join(_html_block(block, t) for block in book.before)}<ol class="steps">{steps}</ol>{"".join(_html_block(block, t) for block in book.after)}</section>'
    )  # fmt: skip


def _html_step(number: int, step: Step, t: Teller) -> str:
    colon = escape(t(text(":")))
    parts = [f'<li><h3><span class="no">{number}</span> {_html(step.title, t)}</h3><p class="soft about">{escape(_about(step, t))}</p>']  # fmt: skip
    if step.why:
        parts.append(f"<p>{_html(step.why, t)}</p>")
    if step.command:
        parts.append(f'<pre tabindex="0"><code>{escape(step.command)}</code></pre>')
    if step.check:
        parts.append(f'<p class="soft">{_html(text("Check"), t)}{colon}</p><pre tabindex="0"><code>{escape(step.check)}</code></pre>')  # fmt: skip
    if step.expected:
        parts.append(f'<p class="expected"><span class="tick" aria-hidden="true"></span><strong>{_html(text("Expected"), t)}{colon}</strong> {_html(step.expected, t)}</p>')  # fmt: skip
    if step.undo:
        parts.append(f'<p class="soft"><strong>{_html(text("Way back"), t)}{colon}</strong> {_html(step.undo, t)}</p>')  # fmt: skip
    return "".join(parts) + "</li>"


def _html(cell: Cell, t: Teller) -> str:
    if isinstance(cell, Name):
        return f"<code>{escape(cell.text)}</code>" if cell.code else str(escape(cell.text))
    if isinstance(cell, (int, float)):
        return t(text("{n}", n=cell))
    return "".join(f"<code>{escape(part)}</code>" if number % 2 else str(escape(part)) for number, part in enumerate(t(cell).split("`")))  # fmt: skip


def _html_block(block: Block, t: Teller) -> str:
    match block:
        case Para(says=says, mark=mark):
            return f"<p{' class=mark' if mark else ''}>{_html(says, t)}</p>"
        case Items(cells=cells):
            return f"<ul>{''.join(f'<li>{_html(cell, t)}</li>' for cell in cells)}</ul>"
        case Table():
            return _html_table(block, t)
        case Lines(text=held):
            return f'<pre tabindex="0"><code>{escape(held)}</code></pre>'
        case Picture(svg=svg, says=says):
            return f'<div class="wide" role="region" tabindex="0" aria-label="{_html(says, t)}">{svg}</div>'  # fmt: skip


def _html_table(table: Table, t: Teller) -> str:
    caption = _html(table.caption, t)
    heads = "".join(
        f'<th scope="col"{" class=unit" if head == "vCPU" else ""}>{_html(head, t)}</th>'
        for head in table.heads
    )

    def cell(held: Cell, number: int, head: str) -> str:
        tag = 'th scope="row"' if number == 0 else "td"
        return f'<{tag} data-head="{head}"{" class=num" if isinstance(held, (int, float)) else ""}>{_html(held, t)}</{tag.split(maxsplit=1)[0]}>'  # fmt: skip

    names = [escape(t(head)) for head in table.heads]
    rows = "".join(
        f"<tr>{''.join(cell(held, number, str(names[number])) for number, held in enumerate(row))}</tr>"
        for row in table.rows
    )
    return f'<div class="wide" role="region" tabindex="0" aria-label="{caption}"><table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
