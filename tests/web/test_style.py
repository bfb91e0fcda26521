"""The style sheet: the charts' colours, enough contrast, nothing fetched."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from tests.web.document import external
from tests.web.test_charts import contrast
from tidegauge_service.web.charts.themes import THEMES, ThemeName

CSS = (resources.files("tidegauge_service.web") / "static" / "page.css").read_text()


def colours(theme: ThemeName) -> dict[str, str]:
    """Return the custom properties: the first block is light, the second dark."""
    blocks = re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL)
    block = blocks[list(ThemeName).index(theme)]
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block))


@pytest.mark.parametrize("theme", ThemeName)
def test_the_page_and_its_charts_have_the_same_colours(theme: ThemeName) -> None:
    found, expected = colours(theme), THEMES[theme]
    assert found["ground"] == expected.ground
    assert found["ink"] == expected.ink
    assert found["faint"] == expected.faint
    assert found["alarm"] == expected.alarm
    assert found["link"] == expected.line


@pytest.mark.parametrize("theme", ThemeName)
@pytest.mark.parametrize("ground", ["ground", "card"])
@pytest.mark.parametrize("text", ["ink", "faint", "link", "alarm", "watch", "calm"])
def test_contrast_is_aa(theme: ThemeName, ground: str, text: str) -> None:
    found = colours(theme)
    assert contrast(found[text], found[ground]) >= 4.5


def test_it_is_small_and_fetches_nothing() -> None:
    assert len(CSS.splitlines()) < 200
    assert not external(CSS)
    assert "url(" not in CSS
    assert "@import" not in CSS
