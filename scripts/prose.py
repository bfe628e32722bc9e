"""Measures how hard the documents are to read: length of sentences, semicolons, numbers and lines, against limits.

    python scripts/prose.py                      # every page of the project
    python scripts/prose.py docs/data.md --longest 5

Only running text counts. Headings, tables, code, formulas, pictures and comments are left out. Code within a sentence,
and an address, count as one word. The exit status is 1 where a page misses a limit, and 2 where a page cannot be read.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import pathlib
import re
import statistics
import sys
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
MEDIAN_WORDS = 16
NINTH_DECILE_WORDS = 28
SEMICOLONS = 6
LINES = {"README.md": 90, "docs/results.md": 120}

_FENCE = re.compile(r"\s*(```|~~~)")
_NO_TEXT = re.compile(r"( {4}|\t|\s*(#|\||<|!\[))")
_ITEM = re.compile(r"\s*([-*+]|\d+\.)\s+")
# In this order: what stands in code is no link. Each keeps the line breaks of what it replaces.
_INLINE = (
    (re.compile(r"`[^`]*`"), "CODE"),
    (re.compile(r"\$[^$]+\$"), "FORMULA"),
    (re.compile(r"\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"https?://\S+"), "URL"),
)
# A sentence ends where the next one starts with a capital, or with what sets off a word. "al." and the like end none.
_END = re.compile(r"(?<!\bal)(?<!\be\.g)(?<!\bi\.e)(?<!\bcf)(?<!\bvs)[.!?][\"')*]*\s+(?=[A-Z\"'*(])")
_WORD = re.compile(r"\S*\w\S*")
_NUMBER = re.compile(r"(?<![\w.])\d[\d.,]*")


@dataclasses.dataclass(frozen=True)
class Sentence:
    """A sentence, the line that it starts in (from 1) and its words."""

    line: int
    text: str
    words: int


@dataclasses.dataclass(frozen=True)
class Measures:
    """What one page measures.

    Attributes:
        median: of the words per sentence.
        ninth_decile: words per sentence that nine of ten sentences do not exceed.
        semicolons: per 1,000 words.
        numbers: per 100 words.
        lines: of the file, those without text too.
        longest: all sentences, longest first.
    """

    median: float
    ninth_decile: int
    semicolons: float
    numbers: float
    lines: int
    longest: tuple[Sentence, ...]


def measure(text: str) -> Measures:
    """The measures of one page of Markdown; all are 0 where it has no sentence."""
    found = sorted(sentences(text), key=lambda sentence: -sentence.words)
    lengths = sorted(sentence.words for sentence in found)
    words = max(1, sum(lengths))
    prose = " ".join(sentence.text for sentence in found)
    return Measures(
        median=statistics.median(lengths) if lengths else 0.0,
        ninth_decile=lengths[math.ceil(0.9 * len(lengths)) - 1] if lengths else 0,
        semicolons=1000.0 * prose.count(";") / words,
        numbers=100.0 * len(_NUMBER.findall(prose)) / words,
        lines=len(text.splitlines()),
        longest=tuple(found),
    )


def missed(measures: Measures, most_lines: float = math.inf) -> list[str]:
    """Which limits a page misses, in words."""
    limits = (
        (measures.median, MEDIAN_WORDS, "words per sentence in the median"),
        (measures.ninth_decile, NINTH_DECILE_WORDS, "words per sentence at the 90th percentile"),
        (measures.semicolons, SEMICOLONS, "semicolons per 1,000 words"),
        (measures.lines, most_lines, "lines"),
    )
    return [f"{value:.3g} {what}, at most {most:g}" for value, most, what in limits if value > most]


def sentences(text: str) -> Iterator[Sentence]:
    """The sentences of a page of Markdown. What has fewer than three words, such as a label, is none."""
    for line, paragraph in _paragraphs(text):
        for pattern, by in _INLINE:
            paragraph = pattern.sub(lambda match, by=by: match.expand(by) + "\n" * _lost(match, by), paragraph)
        start = 0
        for end in [*(match.end() for match in _END.finditer(paragraph)), len(paragraph)]:
            words = len(_WORD.findall(paragraph[start:end]))
            if words >= 3:
                yield Sentence(line + paragraph[:start].count("\n"), " ".join(paragraph[start:end].split()), words)
            start = end


def _lost(match: re.Match, by: str) -> int:
    return match.group().count("\n") - match.expand(by).count("\n")


def _paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """The paragraphs and items of lists, each with its first line's number."""
    fenced, first, lines = False, 0, []
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        fence = bool(_FENCE.match(line))
        fenced ^= fence
        item = _ITEM.match(line)
        left_out = fenced or fence or not line.strip() or bool(_NO_TEXT.match(line))
        if lines and (left_out or item):
            yield first, "\n".join(lines)
            lines = []
        if not left_out:
            first = first if lines else number
            lines.append(line[item.end() :] if item else line)


def pages() -> list[pathlib.Path]:
    """Every page that people read."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "lsps_tf/trained/README.md"]


def most_lines(page: pathlib.Path) -> float:
    """How many lines a page may have."""
    return next((most for name, most in LINES.items() if page.resolve() == ROOT / name), math.inf)


def _shown(page: pathlib.Path) -> pathlib.Path:
    return page.relative_to(ROOT) if page.is_relative_to(ROOT) else page


def main(arguments: list[str] | None = None) -> int:
    """Prints a line per page; returns 1 where one misses a limit."""
    parser = argparse.ArgumentParser(description="Measure how hard the documents are to read.")
    parser.add_argument("pages", nargs="*", type=pathlib.Path, help="Markdown files (default: all of the project)")
    parser.add_argument("--longest", type=int, default=3, metavar="N", help="sentences that are shown of a page")
    options = parser.parse_args(arguments)
    bad = False
    for page in options.pages or pages():
        try:
            measures = measure(page.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            parser.error(f"{page}: no page that can be read ({error}); name a Markdown file in UTF-8")
        too_much = missed(measures, most_lines(page))
        bad |= bool(too_much)
        print(
            f"{_shown(page)}: words per sentence {measures.median:g} (median), {measures.ninth_decile} (90 %); "
            f"{measures.semicolons:.1f} semicolons per 1,000 words; {measures.numbers:.1f} numbers per 100 words; "
            f"{measures.lines} lines"
        )
        for reason in too_much:
            print(f"  over: {reason}")
        if too_much or options.pages:
            for sentence in measures.longest[: options.longest]:
                print(f"  line {sentence.line}, {sentence.words} words: {sentence.text[:100]}")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
