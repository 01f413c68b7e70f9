"""Filters of the page in a real browser, by its address."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.report.mixed_dataset import mixed_dataset
from tests.report.test_render import Outline, page_of

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
INSTALL = (("update",), ("install", "--yes", "--no-install-recommends", "chromium"))


def find_browser() -> str | None:
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> str:
    """Path of a browser, which is installed from Debian's packages where there is none."""
    if (found := find_browser()) is not None:
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip(f"needs a browser: none of {', '.join(BROWSERS)} is installed")
    for words in INSTALL:
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "--quiet", *words], env=env, check=True, capture_output=True)
    installed = find_browser()
    assert installed is not None
    return installed


def shown(browser: str, page: Path, fragment: str, profile: Path) -> tuple[str, set[str]]:
    """Return the page's own count, and the titles of the cards that can be seen."""
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", f"--user-data-dir={profile}", "--dump-dom",
         f"{page.as_uri()}#{fragment}"],
        capture_output=True, text=True, check=True, timeout=400,
    )  # fmt: skip
    outline = Outline(done.stdout)
    cards = [attrs for tag, attrs in outline.tags if tag == "article"]
    count = next(text for text in outline.texts if text.endswith("masklets shown"))
    (form,) = [attrs for tag, attrs in outline.tags if tag == "form"]
    assert "hidden" not in form
    return count, {str(card["id"]) for card in cards if "hidden" not in card}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fragment", "count", "num_cards"),
    [
        ("", "13 of 13 videos, 10 of 10 masklets shown", 13),
        ("verdict=reject", "2 of 13 videos, 2 of 10 masklets shown", 2),
        ("verdict=review&reason=box_jump", "7 of 13 videos, 7 of 10 masklets shown", 7),
        ("label=cup", "1 of 13 videos, 1 of 10 masklets shown", 1),
        ("status=failed", "2 of 13 videos, 0 of 10 masklets shown", 2),
        ("column=prompt_iou&bound=above&value=0.65", "3 of 13 videos, 3 of 10 masklets shown", 3),
        ("column=prompt_iou&value=0.15", "2 of 13 videos, 2 of 10 masklets shown", 2),
        ("videos", "13 of 13 videos, 10 of 10 masklets shown", 13),
    ],
)
def test_an_address_filters(
    browser: str, tmp_path: Path, fragment: str, count: str, num_cards: int
) -> None:
    page = tmp_path / "report.html"
    page.write_text(page_of(mixed_dataset(tmp_path)), "utf-8")
    found, cards = shown(browser, page, fragment, tmp_path / "profile")
    assert found == count
    assert len(cards) == num_cards
