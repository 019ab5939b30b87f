"""A real browser, and a page of a server opened in it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tools import browser as browser_of_the_system

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserType, Page

    from servers import Server

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESK = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 780}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
LOW_CONTRAST = """() => {
  const context = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (colours) => {  // painted one upon the other, as the browser does
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255);
  };
  const light = (colour) => colour.map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!text || !element.checkVisibility({opacityProperty: true}) || element.disabled) continue;
    if (element.matches('.none, .unseen, .invitation')) continue;
    const behind = [];
    for (let at = element; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
    const [a, b] = [light(rgb(behind)), light(rgb([...behind, getComputedStyle(element).color]))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) found.push([element.tagName, element.className, element.textContent, contrast]);
  }
  return found;
}"""
"""What gives the elements whose text does not stand out from what is behind it (WCAG 2.2 AA)."""


@contextmanager
def launched(browsers: BrowserType, **names: str) -> Iterator[Browser]:
    """A browser; where names are given, they lead elsewhere, and it leaves it to servers to refuse other pages."""
    rules = ",".join(f"MAP {name} {place}" for name, place in names.items())
    # These take the place of Playwright's own list of features: only where they are needed.
    more = [f"--host-resolver-rules={rules}", "--disable-features=LocalNetworkAccessChecks"] if names else []
    browser = browsers.launch(executable_path=browser_of_the_system(), args=[*QUIET, *more])
    yield browser
    browser.close()


@contextmanager
def opened(browser: Browser, server: Server, expected: str = "", **how: Any) -> Iterator[Page]:
    """The page in a window of its own; nothing may go wrong in its console, and nothing be asked of another host.

    Args:
        browser: who opens it.
        server: whose page it is.
        expected: what the console may say after all.
        how: the window.
    """
    context = browser.new_context(**(how or DESK))
    context.add_init_script("addEventListener('securitypolicyviolation', (e) => console.error(`CSP: ${e.blockedURI}`))")
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: wrong.append(asked.url) if not asked.url.startswith(own) else None)
    own = (server.url, "data:")
    page.goto(server.url)
    page.get_by_text("gate passed").wait_for()
    yield page
    context.close()
    assert [each for each in wrong if not expected or expected not in each] == []


def announced(page: Page, words: str) -> None:
    """Wait until the page says so to whoever listens."""
    page.locator("#announcement").filter(has_text=re.compile(words)).wait_for(state="attached", timeout=10_000)


def dropped(page: Page, name: str, kind: str, data: bytes, event: str = "drop") -> None:
    """Drop a file on the page, or paste it."""
    page.evaluate(
        """([name, kind, numbers, event]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(numbers)], name, {type: kind}));
          const how = {bubbles: true, cancelable: true};
          document.body.dispatchEvent(event === 'paste'
            ? new ClipboardEvent('paste', {...how, clipboardData: transfer})
            : new DragEvent('drop', {...how, dataTransfer: transfer}));
        }""",
        [name, kind, list(data), event],
    )
