"""Who computes what, when several processes fill one feature store: locks on single bytes.

A claim on a key is a POSIX record lock on one byte of `claims.lock`, at the offset that the key's
digest gives. Nothing is stored: the kernel (or the NFS server) keeps the locks and drops those of a
process that dies, so that there is nothing to clean up and no claim can outlive its owner. Two keys
with the same byte (1 in 2^63) would only wait for each other.

Two more kinds of byte: byte 0 is held shared by every writer, so that `prune` knows whether there
is one; and every writer holds the byte of its own token, which the names of its temporary files
carry, so that those of the dead are told from those of the living, on whatever machine.

POSIX locks and not those of an open file description: the latter pass to forked children, so that a
data loader's worker that survives its killed parent would keep the claims. The price: they belong
to the process as a whole, and closing any descriptor of the file drops them all. Hence one `Claims`
per process and store; a second one is refused.

Where the file system knows no locks, a warning is printed and every claim is granted: work may be
done twice, and the results are the same.
"""

import errno
import fcntl
import functools
import hashlib
import os
import sys
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sermm.core.errors import InputError

LOCK_FILE = "claims.lock"
_HELD_BY_ANOTHER = {errno.EACCES, errno.EAGAIN}
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EOVERFLOW}
_WRITERS = 0

_open_here: dict[str, int] = {}
_guard = threading.Lock()


class ClaimedError(InputError):
    """This process has claims on the store already."""


class Claims:
    """The locks of this process on one store.

    Attributes:
        folder: of the store.
        token: names this writer; 16 hexadecimal digits.
        supported: whether the file system knows locks.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = uuid.uuid4().hex[:16]
        self.supported = True
        self._file = -1

    def join(self) -> None:
        """Makes the folder and becomes one of its writers; waits while it is being pruned.

        Raises:
            OSError: the folder cannot be made or written.
        """
        while True:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._open()
            self._lock(fcntl.LOCK_SH, _WRITERS)
            if self._is_in_place():
                break
            self.close()
        self.take(_writer(self.token))

    def alone(self) -> bool:
        """Whether no process is writing; none can begin until this is closed."""
        self._open()
        return self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB, _WRITERS)

    def take(self, name: str) -> bool:
        """Claims a name; False if another live process has it."""
        return self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB, _offset(name))

    def release(self, names: Iterable[str]) -> None:
        """Gives claims back."""
        for name in names:
            self._lock(fcntl.LOCK_UN, _offset(name))

    def is_dead(self, token: str) -> bool:
        """Whether the writer of that token has died; False where there are no locks to tell."""
        writer = _writer(token)
        if token == self.token or not self.take(writer):
            return False
        self.release([writer])
        return self.supported

    def close(self) -> None:
        """Gives everything back."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> None:
        path = self.folder / LOCK_FILE
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def _is_in_place(self) -> bool:
        try:
            there = (self.folder / LOCK_FILE).stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._file))

    def _lock(self, operation: int, offset: int) -> bool:
        if not self.supported:
            return True
        try:
            fcntl.lockf(self._file, operation, 1, offset)
        except OSError as error:
            if error.errno in _HELD_BY_ANOTHER:
                return False
            if error.errno not in _NO_LOCKS:
                raise
            self.supported = False
            _warn(self.folder)
        return True


@contextmanager
def claims_of(folder: Path) -> Iterator[Claims]:
    """The one `Claims` of this process on a store; leaving gives everything back.

    Raises:
        ClaimedError: this process has one already.
    """
    name, process = str(folder.resolve()), os.getpid()
    with _guard:
        if _open_here.get(name) == process:
            raise ClaimedError(
                f"{folder}: this process is writing to this feature store already; let the first "
                "writer finish, or use another process"
            )
        _open_here[name] = process
    claims = Claims(folder)
    try:
        yield claims
    finally:
        claims.close()
        with _guard:
            del _open_here[name]


def _offset(name: str) -> int:
    """1 to 2^63 - 2: byte 0 is taken, and the last offset is the end of the largest file."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return 1 + number % (2**63 - 2)


def _writer(token: str) -> str:
    return f"writer {token}"


@functools.cache
def _warn(folder: Path) -> None:
    print(
        f"{folder}: the file system knows no locks; processes that fill this store at the same "
        "time may do work twice (the results stay right)",
        file=sys.stderr,
    )
