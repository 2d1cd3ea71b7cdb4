"""Files that the user asks for: whole or as they were, and a full disk is no mistake of the user's."""

import os
import threading
from pathlib import Path

import pytest

from tests.full_disk import files_of_at_most
from workflows.errors import StoreError
from workflows.user_file import write_user_file


@pytest.mark.parametrize("durable", [True, False])
def test_file_that_can_not_be_written_whole_stays_as_it_was(tmp_path: Path, durable: bool):
    file = tmp_path / "answer.json"
    write_user_file(file, b"old", durable=durable)
    with pytest.raises(StoreError, match=r"answer.json .* \(File too large\); .* give another --json, and"):
        written_on_a_full_disk(file, durable)
    assert file.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [file]


def written_on_a_full_disk(file: Path, durable: bool) -> None:
    with files_of_at_most(100):
        write_user_file(file, b"new" * 1000, "another --json", durable)


def test_link_stays_a_link_and_a_pipe_a_pipe(tmp_path: Path):
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(tmp_path / "file")
    write_user_file(link, b"answer")
    assert (link.is_symlink(), (tmp_path / "file").read_bytes()) == (True, b"answer")
    os.mkfifo(pipe)
    threading.Thread(target=write_user_file, args=(pipe, b"answer")).start()
    assert pipe.read_bytes() == b"answer"
    assert pipe.is_fifo()
