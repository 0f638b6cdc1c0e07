"""Renders every pages/*.txt to a small HTML page: the first line is the title, blank lines separate paragraphs."""

import html
import pathlib
import sys

source, target = (pathlib.Path(argument) for argument in sys.argv[1:3])
target.mkdir(parents=True, exist_ok=True)

for page in sorted(source.glob("*.txt")):
    title, _, body = page.read_text(encoding="utf-8").partition("\n")
    paragraphs = "".join(f"<p>{html.escape(text.strip())}</p>\n" for text in body.split("\n\n") if text.strip())
    out = target / f"{page.stem}.html"
    out.write_text(
        f"<!doctype html>\n<title>{html.escape(title)}</title>\n<h1>{html.escape(title)}</h1>\n{paragraphs}",
        encoding="utf-8",
    )
    print(f"{page} -> {out}")
