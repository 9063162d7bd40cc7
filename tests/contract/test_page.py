"""The page in a real Chromium over a real server: what a person sees and does, by mouse, by keyboard, by ear."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Playwright, Route, expect, sync_playwright

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "reports" / "screenshots"
AXE = ROOT / "tests" / "support" / "axe" / "axe.min.js"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SURGERY = "remote surgery dinghai/or-1 -> lincheng/console-1: 20 ms, 99.999%"
Server = Any
TABS = ("intents", "file", "whatif", "consultations", "network", "audit")
OPTIONAL = re.compile(r"/v1/(topology/check|what-if|audit|intents/others-surgery)")
"""Routes that the page does without where a server has none, or a key may not use them."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@dataclass
class Visit:
    """An open page and all that went wrong on it."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def go(self, tab: str) -> None:
        self.page.click(f"#tab-{tab}")
        expect(self.page.locator(f"#tab-{tab}")).to_have_attribute("aria-selected", "true")

    def map(self, script: str) -> Any:
        return self.page.evaluate(f"(() => {{ const cy = window.carelane.map.cy; return {script}; }})()")

    def shot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png")


Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def zhoushan(start_server: Callable[..., Server]) -> Server:
    return start_server("-t", "zhoushan")


@pytest.fixture
def visit(browser: Browser, zhoushan: Server) -> Iterator[Open]:
    """Opens the page; at the end of the test nothing may have gone wrong on it, and nobody else been asked anything."""
    visits: list[Visit] = []

    def open_page(server: Server = zhoushan, key: str | None = None, **context: Any) -> Visit:
        context = {"viewport": {"width": 1400, "height": 850}, "locale": "en-GB", **context}
        page = browser.new_context(**context).new_page()
        made = Visit(page, server.url)
        visits.append(made)
        page.on("pageerror", lambda error: made.faults.append(str(error)))
        page.on("console", lambda said: _heard(made, said))
        page.on("request", lambda request: made.hosts.add(urlsplit(request.url).netloc))
        page.on("response", lambda response: _answered(made, response))
        page.add_init_script(f"sessionStorage.setItem('carelane.key', {json.dumps(key or server.key)})")
        page.goto(server.url)
        page.wait_for_selector("html[data-ready]")
        return made

    yield open_page
    for made in visits:
        made.page.context.close()
        assert made.faults == []
        assert made.hosts <= {urlsplit(made.url).netloc, ""}


def _heard(visit: Visit, said: Any) -> None:
    if said.type in ("error", "warning") and "Failed to load resource" not in said.text:
        visit.faults.append(said.text)


def _answered(visit: Visit, response: Any) -> None:
    expected = (403, 404, 405) if OPTIONAL.search(urlsplit(response.url).path) else (422,)
    if response.status >= 400 and response.status not in expected:
        visit.faults.append(f"{response.status} {response.url}")


def client(server: Server) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers=server.headers, timeout=30)


def test_files_come_with_a_strict_policy_and_nothing_else_is_served(zhoushan: Server) -> None:
    with httpx.Client(base_url=zhoushan.url) as plain:
        index = plain.get("/")
        policy = dict(part.strip().split(" ", 1) for part in index.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert "<script>" not in index.text
        assert "style=" not in index.text
        for name in set(re.findall(r'(?:src|href)="(/[^"]+)"', index.text)):
            answer = plain.get(name)
            assert answer.status_code == 200, name
            assert answer.headers["x-content-type-options"] == "nosniff"
        again = plain.get(
            "/static/js/app.js", headers={"If-None-Match": plain.get("/static/js/app.js").headers["etag"]}
        )
        assert (again.status_code, again.content) == (304, b"")
        for name in (
            "/static/../rest/app.py",
            "/static/%2e%2e/rest/app.py",
            "/static/",
            "/static/none.js",
            "/static//etc/passwd",
        ):
            assert plain.get(name).status_code == 404, name


def test_the_map_shows_the_whole_network_in_its_sites(visit: Open) -> None:
    seen = visit()
    assert seen.map("cy.nodes('[^parent]').filter(n => !n.isParent()).length + cy.nodes(':child').length") == 216
    assert seen.map("cy.edges().length") == 216
    assert seen.map("cy.nodes('.site').length") == 8, "eight centres with their island stations"
    assert seen.map("cy.getElementById('putuo-s07').parent().id()") == "site:putuo"
    north, south = (seen.map(f"cy.getElementById('{name}').position('y')") for name in ("shengsi", "putuo"))
    assert north < south, "the map lies as the islands do"
    places = seen.map("cy.nodes().filter(n => !n.isParent()).map(n => [n.position('x'), n.position('y')])")
    assert len({(round(x / 5), round(y / 5)) for x, y in places}) == 216, "no two lie upon each other"
    expect(seen.page.locator("#state")).to_contain_text("216 switches, 216 links")
    seen.shot("map")


def test_a_line_is_decided_as_it_is_typed_and_an_offer_is_filed(visit: Open, zhoushan: Server) -> None:
    seen = visit()
    page = seen.page
    seen.go("file")
    page.locator("#line").press_sequentially("remote surgery dinghai/or-1 -> lincheng/console-1: 20 m", delay=1)
    expect(page.locator("#verdict")).to_contain_text("Not an intent yet")
    expect(page.locator("#file-it")).to_be_disabled()
    page.locator("#line").fill("remote surgery dinghai/or-1 -> lincheng/console-1: 0.01 ms, 99.999%")
    expect(page.locator("#verdict .badge")).to_have_text("refused")
    expect(page.locator("#verdict")).to_contain_text("delay: asked 0.01 ms")
    expect(page.locator("#remedies")).to_have_count(0)
    page.locator("#line").fill("remote consultation lincheng-s01/clinic -> lincheng/consult-1: 150 ms, 200 Mbps")
    expect(page.locator("#remedies")).to_contain_text("lincheng-s01/clinic with 200 Mbit/s instead of 100 Mbit/s")
    page.locator("#line").fill("remote surgery dinghai/or-1 -> lincheng/console-1: 0.01 ms, 99.999%")
    expect(page.locator("#verdict")).to_contain_text("delay: asked 0.01 ms")
    assert seen.map("cy.edges('.primary').length") == 0
    seen.shot("refused")
    page.click("#offer-0")
    expect(page.locator("#verdict .badge")).to_have_text("admitted")
    assert seen.map("cy.edges('.primary').map(e => e.id())") == ["link:dinghai--lincheng"]
    assert seen.map("cy.edges('.backup').length") >= 5
    with client(zhoushan) as rest:
        assert rest.get("/v1/intents").json()["intents"] == [], "a dry run files nothing"
    seen.shot("admitted")
    page.fill("#intent-name", "page-surgery")
    page.click("#file-it")
    page.click("#verdict a")
    expect(page.locator("#panel h2")).to_have_text("page-surgery")
    expect(page.locator("#panel .badge").first).to_have_text("Active", timeout=20_000)
    assert seen.map("cy.edges('.primary').map(e => e.id())") == ["link:dinghai--lincheng"]
    seen.shot("intent")
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#withdraw")
    expect(page.locator("#panel")).to_contain_text("Intents")
    with client(zhoushan) as rest:
        assert rest.get("/v1/intents/page-surgery").json()["summary"]["phase"] in ("Withdrawing", "Withdrawn")


def test_in_chinese_and_dark_as_the_browser_wishes(visit: Open) -> None:
    seen = visit(locale="zh-CN", color_scheme="dark")
    page = seen.page
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 24, 28)"
    seen.go("file")
    page.fill("#line", "远程手术 dinghai/or-1 → lincheng/console-1：20 毫秒，99.999%")
    expect(page.locator("#verdict .badge")).to_have_text("已接纳")
    seen.shot("chinese-dark")
    page.click("#language")
    expect(page.locator("#tab-file")).to_have_text("File an intent")
    expect(page.locator("#verdict .badge")).to_have_text("admitted")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(246, 248, 249)"
    page.reload()
    expect(page.locator("#tab-file")).to_have_text("File an intent")


def test_every_word_has_both_languages(visit: Open) -> None:
    words = visit().page.evaluate("import('/static/js/words.js').then(module => module.words)")
    assert len(words) > 100
    for name, pair in words.items():
        assert len(pair) == 2, name
        assert all(pair), name
        places = [sorted(re.findall(r"\{\w+\}", text)) for text in pair]
        assert places[0] == places[1], name
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "api" / "static" / "js").glob("*.js"))
    used = set(re.findall(r"""\bt\("([^"]+)"\)""", sources)) | set(re.findall(r"""\bt\("([^"]+)",""", sources))
    assert used <= set(words)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_view(visit: Open, zhoushan: Server, scheme: str) -> None:
    with client(zhoushan) as rest:
        answer = rest.post("/v1/intents", json={"line": SURGERY, "name": "axe-surgery"})
        assert answer.json()["intents"][0]["admitted"]
    seen = visit(color_scheme=scheme)
    page = seen.page
    page.evaluate(AXE.read_text(encoding="utf-8"))
    views: list[Callable[[], object]] = [partial(seen.go, tab) for tab in TABS]
    views.append(lambda: page.goto(f"{seen.url}/#/intents/axe-surgery"))
    views.append(lambda: (seen.go("file"), page.fill("#line", SURGERY.replace("20 ms", "0.01 ms"))))
    views.append(lambda: page.click("#key"))
    for number, view in enumerate(views):
        view()
        page.wait_for_timeout(300)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        serious = [
            (fault["id"], fault["nodes"][0]["html"][:200], fault["nodes"][0]["failureSummary"])
            for fault in found["violations"]
            if fault["impact"] in ("serious", "critical", "moderate")
        ]
        assert serious == [], number
        assert len(found["passes"]) > 15, "axe looked at something"
    with client(zhoushan) as rest:
        rest.delete("/v1/intents/axe-surgery")


