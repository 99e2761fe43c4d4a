"""URLs of objects: what is one, what is refused, and what takes one for a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from musetalk.errors import MediaError, OutputError, SettingsError
from musetalk.pipeline.file_uses import FileUses
from musetalk.storage.locations import ObjectUrl, common_prefix, is_url, location_of, parse_url


def test_a_url_keeps_its_slashes_and_has_the_parts_of_a_name() -> None:
    url = parse_url("S3://clips/day 1/a.b.MP4")
    assert str(url) == "s3://clips/day 1/a.b.MP4"
    assert (url.name, url.stem, url.suffix, url.parent) == ("a.b.MP4", "a.b", ".MP4", ObjectUrl("s3", "clips", "day 1"))
    assert str(parse_url("s3://clips/", whole=False) / "a.mp4") == "s3://clips/a.mp4"
    assert not is_url("C:/clips/a.mp4")
    assert not is_url("clips/a.mp4")


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/a.mp4",
        "memory://a/b.mp4",
        "file:///a/b.mp4",
        "s3:///a.mp4",
        "s3:/clips/a.mp4",
        "S3:clips/a.mp4",
        "s3:/user:word@clips/a.mp4",
        "file:/a/b.mp4",
        "s3://user:word@clips/a.mp4",
        "s3://clips",
        "s3://clips/pictures/",
        "s3://clips//a.mp4",
        "s3://clips/../a.mp4",
        "s3://clips/a.mp4?versionId=1",
        "s3://clips/a\nb.mp4",
        "s3://clips/\udcff.mp4",
        f"s3://clips/{'é' * 600}.mp4",
    ],
)
def test_what_is_no_object_of_a_store_is_refused(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_url(text)
    assert refused.value.remedy
    assert "user:word" not in str(refused.value)


def test_what_lacks_slashes_is_no_folder_whatever_folders_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in ("without one", "with one"):
        for text in ("s3:/clips", "gs:/clips", "s3:clips", "GS:/clips"):
            with pytest.raises(SettingsError, match=rf'write "{text[:2].lower()}://clips", or "./{text}" for a path'):
                location_of(text)
        with pytest.raises(SettingsError, match="is of no store"):
            location_of("file:///clips")
        folder = location_of("./s3:/clips")
        assert isinstance(folder, Path)
        FileUses().writing(folder / "a.mp4", "the output").check()
        (tmp_path / "s3:").mkdir(exist_ok=True)
    assert location_of("clips") == Path("clips")
    assert location_of("C:/clips") == Path("C:/clips")


def test_objects_have_a_longest_prefix_in_common() -> None:
    urls = [ObjectUrl("s3", "clips", key) for key in ("a/b/1.mp4", "a/b/c/2.mp4", "a/bc/3.mp4")]
    assert common_prefix(urls[:1]) == common_prefix(urls[:2]) == ObjectUrl("s3", "clips", "a/b")
    assert common_prefix(urls) == ObjectUrl("s3", "clips", "a")
    assert common_prefix([ObjectUrl("s3", "clips", "4.mp4"), *urls]) == ObjectUrl("s3", "clips")


def test_what_renders_files_says_that_only_batches_know_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MediaError, match=r's3://clips/a.mp4" is a URL.*only batches'):
        FileUses().reading(Path("s3://clips/a.mp4"), "the source").check()
    with pytest.raises(OutputError, match=r'https://example.org/a.mp4" is a URL.*only batches'):
        FileUses().writing(Path("https://example.org/a.mp4"), "the output").check()
    assert not list(tmp_path.iterdir())
    (tmp_path / "s3:").mkdir()  # a folder may be called that
    FileUses().writing(Path("s3:/a.mp4"), "the output").check()
