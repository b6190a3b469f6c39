"""Files appear whole or not at all."""

import stat

import pytest

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.atomic import atomic_path


def test_an_interrupt_leaves_the_file_whole(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "a.txt") as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".txt"
        temporary.write_text("new, but n")
        raise KeyboardInterrupt
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_atomic_files_have_ordinary_permissions_and_keep_links(tmp_path):
    (tmp_path / "plain").touch()
    (tmp_path / "link").symlink_to("target")
    with atomic_path(tmp_path / "link") as temporary:
        temporary.write_text("through the link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "through the link"
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "target")}
    assert len(modes) == 1
    long = tmp_path / ("n" * 251 + ".txt")
    with atomic_path(long) as temporary:
        temporary.write_text("a name as long as names can be")
    assert long.exists()


def test_a_folder_that_is_not_there_is_named_in_one_line(tmp_path):
    path = tmp_path / "nowhere" / "a.txt"
    with pytest.raises(InputError, match=r"a\.txt: cannot be written \(No such file") as caught, atomic_path(path):
        pass
    assert "\n" not in str(caught.value) and not path.parent.exists()


def test_other_errors_pass_as_they_are(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "a.txt"):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []
