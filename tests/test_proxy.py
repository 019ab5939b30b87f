"""The page behind a proxy: the nginx of the documentation in front, and requests as a browser sends them through it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from artifact_pipeline.errors import ConfigError
from artifact_pipeline.serving.http import Refusal, Request
from artifact_pipeline.serving.origins import Origins, host_name, public_url
from artifact_pipeline.serving.settings import Settings
from artifact_pipeline.training.publication import publish
from asking import DIGITS, ask
from drawing import draw_digit, encode
from proxies import NAME, PUBLIC, documented_block, proxying
from servers import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from artifact_pipeline.training.sealed import Candidate
    from servers import Server

PASS = "proxy_pass http://127.0.0.1:8080/;"
BLOCKS = {
    "its own host, as documented": (PASS, PASS),
    "the browser's host": (PASS, f"{PASS} proxy_set_header Host $http_host;"),
    "a service's name": (PASS, f"{PASS} proxy_set_header Host digits:8080;"),
    "the prefix left": (PASS, PASS.replace("/;", ";")),
    "HTTP/1.1 kept alive": (PASS, f'{PASS} proxy_http_version 1.1; proxy_set_header Connection "";'),
}
"""What stands in place of the documented line, by what the proxy does."""
BROWSER = {
    "Accept-Language": "en-US,en;q=0.9",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "User-Agent": "Mozilla/5.0",
}
OPENED = {**BROWSER, "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
FETCHED = {**BROWSER, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
POSTED = {**FETCHED, "Origin": f"https://{NAME}"}
ELSEWHERE = {**FETCHED, "Sec-Fetch-Site": "cross-site", "Origin": "https://attacker.example"}
"""What Chromium sends; a test with the slow mark has it send them itself."""


@pytest.fixture(scope="module")
def folder(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("proxied")
    publish(candidate, artifact=folder / "artifact", export=folder / "model_train.pkl")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(folder / "artifact", "--public-url", PUBLIC, "--feedback", folder / "drawn.jsonl") as server:
        yield server
        assert server.talk.read_text() == ""


def table(rows: int, *, width: int) -> bytes:
    lines = [",".join(f"{value:.{width}f}" for value in row) for row in DIGITS.X[:rows]]
    return "\n".join([",".join(DIGITS.names), *lines, ""]).encode()


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS)
def test_the_page_works_behind_nginx(block: str, server: Server, folder: Path, tmp_path: Path) -> None:
    """Behind nginx, under a prefix, the page, a drawing, a table of more than 1 MB and feedback are answered."""
    before = len((folder / "drawn.jsonl").read_text().splitlines())
    with proxying(documented_block().replace(*BLOCKS[block]), server, tmp_path) as proxy:
        status, headers, body = proxy.ask("GET", "/digits/", None, OPENED)
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b"Draw a digit" in body
        for path in ("page.css", "page.js", "drawing.js", "page/model"):
            status, headers, _ = proxy.ask("GET", f"/digits/{path}", None, FETCHED)
            assert (status, headers["artifact-digest"]) == (200, server.artifact)
        picture = encode(draw_digit(3, np.random.default_rng(3)))
        status, _, body = proxy.ask("POST", "/digits/page/picture", picture, POSTED)
        assert (status, json.loads(body)["label"]) == (200, 3)
        rows = table(1700, width=9)
        assert len(rows) > 1 << 20
        status, _, body = proxy.ask("POST", "/digits/page/table", rows, POSTED)
        assert (status, json.loads(body)["rows"]) == (200, 1700)
        lesson = json.dumps({"pixels": [0] * 63 + [16], "label": 3}).encode()
        assert proxy.ask("POST", "/digits/page/feedback", lesson, POSTED)[0] == 200
        asked = ask(DIGITS.X[:1]).body
        assert proxy.ask("POST", "/digits/v2/models/digits/infer", asked, {"Host": NAME})[0] == 200
        for path in ("page/picture", "page/table", "page/feedback", "v2/models/digits/infer"):
            assert proxy.ask("POST", f"/digits/{path}", picture, ELSEWHERE)[0] == 403
        assert proxy.ask("GET", "/digits/page/model", None, ELSEWHERE)[0] == 403
        status, headers, _ = proxy.ask("GET", "/digits", None, OPENED)
        assert status == 301
        assert headers["location"].endswith("/digits/")
    assert len((folder / "drawn.jsonl").read_text().splitlines()) == before + 1


def test_the_name_alone_is_enough(folder: Path, tmp_path: Path) -> None:
    """With --allow-host alone the page works behind the documented nginx, by the browser's word that it is ours."""
    picture = encode(draw_digit(3, np.random.default_rng(3)))
    with (
        serving(folder / "artifact", "--allow-host", NAME) as server,
        proxying(documented_block(), server, tmp_path) as proxy,
    ):
        assert proxy.ask("GET", "/digits/page/model", None, FETCHED)[0] == 200
        assert proxy.ask("POST", "/digits/page/picture", picture, POSTED)[0] == 200
        assert proxy.ask("POST", "/digits/page/picture", picture, {**POSTED, "Sec-Fetch-Site": "same-site"})[0] == 403
        assert proxy.ask("POST", "/digits/page/picture", picture, ELSEWHERE)[0] == 403


