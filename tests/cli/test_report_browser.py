"""The report in a real browser: what it draws at the width of a phone and of a desk."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from erasurehead_cli.report.page import POLICY, report_page
from tests.support.delayed_runs import write_delayed_run

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="SKIPPED report in a browser: no chromium on this machine"
)

WIDTHS = (390, 1280)
HEIGHT = 3000

# Run in a copy of the page without its policy, which forbids scripts.
PROBE = """<script>
const root = document.documentElement, wide = [];
for (const e of document.querySelectorAll('body *')) {
  const box = e.getBoundingClientRect();
  if (!e.closest('.scroll, svg, details') && box.right > root.clientWidth + 0.5)
    wide.push(e.tagName + '.' + e.getAttribute('class') + ' ' + Math.round(box.right));
}
const box = q => document.querySelector(q).getBoundingClientRect();
const told = {width: root.clientWidth, scroll: root.scrollWidth, wide,
  plot: box('#metric-time-plot-t').width, svg: box('figure .plot > svg').width,
  cells: [...document.images].map(i => i.complete && i.naturalWidth),
  line: box('#metric-time path.line').width, tick: box('.x-ticks span').height,
  columns: getComputedStyle(document.querySelector('.pair')).gridTemplateColumns.split(' ').length};
parent.postMessage(JSON.stringify(told), '*');
</script></body>"""

# The browser's own window is never narrower than 500 pixels; a frame may be.
AROUND = """<!DOCTYPE html><body><script>
addEventListener('message', e => document.body.dataset.told = e.data);
</script><iframe src="probed.html" width="{}" height="900" style="border: 0"></iframe></body>"""


def browse(page: Path, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the browser on a file, with a profile of its own and nothing of the network."""
    assert CHROMIUM is not None
    return subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--hide-scrollbars", "--virtual-time-budget=5000",
            "--enable-logging=stderr", f"--user-data-dir={directory / 'profile'}", *arguments,
            page.as_uri(),
        ],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("browsed")
    runs = [
        write_delayed_run(directory / str(n), scheme, 60)
        for n, scheme in enumerate(("uncoded", "egc:c=3", "agc:c=3,r=4"))
    ]
    path = directory / "report.html"
    path.write_text(report_page(runs), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_its_width(page: Path, tmp_path: Path, width: int) -> None:
    """Nothing but tables in their own boxes is wider than the screen, and all is drawn."""
    probed = tmp_path / "probed.html"
    text = page.read_text(encoding="utf-8")
    assert POLICY in text
    probed.write_text(
        re.sub(r"<meta http-equiv=[^>]*>", "", text).replace("</body>", PROBE), encoding="utf-8"
    )
    around = tmp_path / "around.html"
    around.write_text(AROUND.format(width), encoding="utf-8")
    done = browse(around, tmp_path, "--window-size=1400,1000", "--dump-dom")
    found = re.search(r'data-told="([^"]*)"', done.stdout)
    assert found
    told = json.loads(found[1].replace("&quot;", '"'))
    assert told["width"] == width
    assert told["wide"] == []
    assert told["scroll"] == width
    assert told["cells"] == [60, 60, 60]
    assert told["columns"] == (1 if width < 800 else 2)
    assert told["svg"] > 0.6 * width / told["columns"]
    assert told["line"] > 0.5 * told["svg"]
    assert 10 < told["tick"] < 20


def test_the_browser_shows_the_page_and_loads_nothing_else(page: Path, tmp_path: Path) -> None:
    done = browse(page, tmp_path, "--window-size=1280,2000", "--dump-dom")
    assert "as fast as uncoded" in done.stdout
    assert done.stdout.count("<figure") == 16
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert said == [], "the browser complained about the page"


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_every_run_is_seen_in_its_colour(
    page: Path, tmp_path: Path, width: int, dark: bool
) -> None:
    from matplotlib.image import imread

    picture = tmp_path / "page.png"
    scheme = 0 if dark else 1
    browse(
        page, tmp_path, f"--window-size={width},{HEIGHT}", f"--screenshot={picture}",
        f"--blink-settings=preferredColorScheme={scheme}",
    )  # fmt: skip
    pixels = np.round(imread(picture)[:, :, :3] * 255).astype(int)
    assert pixels.shape[:2] == (HEIGHT, width)
    blocks = re.findall(r":root \{(.*?)\}", page.read_text(encoding="utf-8"), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[dark]))
    assert _share(pixels[:50, :5], colours["ground"]) == 1.0
    for n in range(3):
        assert _share(pixels, colours[f"c{n}"]) * pixels.shape[0] * width > 1000


def _share(pixels: np.ndarray[tuple[int, ...], np.dtype[np.int64]], colour: str) -> float:
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return float(np.mean(np.all(pixels == wanted, axis=-1)))
