"""Which files a run wrote into its output folder: on record, so that the next run removes these and no others, or goes
on where this one was.

The record is FOLDER/dvsnet-files.jsonl (`media.durable.records`). A file is in it before it is written, so that nothing
is missing after a killed run; an input is in it as done when all its files are on the disk.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.atomic import atomic_path, remove_partial
from dvsnet_jax.media.durable import records
from dvsnet_jax.media.durable.bookmarks import remove_bookmarks
from dvsnet_jax.media.durable.records import RECORD as RECORD
from dvsnet_jax.media.durable.records import Part
from dvsnet_jax.media.durable.run_settings import as_read_back, first_difference
from dvsnet_jax.media.durable.syncing import sync_files
from dvsnet_jax.media.json_lines import write_all_or_nothing

_MOST = 1024
"""Files written once that are remembered: of a camera that runs for weeks the older ones are brought to the disk, and
forgotten."""
_UNDER_WAY = 256  # of those the newest, which may not be written yet


def make_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder, made with its parents where it is missing; `InputError` where it cannot be."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(None, "no permission to write in it")
    except OSError as error:
        reason = "a file is in its place" if isinstance(error, FileExistsError) else error.strerror
        raise InputError(f"{path}: cannot be the output folder ({reason}); choose another with --out") from error
    return path


class WrittenFiles:
    """The record of one run in `folder`, which is made. `add` and `finish` may be called from several threads at once.

    What an earlier run wrote stands until this one writes its first file, and of a run that goes on, the first file of
    the same input: one that fails before that loses nothing. Close it at the end; until then no other run may overwrite
    the folder or go on in it.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        writer: str = "dvsnet_jax",
        overwrite: bool | str = False,
        resume: bool | None = None,
        part: Part = Part(),  # noqa: B008
    ) -> None:
        """`writer` is what the record calls who writes; `overwrite` allows to write in the place of an earlier run,
        whoever that was, or of a writer so called. `resume` goes on with what is there, if anything is; None is for
        a writer that cannot. `part` is this
        process among those that share the inputs; each has a record of its own, and writes files of its own.

        Raises InputError for a folder that holds files of an earlier run and must not be overwritten or gone on in, a
        record that is damaged, a folder that another run is writing to, and one that cannot be made or written to.
        """
        self.folder = make_folder(folder)
        self._writer, self._resume, self._part = writer, bool(resume), part
        self._settings: Mapping[str, Any] | None = None
        self._record = self.folder / part.record
        self._lock = threading.Lock()
        self._release: Callable[[], object] = lambda: None
        self._before = records.read_record(self._record, part)
        others = records.other_records(self.folder, part)
        # Those that share the inputs now may be under way, and so may their files be there.
        strangers = [other for other in others if part.count == 1 or other.part.count != part.count]
        self._earlier = [self._before, *(others if resume else strangers)]
        self._alike = [self._before, *others] if resume else [other for other in others if other not in strangers]
        self._former = {path: None for record in self._earlier for path in record.files or ()}
        there = {path for path in self._former if os.path.lexists(path)}
        former_writer = next((record.writer for record in self._earlier if record.writer), "")
        if there and not resume and overwrite not in (True, former_writer):
            way = "--overwrite" if resume is None else "--resume to go on where it was, --overwrite"
            raise InputError(
                f"{self.folder}: holds what an earlier run of {former_writer} wrote ({len(there)} files); pass {way} "
                "to write in its place, or choose another folder with --out"
            )
        self._done = self._through(there) if resume else {}
        if resume or there:
            records.check_nobody_holds(other.path for other in strangers)
            self._hold()
        self._begun = False
        self._added: set[Path] = set()
        self._fresh: defaultdict[Path, list[Path]] = defaultdict(list)  # those that are added, by their input's folder
        self._written_once: defaultdict[Path, list[Path]] = defaultdict(list)
        self._settled: defaultdict[Path, int] = defaultdict(int)  # how many of an input's are on the disk and forgotten

    def settle(self, settings: Mapping[str, Any]) -> None:
        """Has the record say with which settings this run is made, JSON values. Raises InputError where the run that it
        goes on with, or another part of it, has others."""
        self._settings = as_read_back(settings)
        for record in self._alike:
            if not record.files:
                continue
            if record.settings is None:
                raise InputError(
                    f"{record.path}: does not say with which settings {record.writer} wrote here, so that nothing can "
                    "go on with it; pass --overwrite to write in its place, or choose another folder with --out"
                )
            if differs := first_difference(record.settings, self._settings):
                raise InputError(
                    f"{self.folder}: {differs.name} was {differs.first} and is now {differs.second}, so the rest would "
                    "not go with what is there; pass the options that it was begun with, --overwrite to write in its "
                    "place, or choose another folder with --out"
                )

    def done(self, place: Path) -> Any:
        """What `finish` was given for this folder by the run that this one goes on with, if all its files are there."""
        return self._done.get(place)

    def begun(self, place: Path) -> bool:
        """Whether that run had written a file into this folder."""
        return bool(self._of(place))

    def check_free(self, paths: Iterable[Path]) -> None:
        """InputError where a file is at a path that is to be written to, and no run is known to have written it."""
        for path in paths:
            if os.path.lexists(path) and path not in self._former and path not in self._added:
                raise InputError(
                    f"{path}: is there, and {self._record} does not say that dvsnet wrote it, so it is left alone; "
                    "move it away, or choose another folder with --out"
                )

    def check_kept(self, inputs: Iterable[str | os.PathLike[str]]) -> None:
        """InputError where an input is one of the files that are to be overwritten."""
        for path in inputs:
            if os.path.realpath(path) in self._former_places:
                raise InputError(
                    f"{path}: is an input, but an earlier run wrote it and --overwrite would remove it; choose another "
                    "folder with --out"
                )

    def add(self, *paths: Path, place: Path | None = None, once: bool = False) -> None:
        """Notes files of the folder that are about to be written, of the input that is written to `place`; `once` where
        they are written now and not touched again, so that of many the older ones need not be remembered. Before the
        first ones those of the earlier run are removed, or where this run goes on, those of this input, and the folders
        that this leaves empty. Raises InputError where that fails or nothing can be noted."""
        with self._lock:
            new = [path for path in paths if path not in self._added]
            if not new:
                return
            if self._resume and place is not None and place not in self._fresh:
                _remove(self._of(place), self.folder)
            again = place is not None and self._done.pop(place, None) is not None
            undone = records.done_line(self.folder, place, -1, None) if again and place is not None else b""
            self._write(undone + records.file_lines(self.folder, new))
            fresh = self._fresh[place or self.folder]
            if not once:
                self._added.update(new)
                fresh += new
                return
            single = self._written_once[place or self.folder]
            single += new
            old = single[:-_UNDER_WAY] if len(single) > _MOST else []
            if old:
                del single[:-_UNDER_WAY]
                self._settled[place or self.folder] += len(old)
        if old:
            sync_files(old)

    def keep(self, place: Path, paths: Iterable[Path]) -> None:
        """Has this run go on within an input that it had begun: these files of it stay, and others are removed. Before
        the first one is added."""
        paths = list(paths)
        with self._lock:
            _remove(set(self._of(place)) - set(paths), self.folder)
            for parent in {place, *(path.parent for path in paths)}:
                remove_partial(parent)
            self._added.update(paths)
            self._fresh[place] += paths

    def finish(self, place: Path, came: Any) -> None:
        """Notes that the input that is written to `place` is through, once its files are on the disk. `came` is a JSON
        value that tells this input from another one. Raises InputError where one of the two fails."""
        with self._lock:
            files = [*self._fresh[place], *self._written_once[place]]
        sync_files(files)
        with self._lock:
            self._write(records.done_line(self.folder, place, len(files) + self._settled.pop(place, 0), came))
            self._added.difference_update(files)  # a run over thousands of inputs does not keep them all
            self._fresh[place], self._written_once[place] = [], []
        sync_files([self._record])

    def close(self) -> None:
        """Lets other runs have the folder. Further calls do nothing."""
        self._release()

    def _hold(self) -> None:
        if (number := records.hold(self._record)) is not None:
            self._release = weakref.finalize(self, os.close, number)

    def _through(self, there: set[Path]) -> dict[Path, Any]:
        """The inputs that are done; not those of which a file is missing now."""
        done = {place: said for record in self._earlier for place, said in (record.done or {}).items()}
        left = {place: sum(path in there for path in self._of(place)) for place in done}
        # Counted, since a record has the files of every time that an input was begun.
        return {place: came for place, (files, came) in done.items() if left[place] == files}

    def _of(self, place: Path) -> list[Path]:
        """The earlier run's files of an input."""
        return self._by_place.get(place, [])

    @cached_property
    def _former_places(self) -> set[str]:
        """Where the earlier run's files really are: found out once, since that run may have written millions and this
        one asks for each of its inputs."""
        return {os.path.realpath(path) for path in self._former}

    @cached_property
    def _by_place(self) -> dict[Path, list[Path]]:
        found = defaultdict(list)
        for path in self._former:
            for above in path.parents:
                found[above].append(path)
                if above == self.folder:
                    break
        return found

    def _write(self, lines: bytes) -> None:
        if self._begun:
            self._append(lines)
        elif self._resume and self._before.content:
            self._check_unchanged()
            self._append(lines, at=len(self._before.content))
        else:
            self._begin(lines)
        self._begun = True

    def _begin(self, lines: bytes) -> None:
        self._check_unchanged()
        if not self._resume:
            for parent in {path.parent for path in self._former}:
                remove_bookmarks(parent)
            _remove(self._former, self.folder)
            for record in self._earlier:
                if record.path != self._record:
                    record.path.unlink(missing_ok=True)
        if self._part.count == 1:
            remove_partial(self.folder)
        self.close()
        with atomic_path(self._record) as temporary, temporary.open("wb") as file:
            file.write(records.header(self._writer, self._settings) + lines)
            file.flush()
            os.fsync(file.fileno())
        self._hold()

    def _check_unchanged(self) -> None:
        if records.read_record(self._record, self._part).content != self._before.content:
            raise InputError(
                f"{self.folder}: another run has begun to write here meanwhile; choose another folder with --out"
            )

    def _append(self, lines: bytes, at: int | None = None) -> None:
        """At the end, or at `at`, after which nothing stays."""
        try:
            with self._record.open("r+b", buffering=0) as file:
                if at is not None:
                    file.truncate(at)
                file.seek(0, os.SEEK_END)
                write_all_or_nothing(file, lines)
        except OSError as error:
            raise InputError(
                f"{self._record}: cannot be written ({error.strerror}); check that its folder is writable and not full"
            ) from error


def _remove(paths: Iterable[Path], folder: Path) -> None:
    """Files with what was left of temporary ones beside them, and the folders that this leaves empty."""
    paths = list(paths)
    parents = {path.parent for path in paths} - {folder}
    try:
        for path in paths:
            path.unlink(missing_ok=True)
        for parent in parents:
            remove_partial(parent)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be removed ({error.strerror}); remove it by hand") from error
    for emptied in sorted(parents, reverse=True):
        with suppress(OSError):  # somebody's own files are in it
            emptied.rmdir()
