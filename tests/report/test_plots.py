from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from agentlab.report import plots
from agentlab.report.markup import Html

RNG = np.random.default_rng(0)


def curve(alt: str = "a curve") -> Html:
    return plots.curve({"return": [(0, 1.0), (10, 2.0)]}, x="steps", y="return", alt=alt, levels={"random": 0.5})


def scatter() -> Html:
    return plots.scatter(RNG.random(2000), RNG.random(2000), unit="px", alt="a scatter")


def strip() -> Html:
    return plots.returns_strip([1.0, 1.0, 3.0], (1.0, 2.5), {"random": 0.0, "human": 9.0}, alt="a strip")


@pytest.mark.parametrize("plot", [curve, scatter, strip])
def test_a_plot_is_well_formed_and_follows_the_colours_of_the_page(plot: object) -> None:
    svg = plot()  # type: ignore[operator]
    ElementTree.fromstring(svg)
    assert "currentColor" in svg
    assert not re.search(r"#0[1-5]0[1-5]0[1-5]|#000000|#ffffff", svg)
    assert 'role="img"' in svg
    assert len(svg) < 100_000


def test_plots_are_equal_for_equal_data_and_share_no_id() -> None:
    assert curve() == curve()
    ids = [re.findall(r'id="([^"]+)"', curve(alt)) for alt in ("one", "another")]
    assert not set(ids[0]) & set(ids[1])


def test_every_reference_in_a_plot_is_to_an_id_in_it() -> None:
    svg = scatter()
    references = set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg))
    assert references
    assert references <= set(re.findall(r'id="([^"]+)"', svg))


def test_the_alternative_text_is_escaped() -> None:
    assert 'aria-label="&lt;b&gt; &quot;x&quot;"' in curve('<b> "x"')


def test_equal_returns_can_be_drawn() -> None:
    ElementTree.fromstring(plots.returns_strip([2.0] * 40, (2.0, 2.0), {}, alt="equal"))