def test_a_refusal_names_the_option(folder: Path, tmp_path: Path) -> None:
    """Without an option the page loads behind nginx, and the refusal of its drawing says which option it needs."""
    with (
        serving(folder / "artifact") as server,
        proxying(documented_block(), server, tmp_path) as proxy,
    ):
        assert proxy.ask("GET", "/digits/", None, OPENED)[0] == 200
        status, _, body = proxy.ask("POST", "/digits/page/picture", b"", POSTED)
        assert status == 403
        assert f"not '{NAME}'; --public-url https://{NAME}/ makes it known" in json.loads(body)["error"]


# Whom the server lets through, without a proxy


OURS = f"https://{NAME}"


def outcome(settings: Settings, headers: Mapping[str, str]) -> str:
    """`in`, or how and why a request with these headers is refused."""
    told = {name.lower().encode(): value.encode() for name, value in headers.items()}
    try:
        Origins(settings).check(Request("POST", "/page/table", told))
    except Refusal as refusal:
        return f"{refusal.status}: {refusal.message}"
    return "in"


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "[::1]:8080", "digits", "digits:8080", NAME, f"{NAME}:443"])
def test_the_public_page_may_ask(host: str) -> None:
    """The page of --public-url is let through by each host that a proxy may say: a number, a service, or its own."""
    settings = Settings(public_url=public_url(PUBLIC))
    for marks in ({"Origin": OURS}, {"Origin": OURS, "Sec-Fetch-Site": "same-origin"}, FETCHED, OPENED):
        assert outcome(settings, {"Host": host, **marks}) == "in"


