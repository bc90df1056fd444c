"""A folder, and S3 where TIFFIN_TEST_S3_URL names an endpoint: one suite."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from stores.objects import ObjectMissing, Objects, ObjectsAway, ObjectStoreOptions

S3 = os.environ.get("TIFFIN_TEST_S3_URL", "")


def s3_options(folder: Path) -> ObjectStoreOptions:
    """A bucket of the test's own."""
    import boto3

    bucket = f"test-{uuid.uuid4().hex[:12]}"
    boto3.client(
        "s3", endpoint_url=S3, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
    ).create_bucket(Bucket=bucket)
    return ObjectStoreOptions(f"s3://{bucket}/some/prefix", folder, S3, "us-east-1", "k", "s")


@pytest.fixture(params=["folder", "file", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "s3":
        if not S3:
            pytest.skip("TIFFIN_TEST_S3_URL names no S3-compatible server")
        return Objects(s3_options(tmp_path))
    url = f"file://{tmp_path}/other" if request.param == "file" else ""
    return Objects(ObjectStoreOptions(url, tmp_path / "objects"))


def test_an_object_comes_back_byte_for_byte(objects: Objects) -> None:
    data = bytes(range(256)) * 1000
    objects.put("a/b/c.bin", data)
    assert objects.get("a/b/c.bin") == data


def test_an_object_is_replaced_whole(objects: Objects) -> None:
    objects.put("a", b"a long first content")
    objects.put("a", b"short")
    assert objects.get("a") == b"short"


def test_an_object_is_read_in_parts(objects: Objects) -> None:
    objects.put("a", b"0123456789")
    reader = objects.reader("a")
    reader.seek(4)
    assert bytes(reader.read(3)) == b"456"


def test_an_object_that_is_not_there_is_missing(objects: Objects) -> None:
    with pytest.raises(ObjectMissing):
        objects.get("nowhere")
    with pytest.raises(ObjectMissing):
        objects.reader("nowhere")


def test_a_removed_object_is_gone_and_may_be_removed_again(objects: Objects) -> None:
    objects.put("a/b", b"x")
    objects.delete("a/b")
    objects.delete("a/b")
    assert list(objects.keys("a/")) == []


def test_keys_are_those_below_the_prefix(objects: Objects) -> None:
    for key in ("a/1", "a/2", "ab/3", "b/4"):
        objects.put(key, b"x")
    assert sorted(objects.keys("a/")) == ["a/1", "a/2"]


def test_a_store_that_is_away_says_so(tmp_path: Path) -> None:
    options = ObjectStoreOptions("s3://bucket", tmp_path, "http://127.0.0.1:1", "us-east-1", "k", "s")
    with pytest.raises(ObjectsAway):
        Objects(options).put("a", b"x")


def test_a_folder_that_cannot_be_made_is_away(tmp_path: Path) -> None:
    (tmp_path / "objects").write_bytes(b"a file is in the way")
    with pytest.raises(ObjectsAway):
        Objects(ObjectStoreOptions("", tmp_path / "objects")).put("a", b"x")


def test_a_url_of_no_known_kind_is_away(tmp_path: Path) -> None:
    with pytest.raises(ObjectsAway):
        Objects(ObjectStoreOptions("nonsense://x", tmp_path)).put("a", b"x")
