"""What serves the explorer's page, as an ASGI application: files, headers, the model's description, and the rest."""

import asyncio
import hashlib
import json
import pathlib
import re

import pytest

from export.explorer.pages import HOW_TO_EXPORT, PAGE, Explored, Explorer, first_to_explore

FOLDER = PAGE.parent


async def server(scope, receive, send):
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b"the server's"})


def ask(application, path, method="GET"):
    """Status, headers and body."""
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(application({"type": "http", "method": method, "path": path}, None, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"]


@pytest.fixture
def folder(tmp_path):
    """A version's folder of a model that generates."""
    assets = tmp_path / "lsps" / "3" / "assets"
    assets.mkdir(parents=True)
    info = {"joint_names": ["a", "b"], "bones": [[0, 1]], "cube_mm": 250.0, "image_size": 64, "units": {}}
    (assets / "lsps.json").write_text(json.dumps(info))
    (assets / "codes.json").write_text(json.dumps({"mean": [0.5]}))
    return assets.parent


@pytest.fixture
def explorer(folder):
    return Explorer(server, lambda: Explored("lsps", 3, folder))


def test_the_page_and_its_files(explorer):
    status, headers, body = ask(explorer, "/explore/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert body == (PAGE / "index.html").read_bytes() and headers["content-length"] == str(len(body))
    assert "default-src 'self'" in headers["content-security-policy"]
    for path in PAGE.rglob("*"):
        if path.is_file():
            status, headers, body = ask(explorer, f"/explore/{path.relative_to(PAGE).as_posix()}")
            assert (status, body) == (200, path.read_bytes())
    assert ask(explorer, "/explore/main.js")[1]["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("path", ["/explore/none.js", "/explore/../pages.py", "/explore//etc/passwd"])
def test_there_are_no_other_files(explorer, path):
    assert ask(explorer, path)[0] == 404


def test_the_root_leads_to_the_page(explorer):
    for path in ("/", "/explore"):
        status, headers, _ = ask(explorer, path)
        assert (status, headers["location"]) == (302, "/explore/")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/models/lsps"), ("POST", "/v1/models/lsps:predict"), ("POST", "/explore/"), ("GET", "/explorer")],
)
def test_everything_else_is_the_servers(explorer, method, path):
    assert ask(explorer, path, method) == (418, {}, b"the server's")


def test_what_the_page_knows_of_the_model(explorer):
    status, _, body = ask(explorer, "/explore/model.json")
    values = json.loads(body)
    assert status == 200 and values["codes"] == {"mean": [0.5]}
    assert (values["name"], values["version"], values["bones"], values["cube_mm"]) == ("lsps", 3, [[0, 1]], 250.0)
    assert values["cameras"]["sr305"] == {
        "intrinsics": [476.007, 476.007, 313.683, 242.755],
        "width": 640,
        "height": 480,
        "depth_unit_mm": 0.125,
    }


def test_a_model_that_cannot_generate_says_how_to_export_one(explorer, folder):
    (folder / "assets" / "codes.json").unlink()
    status, _, body = ask(explorer, "/explore/model.json")
    assert status == 404 and HOW_TO_EXPORT in json.loads(body)["error"]
    assert ask(Explorer(server, lambda: None), "/explore/model.json")[0] == 503


def test_of_several_models_the_first_that_generates(folder, tmp_path):
    class Version:
        def __init__(self, number, path):
            self.number, self.path = number, path

    class Model:
        def __init__(self, name, newest):
            self.name, self.newest = name, newest

    plain = Model("plain", Version(1, tmp_path / "plain" / "1"))
    assert first_to_explore([plain, Model("lsps", Version(3, folder))]) == Explored("lsps", 3, folder)
    assert first_to_explore([Model("gone", None), plain]).name == "plain"
    assert first_to_explore([]) is None


def test_the_page_is_small_and_asks_nobody_else():
    files = [path for path in PAGE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2_000_000
    for path in files:
        if path.suffix in (".html", ".js", ".css") and "vendor" not in path.parts:
            addresses = set(re.findall(r"https?://[^\s\"']+", path.read_text(encoding="utf-8")))
            assert not addresses, path
    # What a page loads is there.
    for name in re.findall(r"(?:src|href)=\"([^#\"]+)\"", (PAGE / "index.html").read_text(encoding="utf-8")):
        assert (PAGE / name).is_file(), name
    for path in PAGE.glob("*.js"):
        for name in re.findall(r"from \"\./([^\"]+)\"", path.read_text(encoding="utf-8")):
            assert (PAGE / name).is_file(), (path, name)


def test_the_library_is_the_one_that_the_lock_pins():
    lock = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))
    asked = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))["dependencies"]["three"]
    assert lock["packages"]["node_modules/three"]["version"] == asked
    revision = asked.split(".")[1]
    assert f'"{revision}"' in (PAGE / "vendor" / "three.module.min.js").read_text(encoding="utf-8")[:400]
    installed = FOLDER / "node_modules" / "three" / "build" / "three.module.min.js"
    if installed.is_file():
        shipped = PAGE / "vendor" / "three.module.min.js"
        assert digest(shipped) == digest(installed)


def digest(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
