"""The measures of the documents, against a page that was counted by hand."""

import pytest

from scripts import prose

PAGE = """# A heading of many words; it does not count

One two three four. Five `code with; a semicolon`
six 7 mm; eight.

    indented code; is left out. All of it is.

| a table; is | left out |
| --- | --- |

- An item has four.
- See [the page
  of data](docs/data.md) now, as Wan et al. Did in 2017.

```
fenced code; is left out.
```
"""


def test_measures_are_those_counted_by_hand():
    measures = prose.measure(PAGE)
    assert [(sentence.line, sentence.words) for sentence in measures.longest] == [(12, 13), (3, 6), (3, 4), (11, 4)]
    assert measures.median == 5
    assert measures.ninth_decile == 13
    assert measures.semicolons == pytest.approx(1000 / 27)
    assert measures.numbers == pytest.approx(200 / 27)
    assert measures.lines == 17


def test_a_sentence_is_found_in_its_line():
    text = "A first one, with [a link\nthat breaks](x.md) in it. The second\none starts in line two.\n"
    assert [sentence.line for sentence in prose.sentences(text)] == [1, 2]


def test_limits_that_are_missed_are_named():
    long = " ".join(["word"] * 29) + ".\n"
    assert prose.missed(prose.measure("Four words are fine.\n")) == []
    assert len(prose.missed(prose.measure(long))) == 2
    assert prose.missed(prose.measure("A line of text.\n" * 3), most_lines=2) == ["3 lines, at most 2"]
    assert "semicolons" in prose.missed(prose.measure("One thing; another thing.\n"))[0]


def test_a_page_without_sentences_measures_nothing():
    assert prose.measure("# Heading\n").median == 0


def test_a_missing_page_is_one_line_and_status_two(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        prose.main([str(tmp_path / "none.md")])
    assert end.value.code == 2
    assert "none.md" in capsys.readouterr().err


def test_the_status_says_whether_a_limit_is_missed(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("Four words are fine.\n", encoding="utf-8")
    assert prose.main([str(page)]) == 0
    page.write_text(" ".join(["word"] * 29) + ".\n", encoding="utf-8")
    assert prose.main([str(page)]) == 1
    assert "line 1, 29 words" in capsys.readouterr().out


@pytest.mark.parametrize("page", prose.pages(), ids=lambda page: str(page.relative_to(prose.ROOT)))
def test_every_page_keeps_the_limits(page):
    assert prose.missed(prose.measure(page.read_text(encoding="utf-8")), prose.most_lines(page)) == []