def test_without_a_key_nothing_is_shown_and_a_hospital_sees_its_own(
    browser: Browser, visit: Open, zhoushan: Server
) -> None:
    with client(zhoushan) as rest:
        assert rest.post("/v1/intents", json={"line": SURGERY, "name": "others-surgery"}).status_code == 200
        made = rest.post("/v1/keys", json={"label": "page", "role": "viewer", "tenant": "dinghai-hospital"}).json()
    page = browser.new_context(locale="en-GB").new_page()
    page.goto(zhoushan.url)
    dialog = page.locator("#key-dialog")
    expect(dialog).to_be_visible()
    assert page.evaluate("window.carelane") is None
    dialog.locator("#key-input").fill("carelane_aaaaaaaaaaaa_" + "A" * 43)
    dialog.locator("#key-use").click()
    expect(dialog).to_contain_text("did not accept it")
    dialog.locator("#key-input").fill(made["key"])
    dialog.locator("#key-use").click()
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate("[sessionStorage.length, localStorage.length]") == [1, 0]
    page.context.close()
    seen = visit(key=made["key"])
    expect(seen.page.locator("#panel")).to_contain_text("No intents yet")
    seen.page.goto(f"{seen.url}/#/intents/others-surgery")
    seen.go("network")
    expect(seen.page.locator("#panel")).to_contain_text("dinghai--lincheng")
    assert seen.map("cy.edges('.load1, .load2, .load3').length") == 0, "loads of others are not shown either"
    with client(zhoushan) as rest:
        rest.delete("/v1/intents/others-surgery")