@pytest.mark.parametrize(
    "host", ["attacker.example", "digits.attacker.example:8080", "ml.example.attacker.example", ""]
)
def test_a_rebound_name_stays_out_behind_a_proxy(host: str) -> None:
    """With --public-url a name with a dot that was not given is refused as before, whatever the browser says."""
    settings = Settings(public_url=public_url(PUBLIC))
    own = {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    for marks in (own, {"Origin": OURS}, FETCHED, OPENED, BROWSER):
        assert "by a name that it knows" in outcome(settings, {"Host": host, **marks})


@pytest.mark.parametrize(
    ("origin", "site"),
    [
        ("https://attacker.example", "cross-site"),
        ("https://attacker.example", "same-origin"),
        ("https://other.ml.example", "same-site"),
        ("http://ml.example", "cross-site"),
        ("https://ml.example:8443", "same-site"),
        ("https://ml.example.attacker.example", "cross-site"),
        ("null", "cross-site"),
        ("null", "same-origin"),
        ("chrome-extension://ml.example", "same-origin"),
    ],
)
def test_another_page_stays_out_behind_a_proxy(origin: str, site: str) -> None:
    """With --public-url or --allow-host a page of another origin is refused, by whatever host the proxy says."""
    for settings in (Settings(public_url=public_url(PUBLIC)), Settings(allowed_hosts=(NAME,))):
        for host in ("127.0.0.1:8080", NAME, "digits:8080"):
            told = outcome(settings, {"Host": host, "Origin": origin, "Sec-Fetch-Site": site})
            assert told.startswith(("403: a page of another origin", "403: a page must call this server by a name"))


@pytest.mark.parametrize(
    ("text", "origin", "prefix", "url"),
    [
        ("https://ml.example/digits/", OURS, "/digits/", PUBLIC),
        ("https://ml.example/digits", OURS, "/digits/", PUBLIC),
        ("https://ml.example", OURS, "/", f"{OURS}/"),
        ("HTTPS://ML.example:443/a/b", OURS, "/a/b/", f"{OURS}/a/b/"),
        ("http://10.0.0.1:8000/%41%20", "http://10.0.0.1:8000", "/A /", "http://10.0.0.1:8000/A%20/"),
        ("http://[::1]:80/", "http://[::1]", "/", "http://[::1]/"),
        ("https://zähler.example/", "https://xn--zhler-gra.example", "/", "https://xn--zhler-gra.example/"),
    ],
)
def test_a_public_url_is_read(text: str, origin: str, prefix: str, url: str) -> None:
    """The origin of --public-url is what a browser makes of it, and its path is a prefix from slash to slash."""
    read = public_url(text)
    assert (read.origin, read.prefix, read.url) == (origin, prefix, url)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ml.example",
        "/digits/",
        "ftp://ml.example/",
        "https://",
        "https://ml.example/?x",
        "https://ml.example/#x",
        "https://me@ml.example/",
        "https://ml.example:99999/",
        "https://ml.example/a//b",
        "https://ml.example/../a",
        "https://ml.example/a/./",
        "https://ml.example/\r\nx: y",
        "https://ml..example/",
        "https://[::1/",
    ],
)
def test_what_is_no_public_url_is_refused(text: str) -> None:
    """A --public-url that no browser has in its address bar is refused, with one that can be typed."""
    with pytest.raises(ConfigError, match="--public-url") as caught:
        public_url(text)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("--public-url https://ml.example/digits/ ")


@pytest.mark.parametrize("text", ["", "https://ml.example", "ml.example:443", "*.example", "ml.example/digits", "a b"])
def test_what_is_no_name_is_refused(text: str) -> None:
    """An --allow-host that could never be the name in an address is refused, and not silently of no use."""
    with pytest.raises(ConfigError, match="--allow-host"):
        host_name(text)
    assert [host_name(name) for name in ("ML.example", "zähler.example", "::1")] == [
        "ml.example",
        "xn--zhler-gra.example",
        "::1",
    ]


def test_a_prefix_hides_no_path(folder: Path) -> None:
    """A prefix that is a path of the protocol's, too, leaves that path in its place; without its slash it leads on."""
    with serving(folder / "artifact", "--public-url", "https://ml.example/v2/") as server:
        told: dict[str, Any] = json.loads(server.ask("GET", "/v2")[2])
        assert told["name"] == "artifact-pipeline"
        assert server.ask("GET", "/v2/health/ready")[0] == server.ask("GET", "/v2/v2/health/ready")[0] == 200
        assert b"Draw a digit" in server.ask("GET", "/v2/")[2]
        assert server.ask("GET", "/v2/v2/v2")[0] == server.ask("GET", "/page/else")[0] == 404
        assert json.loads(server.ask("GET", "/openapi.json")[2])["servers"] == [{"url": "https://ml.example/v2/"}]


def test_the_folder_without_its_slash_leads_to_it(server: Server) -> None:
    """Where a proxy leaves the prefix, the page's address without its last slash leads to the page."""
    status, headers, _ = server.ask("GET", "/digits", None, {**OPENED, "Host": NAME})
    assert (status, headers["location"]) == (308, PUBLIC)
