"""The pages against the code: tables that are counted, names that exist, links that lead somewhere."""

import pathlib
import re

import pytest

from benchmarks import latent_space, presets
from lsps_tf import losses
from scripts import prose
from training.arguments import build_parser

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = prose.pages()
METHOD = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")


def test_the_table_of_presets_is_the_built_networks():
    """After a change of presets: python benchmarks/presets.py --write."""
    shown = METHOD.split(presets.BEGIN)[1].split(presets.END)[0].strip()
    assert shown == presets.presets_table().strip()


def test_the_equations_functions_exist():
    equations = METHOD.split("## Equations")[1].split("### ")[0]
    functions = set(re.findall(r"`(\w+_loss)`", equations))
    assert functions == {name for name in vars(losses) if name.endswith("_loss")}


def test_options_on_the_page_of_the_method_are_options():
    known = {"--write", *_options(build_parser()), *_options(latent_space.build_parser())}
    used = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", METHOD.replace("-->", "").replace("<!--", "")))
    assert used and used <= known


def _options(parser):
    return {option for action in parser._actions for option in action.option_strings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"^ {4}.*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for target, heading in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", text):
        if "://" not in target:
            path = page.parent / target if target else page
            assert path.exists(), target
            assert not heading or heading in _headings(path), f"{target}#{heading}"


def _headings(page):
    """What a page's headings are called in links, as GitHub makes it of them."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w -]", "", line.lstrip("#").strip().lower()).replace(" ", "-") for line in lines}


def test_the_page_of_deployment_names_files_and_options_that_exist():
    from export.device import command as edge
    from export.serving import command as serving

    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    for file in re.findall(r"(?<![\w/.])((?:export|benchmarks|tests|docs)/[\w/-]+\.(?:py|png|yaml|config))", text):
        assert (ROOT / file).exists(), file
    known = {option for action in edge._build_parser()._actions for option in action.option_strings}
    live = text.split("## An edge device")[1]
    assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", live)) <= known
    served = {option for option, *_ in serving._NUMBERS} | {"--label"}
    table = text.split("| Option | Default |")[1].split("\n\n")[0]
    assert set(re.findall(r"`(--[a-z-]+)", table)) <= served