def test_a_consultation_is_shown_as_it_is_shared(visit: Open, zhoushan: Server) -> None:
    line = "remote consultation putuo-s07/clinic, putuo-s08/clinic -> putuo/consult-1: 150 ms"
    with client(zhoushan) as rest:
        assert rest.post("/v1/intents", json={"line": line, "name": "rounds"}).json()["intents"][0]["admitted"]
    seen = visit()
    seen.go("consultations")
    card = seen.page.locator("#panel .card", has_text="rounds")
    expect(card.locator("tbody tr").first).to_contain_text("putuo-s07/clinic", timeout=15_000)
    expect(card.locator("canvas")).to_be_visible(timeout=15_000)
    expect(card.locator("[role=img]")).to_have_attribute(
        "aria-label", re.compile("now offered 0 Mbit/s, allowed [1-9]")
    )
    seen.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = seen.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [fault["id"] for fault in found["violations"] if fault["impact"] in ("serious", "critical")] == []
    seen.shot("consultation")
    seen.go("audit")
    expect(seen.page.locator("#panel tbody tr").first).to_contain_text("intent.file")
    expect(seen.page.locator("#panel tbody tr").first).to_contain_text("rounds")
    seen.page.goto(f"{seen.url}/#/intents/rounds")
    expect(seen.page.locator("#panel tbody tr").first).to_contain_text("no fresh measurement")
    with client(zhoushan) as rest:
        rest.delete("/v1/intents/rounds")


