"""The replay page in a real browser: it loads alone, moves, obeys, and nothing in it can be broken by what it shows."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.core.small_worlds import WALKER as SMALL
from worldloom.core.keys import run_key
from worldloom.core.rollout import Batch
from worldloom.runtime.replay import relive
from worldloom.runtime.replay_page import GAP, page, quantised
from worldloom.worlds.creatures import WORLD

FLAGS = [
    f"--{flag}"
    for flag in (
        "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync",
    )
]  # fmt: skip
CHROMIUM = shutil.which("chromium")


def until(tab, condition):
    """Wait for a condition; the page's own policy forbids the browser to compile one that is sent as text."""
    for _ in range(200):
        if tab.evaluate(condition):
            return
        tab.wait_for_timeout(50)
    raise AssertionError(f"{condition} did not come true in 10 s")


def walker(steps=2400, **settings):
    params = WORLD.filled(None, settings)
    genes = WORLD.genome(params, WORLD.sized()).sampled(run_key(1), 1)
    genomes = dict(zip(genes._fields, genes, strict=True))
    batch = Batch(world="creatures", version=1, settings=settings, keys=np.zeros(1, np.uint64), steps=steps, genomes=genomes)
    return relive(WORLD, batch, title="creatures 0-0", facts={"run": "test", "seed": 1})


@pytest.fixture(scope="module")
def life():
    return walker()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, tmp_path):
    """visit(text) -> a tab that shows the page; at the end it must have had no error and no request beyond its own file."""
    tabs, faults = [], []

    def go(text, **options):
        file = tmp_path / "page.html"
        file.write_text(text, encoding="utf-8")
        tab = browser.new_page(viewport={"width": 800, "height": 700}, **options)
        tab.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("request", lambda request: None if request.url == file.as_uri() else faults.append(request.url))
        tab.goto(file.as_uri())
        until(tab, "window.replay && window.replay.ready")
        tabs.append(tab)
        return tab

    yield go
    for tab in tabs:
        tab.close()
    assert faults == []


def test_a_walk_of_ten_seconds_fits_into_250_kilobytes(life):
    assert len(page(life)) < 250_000


def test_the_page_moves_by_itself(visit, life):
    tab = visit(page(life))
    first = tab.locator("#stage").screenshot()
    until(tab, "window.replay.frame > 15")
    assert tab.evaluate("window.replay.playing")
    assert tab.locator("#stage").screenshot() != first
    assert float(tab.locator("#figures b").first.text_content().rstrip("s")) > 0


def test_the_player_obeys_buttons_and_keys(visit, life):
    tab = visit(page(life), reduced_motion="reduce")
    assert not tab.evaluate("window.replay.playing")
    tab.evaluate("window.replay.seek(100)")
    assert tab.evaluate("window.replay.frame") == 100
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("window.replay.frame") == 101
    tab.keyboard.press("Shift+ArrowLeft")
    assert tab.evaluate("window.replay.frame") < 80
    tab.keyboard.press("End")
    assert tab.evaluate("window.replay.frame") == len(life.t) - 1
    tab.keyboard.press("Home")
    assert tab.evaluate("window.replay.frame") == 0
    tab.keyboard.press(" ")
    until(tab, "window.replay.playing && window.replay.frame > 2")
    tab.locator("#play").click()
    assert not tab.evaluate("window.replay.playing")
    tab.locator("#theme").click()
    assert tab.evaluate("document.documentElement.dataset.theme") in ("light", "dark")
    tab.locator("#charts summary").click()
    assert tab.locator(".chart").count() >= 5


def test_the_picture_follows_the_mouse(visit, life):
    tab = visit(page(life), reduced_motion="reduce")
    before = tab.locator("#stage").screenshot()
    box = tab.locator("#stage").bounding_box()
    tab.mouse.move(box["x"] + 200, box["y"] + 200)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 320, box["y"] + 240)
    tab.mouse.up()
    turned = tab.locator("#stage").screenshot()
    tab.mouse.wheel(0, 400)
    tab.wait_for_timeout(50)
    zoomed = tab.locator("#stage").screenshot()
    assert len({before, turned, zoomed}) == 3


def test_every_control_has_a_name(visit, life):
    tab = visit(page(life), reduced_motion="reduce")
    for control in tab.locator("button, input, select, canvas").all():
        named = "e => (e.getAttribute('aria-label') || e.closest('label')?.textContent || e.textContent).trim()"
        assert control.evaluate(named)


def test_a_hostile_title_is_inert(visit, life):
    nasty = "</script><script>window.broken=1</script><!--\"'&lt;{{js}}"
    tab = visit(page(replace(life, title=nasty, facts={nasty: nasty}, notes=(nasty,), same=False)))
    assert tab.evaluate("window.broken") is None
    assert tab.locator("#title").text_content() == nasty


def test_numbers_that_are_not_finite_leave_gaps(visit, life):
    broken = life.states._replace(position=life.states.position.copy(), effort=life.states.effort.copy())
    broken.position[40:] = np.nan
    broken.position[45, :, 0] = np.inf
    broken.effort[10:20] = np.inf
    tab = visit(page(replace(life, states=broken)), reduced_motion="reduce")
    tab.evaluate("window.replay.seek(50)")
    assert "–" in tab.locator("#figures").text_content()
    tab.locator("#charts summary").click()


@pytest.mark.parametrize("steps", [1, 2])
def test_a_life_of_few_moments_is_shown(visit, steps):
    visit(page(walker(steps=steps)), reduced_motion="reduce").keyboard.press("End")


def test_a_world_without_shapes_is_shown_as_curves(visit):
    arrays = {name: np.zeros((1, *field.shape), field.dtype) for name, field in SMALL.inputs._field_defaults.items()}
    batch = Batch(world=SMALL.name, version=SMALL.version, keys=np.zeros(1, np.uint64), steps=50, inputs=arrays)
    tab = visit(page(relive(SMALL, batch)), reduced_motion="reduce")
    assert tab.locator("#stage").count() == 0
    assert tab.locator(".chart").count() >= 1
    tab.evaluate("window.replay.seek(20)")


def test_quantised_steps_keep_their_order_and_mark_gaps():
    values = np.array([-1e9, -3.4, 0, 2.5, 1e9, np.nan, np.inf])
    assert quantised(values).tolist() == [-32767, -3, 0, 2, 32767, GAP, GAP]
