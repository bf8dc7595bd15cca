"""Artefacts on disk: written whole or not at all, never replaced by accident."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import pytest

from agentlab import artefact
from agentlab.artefact import (
    new_file,
    new_folder,
    read_json,
    read_meta,
    require_absent,
    require_new_file,
    sha256,
    write_file,
    write_json,
)
from agentlab.errors import InputError


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def an_artefact(path: Path, content: str = "old") -> Path:
    with new_folder(path) as folder:
        write_json(folder / "meta.json", {"kind": "head"})
        (folder / "weights").write_text(content)
    return path


class TestNewFolder:
    def test_appears_whole_when_the_block_ends(self, tmp_path: Path):
        with new_folder(tmp_path / "deep" / "out") as folder:
            (folder / "part").mkdir()
            (folder / "part" / "a").write_text("1")
            assert not (tmp_path / "deep" / "out").exists()
        assert (tmp_path / "deep" / "out" / "part" / "a").read_text() == "1"
        assert names(tmp_path / "deep") == {"out"}

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
    def test_leaves_nothing_when_the_block_fails(self, error: type[BaseException], tmp_path: Path):
        def write() -> None:
            with new_folder(tmp_path / "out") as folder:
                (folder / "a").write_text("1")
                raise error

        with pytest.raises(error):
            write()
        assert names(tmp_path) == set()

    def test_does_not_replace_what_exists(self, tmp_path: Path):
        an_artefact(tmp_path / "out")
        with pytest.raises(InputError, match=r"out: exists already; .*--force"), new_folder(tmp_path / "out"):
            pytest.fail("the block must not begin")
        assert (tmp_path / "out" / "weights").read_text() == "old"

    def test_replaces_an_artefact_when_forced(self, tmp_path: Path):
        an_artefact(tmp_path / "out")
        with new_folder(tmp_path / "out", force=True) as folder:
            (folder / "new").write_text("1")
            assert (tmp_path / "out" / "weights").read_text() == "old"
        assert names(tmp_path / "out") == {"new"}
        assert names(tmp_path) == {"out"}

    def test_keeps_the_old_artefact_when_the_forced_block_fails(self, tmp_path: Path):
        an_artefact(tmp_path / "out")
        with pytest.raises(RuntimeError), new_folder(tmp_path / "out", force=True):
            raise RuntimeError
        assert (tmp_path / "out" / "weights").read_text() == "old"

    def test_refuses_to_replace_a_file_before_any_work(self, tmp_path: Path):
        (tmp_path / "thesis.tex").write_text("precious")
        with (
            pytest.raises(InputError, match=r"thesis\.tex: expected a folder"),
            new_folder(tmp_path / "thesis.tex", force=True),
        ):
            pytest.fail("the block must not begin")
        assert (tmp_path / "thesis.tex").read_text() == "precious"

    def test_refuses_to_replace_a_folder_that_is_no_artefact(self, tmp_path: Path):
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "chapter.tex").write_text("precious")
        with (
            pytest.raises(InputError, match=r"thesis: expected an artefact .*meta\.json"),
            new_folder(tmp_path / "thesis", force=True),
        ):
            pytest.fail("the block must not begin")
        assert names(tmp_path / "thesis") == {"chapter.tex"}

    def test_replaces_an_empty_folder_when_forced(self, tmp_path: Path):
        (tmp_path / "out").mkdir()
        with new_folder(tmp_path / "out", force=True) as folder:
            (folder / "new").write_text("1")
        assert names(tmp_path / "out") == {"new"}

    def test_says_where_it_may_not_write(self, tmp_path: Path):
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match=r"file/out: cannot be written"), new_folder(tmp_path / "file" / "out"):
            pytest.fail("the block must not begin")


class TestFiles:
    def test_are_written_whole(self, tmp_path: Path):
        write_file(tmp_path / "a", "text")
        write_file(tmp_path / "b", b"\x00bytes")
        assert (tmp_path / "a").read_text() == "text"
        assert (tmp_path / "b").read_bytes() == b"\x00bytes"
        assert names(tmp_path) == {"a", "b"}

    def test_keep_their_old_content_when_writing_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        write_file(tmp_path / "a", "old")

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match=r"a: cannot be written \(No space left on device\)"):
            write_file(tmp_path / "a", "new")
        assert (tmp_path / "a").read_text() == "old"
        assert names(tmp_path) == {"a"}

    def test_sha256_is_that_of_the_content(self, tmp_path: Path):
        (tmp_path / "a").write_bytes(b"x" * 100_000)
        assert sha256(tmp_path / "a") == hashlib.sha256(b"x" * 100_000).hexdigest()

    def test_are_found_absent_or_refused(self, tmp_path: Path):
        require_absent(tmp_path / "a", force=False)
        (tmp_path / "a").touch()
        require_absent(tmp_path / "a", force=True)
        with pytest.raises(InputError, match="exists already"):
            require_absent(tmp_path / "a", force=False)


class TestNewFile:
    def test_appears_whole_when_the_block_ends(self, tmp_path: Path):
        with new_file(tmp_path / "a") as temporary:
            temporary.write_text("new")
            assert not (tmp_path / "a").exists()
        assert (tmp_path / "a").read_text() == "new"
        assert names(tmp_path) == {"a"}

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, InputError])
    def test_leaves_what_was_there_when_the_block_fails(self, error: type[BaseException], tmp_path: Path):
        def write() -> None:
            with new_file(tmp_path / "a") as temporary:
                temporary.write_text("new")
                raise error

        (tmp_path / "a").write_text("old")
        with pytest.raises(error):
            write()
        assert (tmp_path / "a").read_text() == "old"
        assert names(tmp_path) == {"a"}

    def test_a_folder_that_is_missing_is_named(self, tmp_path: Path):
        with pytest.raises(InputError, match="none/a: cannot be written"), new_file(tmp_path / "none" / "a"):
            pytest.fail("the block must not begin")

    def test_a_file_stands_only_where_nothing_or_a_file_to_replace_does(self, tmp_path: Path):
        (tmp_path / "a").touch()
        require_new_file(tmp_path / "b")
        require_new_file(tmp_path / "a", force=True)
        for path, force, said in (
            (tmp_path / "a", False, "exists already"),
            (tmp_path, True, "expected a file to write, found a folder"),
            (tmp_path / "a" / "b", True, "does not exist"),
        ):
            with pytest.raises(InputError, match=said):
                require_new_file(path, force=force)


class TestJson:
    def test_round_trips(self, tmp_path: Path):
        content = {"a": [1, 2.5, None], "b": {"c": "ü"}}
        write_json(tmp_path / "a.json", content)
        assert read_json(tmp_path / "a.json") == content

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b'{"a": ', "truncated or garbled"),
            (b"\xff\xfe", "truncated or garbled"),
            (b"", "truncated or garbled"),
            (b"[1]", "expected a JSON object, found list"),
        ],
    )
    def test_that_is_none_is_refused(self, content: bytes, said: str, tmp_path: Path):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(InputError, match=said) as caught:
            read_json(tmp_path / "a.json")
        assert str(caught.value).startswith(str(tmp_path / "a.json"))

    def test_that_is_missing_is_refused(self, tmp_path: Path):
        with pytest.raises(InputError, match=r"a\.json: no such file"):
            read_json(tmp_path / "a.json")
        with pytest.raises(InputError, match="cannot be read"):
            read_json(tmp_path)


class TestMeta:
    def test_of_the_right_kind_and_version_is_read(self, tmp_path: Path):
        write_json(tmp_path / artefact.META, {"kind": "head", "format_version": 1, "seed": 3})
        assert read_meta(tmp_path, "head", 1)["seed"] == 3

    @pytest.mark.parametrize(
        ("meta", "said"),
        [
            ({"kind": "extractor", "format_version": 1}, "field 'kind': expected 'head', found 'extractor'"),
            ({"format_version": 1}, "field 'kind': expected 'head', found None"),
            ({"kind": "head", "format_version": 2}, "field 'format_version': this agentlab reads 1, found 2"),
            ({"kind": "head"}, "field 'format_version': this agentlab reads 1, found None"),
        ],
    )
    def test_of_another_is_refused(self, meta: dict[str, object], said: str, tmp_path: Path):
        (tmp_path / artefact.META).write_text(json.dumps(meta))
        with pytest.raises(InputError, match=re.escape(f"{tmp_path / artefact.META}: {said}")):
            read_meta(tmp_path, "head", 1)

    def test_that_is_missing_or_cannot_be_looked_for_is_refused(self, tmp_path: Path):
        with pytest.raises(InputError, match="no such file; expected the folder of a trained head"):
            read_meta(tmp_path, "head", 1)
        with pytest.raises(InputError, match="cannot be read"):
            read_meta(tmp_path / ("long" * 100), "head", 1)
