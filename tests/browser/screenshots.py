"""`make screenshots`: the pictures of README and docs, taken of `changes demo`, so that they stay true.

`make screenshots ALL=folder` takes every page, light and dark, wide and on a phone, and puts them
side by side on sheets, for whoever judges the design.
"""

import argparse
import shutil
import sys
from pathlib import Path

from bench import system
from bench.system import System
from playwright.sync_api import Browser, BrowserContext, FloatRect, Page, ViewportSize, sync_playwright
from tests.browser import addresses
from tests.browser.conftest import FLAGS, PHONE, WIDE
from tests.browser.troubled import add_troubles

from changes.base.db import Database

PICTURES = Path(__file__).parents[2] / "docs/pictures"
DEMO = [sys.executable, "-m", "changes.app.cli", "demo"]
# File, page, theme, screen.
SHOWN = [
    ("home.png", "/", "light", WIDE),
    ("project.png", "/projects/{slug}/", "light", WIDE),
    ("build.png", "/projects/{red_slug}/builds/{red_number}/", "light", WIDE),
    ("build-dark.png", "/projects/{red_slug}/builds/{red_number}/", "dark", WIDE),
    ("build-phone.png", "/projects/{red_slug}/builds/{red_number}/", "light", PHONE),
]
SHEET = """
<!doctype html><title>{address}</title>
<style>
body {{ margin: 0; padding: 24px; background: #777; font: 24px sans-serif; color: #fff; width: max-content }}
div {{ display: flex; gap: 24px; align-items: flex-start }}
</style>
<p>{address}</p><div>{pictures}</div>
"""
TALLEST = 2400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, help="folder for sheets of every page")
    asked = parser.parse_args()
    with system.temporary_folder() as folder, system.started(DEMO, folder / "home") as up:
        link = printed_link(up)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            camera = Camera(browser, up, link)
            if asked.all:
                camera.take_all(asked.all)
            else:
                camera.take_shown()
            browser.close()


def printed_link(up: System) -> str:
    output = up.home.parent / "output"
    system.wait_until(lambda: "/auth/link/" in output.read_text(), within_s=300)
    line = next(line for line in output.read_text().splitlines() if "/auth/link/" in line)
    return line.rpartition(" ")[2]


class Camera:
    """Signed in once; every picture has a context of its own with the same cookies."""

    def __init__(self, browser: Browser, up: System, link: str) -> None:
        self.browser = browser
        self.url = up.url
        first = browser.new_context()
        page = first.new_page()
        page.goto(link)
        page.locator("main").get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{up.url}/")
        self.cookies = first.cookies()
        self.database = Database(up.database.replace("postgresql://", "postgresql+psycopg://"))
        with self.database.transaction() as session:
            self.known = addresses.examples(session)

    def take_shown(self) -> None:
        PICTURES.mkdir(exist_ok=True)
        for name, address, theme, screen in SHOWN:
            page = self.opened(address.format(**self.known), theme, screen)
            page.screenshot(path=PICTURES / name)
            page.context.close()

    def take_all(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with self.database.transaction() as session:
            # The demo has no troubles of its own, and they have pages too.
            add_troubles(session)
            session.flush()
            found = addresses.addresses(session)
        for number, address in enumerate(found):
            names = []
            for screen in (WIDE, PHONE):
                for theme in ("light", "dark"):
                    names.append(f"{number:02}-{theme}-{screen['width']}.png")
                    page = self.opened(address, theme, screen)
                    height = min(int(page.evaluate("document.documentElement.scrollHeight")), TALLEST)
                    clip = FloatRect(x=0, y=0, width=screen["width"], height=height)
                    page.screenshot(path=folder / names[-1], full_page=True, clip=clip)
                    page.context.close()
            self.put_side_by_side(folder, f"{number:02}", address, names)

    def put_side_by_side(self, folder: Path, number: str, address: str, names: list[str]) -> None:
        sheet = folder / f"{number}.html"
        pictures = "".join(f'<img src="{name}">' for name in names)
        sheet.write_text(SHEET.format(address=address, pictures=pictures))
        page = self.browser.new_page(viewport={"width": 3900, "height": 1000}, device_scale_factor=0.5)
        page.goto(sheet.as_uri())
        page.screenshot(path=folder / f"sheet-{number}.png", full_page=True)
        page.close()

    def opened(self, address: str, theme: str, screen: ViewportSize) -> Page:
        context: BrowserContext = self.browser.new_context(viewport=screen, color_scheme=theme)  # type: ignore[arg-type]
        context.add_cookies(self.cookies)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(self.url + address)
        page.wait_for_selector("html[data-scripted]", state="attached")
        return page


if __name__ == "__main__":
    main()