def test_everything_can_be_reached_by_keyboard(visit: Open) -> None:
    seen = visit()
    page = seen.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("#tab-intents")
    for name in (*TABS[1:], TABS[0]):
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.id") == f"tab-{name}"
    page.focus("#find")
    page.keyboard.type("dinghai--lincheng")
    page.keyboard.press("Enter")
    expect(page.locator("#chosen")).to_contain_text("Link dinghai--lincheng")
    assert seen.map("cy.edges(':selected').map(e => e.id())") == ["link:dinghai--lincheng"]
    page.focus("#tab-network")
    page.keyboard.press("Enter")
    expect(page.locator("#tab-network")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#panel button[id^=link-]").first).to_be_attached()
    page.focus("#tab-network")
    reached = set()
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert any(str(item).startswith("link-") for item in reached), reached


def test_drawing_again_leaves_the_keyboard_where_it_was(visit: Open) -> None:
    seen = visit()
    seen.go("network")
    for focused in ("#panel .scroll", "#panel button[id^=link-]"):
        seen.page.locator(focused).first.focus()
        before = seen.page.evaluate("document.activeElement.id")
        seen.page.evaluate("document.activeElement.dataset.old = 'yes'")
        expect(seen.page.locator("[data-old]")).to_have_count(0, timeout=15_000)
        assert seen.page.evaluate("document.activeElement.id") == before != ""


def test_a_link_that_fails_is_shown_and_told(visit: Open) -> None:
    """The server's own answer, with one port of it down."""
    seen = visit()

    def cut(route: Any) -> None:
        answer = route.fetch()
        document = answer.json()
        links = seen.page.evaluate("window.carelane.state.topology.links")
        link = next(link for link in links if link["id"] == "dinghai--lincheng")
        for switch in document["switches"]:
            if switch["node"] == link["a"]:
                switch["ports_up"][str(link["a_port"])] = False
        route.fulfill(response=answer, json=document)

    seen.page.route("**/v1/topology/check", cut)
    expect(seen.page.locator("#state")).to_contain_text("1 links down", timeout=15_000)
    assert seen.map("cy.edges('.down').map(e => e.id())") == ["link:dinghai--lincheng"]
    seen.go("network")
    expect(seen.page.locator("#panel tbody tr").first).to_contain_text("dinghai--lincheng")
    expect(seen.page.locator("#panel tbody tr").first).to_contain_text("down")
    seen.page.unroute_all(behavior="wait")


def test_what_if_takes_clicks_on_the_map(visit: Open) -> None:
    seen = visit()
    page = seen.page
    seen.go("whatif")
    at = seen.map("cy.getElementById('link:dinghai--lincheng').renderedMidpoint()")
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + at["x"], box["y"] + at["y"])
    expect(page.locator("#panel li")).to_contain_text("dinghai--lincheng")
    assert seen.map("cy.edges('.failed').length") == 1
    page.click("#compute")
    expect(page.locator("#what-happens .card, #what-happens table")).to_be_visible(timeout=15_000)
    page.click("#clear")
    assert seen.map("cy.edges('.failed').length") == 0


def test_more_intents_than_a_page_of_the_list_are_all_found(visit: Open) -> None:
    """Two pages, as the server cuts a list of 1,200; only so many are drawn, and the filter reaches every one."""

    def answer(route: Route) -> None:
        at = int(parse_qs(urlsplit(route.request.url).query).get("cursor", ["0"])[0])
        rows = [
            {"name": f"intent-{number:04}", "tenant": "t", "service": "pacs", "phase": "Active", "reason": "",
             "message": "", "generation": 1, "updated_at": "2026-11-26T07:00:00Z"}
            for number in range(at, min(at + 1000, 1200))
        ]  # fmt: skip
        route.fulfill(json={"intents": rows, "next_cursor": "1000" if at == 0 else None})

    seen = visit()
    seen.page.route(re.compile(r"/v1/intents\?"), answer)
    seen.page.reload()
    seen.page.wait_for_selector("html[data-ready]")
    seen.go("intents")
    expect(seen.page.locator("#more")).to_contain_text("900")
    assert seen.page.locator("#panel tbody tr").count() == 300
    seen.page.fill("#filter", "intent-1199")
    expect(seen.page.locator("#panel tbody tr")).to_have_count(1)
    expect(seen.page.locator("#more")).to_have_count(0)
    seen.page.unroute_all(behavior="wait")


HOSTILE = """<img src=x onerror="document.title='owned'">"""


def test_names_are_text_and_a_network_without_coordinates_is_laid_out(
    visit: Open, start_server: Callable[..., Server], topology_text: str
) -> None:
    text = topology_text.replace(
        "{id: city, kind: switch,", f"{{id: city, kind: switch, site: '{HOSTILE.replace(chr(39), chr(39) * 2)}',"
    )
    seen = visit(start_server(topology=text))
    places = seen.map("cy.nodes().filter(n => !n.isParent()).map(n => Object.values(n.position()))")
    assert len({(round(x), round(y)) for x, y in places}) == 3
    seen.page.fill("#find", "city")
    seen.page.press("#find", "Enter")
    expect(seen.page.locator("#chosen")).to_contain_text(HOSTILE)
    assert seen.page.locator("img[src=x]").count() == 0
    assert seen.page.title() == "carelane"
