"""A headless Chromium that a test drives through the DevTools protocol."""

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
import urllib.request

import pytest
import websocket

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
    "--window-size=2300,1100",
)
_PATIENCE = 60
COVERED = """(() => {
  // What stands on the page as text, and what is found at its middle.
  const texts = 'h1, h2, h3, p, figcaption, .numbers div, td, th, pre';
  return [...document.querySelectorAll(texts)].filter(e => {
    const scroll = e.closest('.wide, .scroll, pre');
    e.scrollIntoView({block: 'center'});
    const b = e.getBoundingClientRect();
    const x = b.x + Math.min(b.width, 40) / 2, y = b.y + b.height / 2;
    if (!b.width || x > innerWidth || y < 0 || y > innerHeight) return !scroll && b.width > 0;
    const top = document.elementFromPoint(x, y);
    return !top || !(e.contains(top) || top.contains(e));
  }).map(e => e.tagName + ' ' + e.textContent.slice(0, 40));
})()"""
CONTRAST = """(() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const texts = 'h1, h2, p, figcaption, td, th, pre, code, b, span';
  const page = [...document.querySelectorAll(texts)]
    .filter(e => !e.closest('svg') && e.textContent.trim())
    .map(e => ratio(light(parse(getComputedStyle(e).color)), light(ground(e))));
  const paper = light(parse(getComputedStyle(document.body).backgroundColor));
  const charts = [...document.querySelectorAll('svg.main-svg text')].filter(e => e.textContent)
    .map(e => ratio(light(parse(getComputedStyle(e).fill)), paper));
  return [Math.min(...page), Math.min(...charts)];
})()"""


class Page:
    """One tab: what it asks for, what it complains of, what is on it."""

    def __init__(self, socket):
        self._socket = socket
        self._numbers = itertools.count(1)
        self.errors, self.requests = [], []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer["method"], answer["params"])

    def _note(self, event, params):
        if event == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"])[:500])
        elif event == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.errors.append(json.dumps(params["args"])[:500])
        elif event == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(json.dumps(params["entry"])[:500])
        elif event == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def open(self, url):
        self.call("Page.navigate", url=url)

    def value(self, expression):
        """The value of a JavaScript expression on the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, expression, seconds=_PATIENCE):
        """Wait until an expression is true; returns its value."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if result := self.value(expression):
                return result
            time.sleep(0.3)
        text = self.value("document.body && document.body.innerText") or ""
        raise AssertionError(
            f"never true: {expression}; errors {self.errors}; page: {text[:2000]}"
        )

    def text(self):
        return self.value("document.body.innerText")

    def press(self, expression):
        """Click the middle of the element that an expression gives."""
        box = self.wait(
            f"(() => {{ const e = {expression}; if (!e) return null; e.scrollIntoView({{block: "
            "'center'}); const b = e.getBoundingClientRect(); "
            "return b.width ? [b.x + b.width / 2, b.y + b.height / 2] : null; })()"
        )
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=box[0],
                y=box[1],
                button="none" if kind == "mouseMoved" else "left",
                clickCount=1,
            )

    def press_until(self, expression, outcome):
        """Click the element that an expression gives, again while it leads nowhere."""
        for last in (False, False, True):
            self.press(expression)
            try:
                self.wait(outcome, seconds=_PATIENCE if last else 15)
            except AssertionError:
                if last:
                    raise
            else:
                return

    def screenshot(self, path, whole=False):
        result = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(result["data"]))


def show(page, report, *, width, dark=False):
    """Open a report on a screen of a width, by day or by night."""
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=900,
        deviceScaleFactor=1,
        mobile=width < 600,
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page.call("Emulation.setEmulatedMedia", features=[scheme])
    page.open(report.as_uri())
    drawn = (
        "[...document.querySelectorAll('[id^=chart-]')].every(e => e.querySelector('.main-svg'))"
    )
    page.wait(f"document.readyState === 'complete' && {drawn}")


@contextlib.contextmanager
def page(profile):
    """A tab of a browser of its own, for the time of a `with`; `profile` is a fresh folder."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with subprocess.Popen(
        [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as browser:
        try:
            port = _port(profile, browser)
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}/json/list", timeout=30
            ) as answer:
                tab = next(item for item in json.load(answer) if item["type"] == "page")
            socket = websocket.create_connection(tab["webSocketDebuggerUrl"], timeout=_PATIENCE)
            with contextlib.closing(socket):
                yield Page(socket)
        finally:
            browser.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                browser.wait(timeout=10)
            browser.kill()


def _port(profile, browser):
    file = profile / "DevToolsActivePort"
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        assert browser.poll() is None, "the browser ended"
        with contextlib.suppress(FileNotFoundError, IndexError):
            return int(file.read_text().splitlines()[0])
        time.sleep(0.1)
    raise AssertionError("the browser never opened its port")
