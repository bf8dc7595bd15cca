from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agentlab.errors import InputError
from agentlab.report import write_run_report

VOID = {"meta", "input", "br", "link"}


class Checker(HTMLParser):
    """Collects ids and sections, and fails for elements that are not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.sources: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [values["id"]] if values.get("id") else []  # type: ignore[list-item]
        self.sources += [value for key, value in attrs if value and key in ("src", "href", "xlink:href", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(run: Path) -> str:
    path = write_run_report(run)
    assert path == run / "report.html"
    return path.read_text()


def text_of(page: str, section: str) -> str:
    body = re.search(rf'<section id="{section}".*?</section>', page, re.DOTALL)
    assert body, f"no section {section}"
    return re.sub(r"<[^>]+>", " ", body[0])


def test_the_page_is_well_formed_with_unique_ids(finished_run: Path) -> None:
    ids = Checker(page_of(finished_run)).ids
    assert len(ids) == len(set(ids))
    assert {"result", "play", "learning", "labels", "time", "recipe", "provenance"} <= set(ids)


def test_the_page_needs_no_network(finished_run: Path) -> None:
    page = page_of(finished_run)
    assert all(source.startswith(("#", "data:")) for source in Checker(page).sources)
    assert "default-src 'none'" in page
    assert "@import" not in page


def test_the_page_shows_what_the_run_reached(finished_run: Path) -> None:
    page = page_of(finished_run)
    scores = json.loads((finished_run / "scores.json").read_text())
    assert f"{scores['mean']:.2f}".rstrip("0").rstrip(".") in text_of(page, "result")
    assert "95% interval" in text_of(page, "result")
    assert "0.9870" in text_of(page, "labels")
    assert "1,234" in text_of(page, "labels")
    assert "1 min 05 s" in text_of(page, "time")
    assert "env: agentlab/Catch-v0" in text_of(page, "recipe")
    assert "cd" * 32 in text_of(page, "provenance")


def test_each_number_label_has_a_scatter_and_each_other_one_a_confusion_table(finished_run: Path) -> None:
    schema = json.loads((finished_run / "extractor" / "meta.json").read_text())["label_schema"]
    page = page_of(finished_run)
    for name, label in schema.items():
        if label["kind"] == "number":
            assert f'aria-label="{name}: predicted over true values' in page
        else:
            assert f"<caption>{name}</caption>" in page


def test_equal_runs_give_equal_pages(finished_run: Path) -> None:
    assert page_of(finished_run) == page_of(finished_run)


@pytest.mark.parametrize(
    ("part", "section", "said"),
    [
        ("scores.json", "result", "not been evaluated yet"),
        ("playback", "play", "No episode of the trained agent"),
        ("metrics.jsonl", "learning", "No measurements"),
        ("extractor", "labels", "No extractor has been fitted yet"),
        ("timings.json", "time", "No stage has finished yet"),
        ("recipe.yaml", "recipe", "holds no recipe.yaml"),
        ("playback.json", "play", "One episode as the agent sees it"),
        ("head", "provenance", "extractor"),
    ],
)
def test_a_part_that_is_missing_is_said_to_be(run: Path, part: str, section: str, said: str) -> None:
    path = run / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = page_of(run)
    Checker(page)
    assert said in text_of(page, section)


def test_a_run_that_has_only_begun_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("env: agentlab/Catch-v0\n")
    Checker(page_of(tmp_path))


@pytest.mark.parametrize(
    "part",
    ["scores.json", "timings.json", "playback.json", "extractor/meta.json", "extractor/holdout.json", "head/meta.json"],
)
def test_a_garbled_part_is_named_and_the_rest_shown(run: Path, part: str) -> None:
    content = (run / part).read_text()
    (run / part).write_text(content[: len(content) // 2])
    page = page_of(run)
    assert part in text_of(page, "problems")
    assert "env: agentlab/Catch-v0" in text_of(page, "recipe")


@pytest.mark.parametrize(
    ("part", "section"),
    [
        ("scores.json", "headline"),
        ("timings.json", "timings"),
        ("playback.json", "playback"),
        ("extractor/holdout.json", "labels"),
    ],
)
def test_json_of_another_form_is_said_and_the_rest_shown(run: Path, part: str, section: str) -> None:
    (run / part).write_text('{"predicted": {"x": 3}, "mean": "high"}')
    page = page_of(run)
    Checker(page)
    assert "Cannot be shown" in text_of(page, section)
    assert "env: agentlab/Catch-v0" in text_of(page, "recipe")


def test_what_the_training_spent_its_time_on_is_shown(run: Path) -> None:
    assert "update" not in text_of(page_of(run), "time")
    meta = json.loads((run / "head" / "meta.json").read_text())
    meta["metrics"] = {"seconds": {"update": 83.0, "game": 12.5}}
    (run / "head" / "meta.json").write_text(json.dumps(meta))
    page = page_of(run)
    Checker(page)
    assert "update" in text_of(page, "time")
    assert "1 min 23 s" in text_of(page, "time")


def test_a_cut_line_of_measurements_is_counted(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "tr')
    assert "1 of 11 lines" in text_of(page_of(run), "problems")


def test_a_playback_that_cannot_be_read_is_said_to_be(run: Path) -> None:
    arrow = run / "playback" / "data" / "0" / "part-0.arrow"
    arrow.write_bytes(arrow.read_bytes()[:-100])
    assert "cannot be read" in text_of(page_of(run), "play")


def test_what_a_run_holds_cannot_inject_html(run: Path) -> None:
    nasty = '<script>alert("x")</script>'
    (run / "recipe.yaml").write_text(f"env: '{nasty}'\n")
    for file in ("scores.json", "playback.json"):
        content = json.loads((run / file).read_text())
        content |= {"env": nasty, "action_names": [nasty] * 9}
        (run / file).write_text(json.dumps(content))
    page = page_of(run)
    Checker(page)
    assert nasty not in page


@pytest.mark.parametrize("kind", ["missing", "file", "empty"])
def test_what_is_no_run_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thing"
    if kind == "file":
        path.write_text("x")
    elif kind == "empty":
        path.mkdir()
    with pytest.raises(InputError, match="expected the folder of a run"):
        write_run_report(path)
