"""Headless Chromium, driven through a pipe by its DevTools protocol: no further package is needed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
LONGEST_S = 240
FLAGS = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]


def find_browser():
    """The path of an installed browser, None where there is none."""
    return next((path for path in map(shutil.which, PROGRAMS) if path), None)


class Browser:
    """A page in a browser of its own.

    Attributes:
        errors: what the page's console and its scripts complained about.
        requested: the addresses that the page asked for.
        pid: the browser's first process.
    """

    def __init__(self, program, profile, width=1280, height=1000):
        their_in, our_out = os.pipe()
        our_in, their_out = os.pipe()

        def place_pipes():
            # Chromium reads from 3 and writes to 4.
            for number, end in ((13, their_in), (14, their_out)):
                os.dup2(end, number)
            os.dup2(13, 3)
            os.dup2(14, 4)

        arguments = [program, *FLAGS, f"--window-size={width},{height}", f"--user-data-dir={profile}", "about:blank"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(arguments, preexec_fn=place_pipes, close_fds=False, **quiet)
        self.pid = self._process.pid
        os.close(their_in)
        os.close(their_out)
        self._out, self._in = os.fdopen(our_out, "wb"), os.fdopen(our_in, "rb")
        self._number, self._left, self._session = 0, b"", None
        self.errors, self.requested = [], []
        self._attach()

    def _attach(self):
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.send("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Runtime", "Page", "Network", "Log", "DOM"):
            self.send(f"{domain}.enable")

    def send(self, method, **parameters):
        """A command's result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self._note(answer)

    def _read(self):
        while b"\0" not in self._left:
            part = os.read(self._in.fileno(), 1 << 16)
            if not part:
                raise RuntimeError("the browser ended")
            self._left += part
        message, _, self._left = self._left.partition(b"\0")
        return json.loads(message)

    def _note(self, event):
        values = event.get("params", {})
        if event["method"] == "Network.requestWillBeSent":
            self.requested.append(values["request"]["url"])
        elif event["method"] == "Runtime.exceptionThrown":
            details = values["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif event["method"] == "Runtime.consoleAPICalled" and values["type"] in ("error", "assert"):
            self.errors.append(str(values["args"]))
        elif event["method"] == "Log.entryAdded" and values["entry"]["level"] == "error":
            self.errors.append(values["entry"]["text"])

    def open(self, address):
        """Goes to an address, and waits until the page has drawn a hand or says something."""
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=address)
        self.wait("document.body?.dataset.drawn || (document.getElementById('message')?.hidden === false)")

    def run(self, script):
        """The value of an expression in the page; a promise is waited for."""
        result = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"].get("exception", {}).get("description", script))
        return result["result"].get("value")

    def wait(self, condition):
        """Waits until an expression is true."""
        end = time.monotonic() + LONGEST_S
        while not self.run(f"Boolean({condition})"):
            if time.monotonic() > end:
                raise TimeoutError(f"{condition}; the page's errors: {self.errors}")
            time.sleep(0.1)

    def click(self, name):
        self.run(f"document.getElementById('{name}').click()")

    def change(self, name, value):
        """Sets a control as a user would."""
        self.run(
            f"(() => {{ const control = document.getElementById('{name}'); control.value = {json.dumps(value)};"
            "for (const kind of ['input', 'change']) control.dispatchEvent(new Event(kind, {bubbles: true})); })()"
        )

    def choose_files(self, name, *paths):
        """Gives files to an input."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=f"#{name}")["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def screenshot(self):
        """A PNG of the whole page, base64."""
        return self.send("Page.captureScreenshot", captureBeyondViewport=True)["data"]

    def close(self):
        with contextlib.suppress(RuntimeError, OSError):
            self.send("Browser.close")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._out.close()
        self._in.close()
