from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.launchers.segments import SegmentLog, read_log


@given(
    parts=st.lists(st.binary(min_size=1, max_size=50), max_size=30),
    limit=st.integers(2, 200),
    offset=st.integers(0, 300),
)
def test_log_is_the_end_of_what_was_written(parts: list[bytes], limit: int, offset: int) -> None:
    written = b"".join(parts)
    with tempfile.TemporaryDirectory() as folder:
        source, sink = os.pipe()
        log = SegmentLog(folder, "stdout", limit)
        for part in parts:
            os.write(sink, part)
            assert log.take(source)
        os.close(sink)
        assert not log.take(source)
        os.close(source)
        at, data = read_log(folder, "stdout", offset)
        assert at >= offset
        assert data == written[at : at + len(data)]
        if offset <= len(written):
            assert at + len(data) == len(written)
            assert at == offset or len(written) - at <= limit
            assert len(written) - at >= min(limit // 2, len(written) - offset)


def test_streams_do_not_meet(tmp_path: Path) -> None:
    source, sink = os.pipe()
    os.write(sink, b"abc")
    SegmentLog(str(tmp_path), "stdout", 100).drain(source)
    SegmentLog(str(tmp_path), "stderr", 100)
    assert read_log(str(tmp_path), "stdout", 0) == (0, b"abc")
    assert read_log(str(tmp_path), "stderr", 0) == (0, b"")
    assert read_log(str(tmp_path / "nowhere"), "stdout", 5) == (5, b"")
    os.close(source)
    os.close(sink)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
def test_full_disk_loses_output_and_nothing_more(tmp_path: Path) -> None:
    source, sink = os.pipe()
    log = SegmentLog(str(tmp_path), "stdout", 100)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, log._file)
    os.write(sink, b"abc")
    assert log.take(source)
    assert read_log(str(tmp_path), "stdout", 0) == (0, b"")
    for each in (source, sink, full):
        os.close(each)
