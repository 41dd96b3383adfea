"""What to change when the operating system refuses a file or folder."""

from __future__ import annotations

import errno
import os

FULL = (errno.ENOSPC, errno.EDQUOT)
_WHY = {
    errno.EACCES: "this user may not write there",
    errno.EPERM: "this user may not write there",
    errno.EROFS: "it is on a read-only file system",
    errno.ENOTDIR: "it is, or is below, a file",
    errno.EEXIST: "it is, or is below, a file",
    errno.EISDIR: "it is a folder",
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.ENOENT: "there is no such file or folder",
}


def refusal(error: OSError) -> str:
    """Why, in a clause, with the path if the system named one."""
    why = _WHY.get(error.errno or 0) or (os.strerror(error.errno) if error.errno else str(error))
    path = error.filename2 or error.filename  # of a renaming: what it was to become
    return f"{path}: {why}" if path is not None else why
