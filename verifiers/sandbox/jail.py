"""What a sandboxed process gives up before it runs a model's program. Linux only; stdlib only.

Always: resource limits, no new privileges, and a seccomp filter without network, tracing, other programs,
signals to other
processes, or any change to the file system. Where the kernel permits also namespaces of its own for network, processes
and IPC. What it may still do: compute, read files, and write to the pipes it was given.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct

_CLONE_NEWNET, _CLONE_NEWPID, _CLONE_NEWIPC, _CLONE_NEWUSER = 0x40000000, 0x20000000, 0x08000000, 0x10000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 1, 38, 22, 2
_ALLOW, _EPERM = 0x7FFF0000, 0x00050001
# System calls refused, by machine. In order: network (socket, socketpair), tracing (ptrace, process_vm_*,
# perf_event_open),
# mounts and kernel (mount, umount2, chroot, bpf, keyctl, add_key, kexec_load, init_module, unshare, setns),
# signals to others
# (kill, tkill), other programs (execve, execveat), and everything that changes the file system.
_REFUSED = {
    "x86_64": (
        0xC000003E,
        (41, 53, 101, 310, 311, 298, 165, 166, 161, 321, 250, 248, 246, 175, 272, 308, 62, 200, 59, 322, 437,
        85, 87, 263,
         82, 264, 316, 76, 83, 258, 84, 86, 265, 88, 266, 133, 259, 90, 268, 92, 94, 260, 280, 188, 189),
        {257: 2, 2: 1},
    ),
    "aarch64": (
        0xC00000B7,
        (198, 199, 117, 270, 271, 241, 40, 39, 51, 280, 219, 217, 104, 105, 97, 268, 129, 130, 221, 281, 437,
        35, 38, 276, 45,
         34, 37, 36, 33, 53, 54, 88, 5, 6),
        {56: 2},
    ),
}  # fmt: skip
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class NoSandbox(OSError):
    """This machine cannot confine a process."""


def enter(cpu_s: int, memory_bytes: int, file_bytes: int) -> None:
    """Give everything up, in this process and its children. Raises `NoSandbox` where the filter cannot be set."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _limit(cpu_s, memory_bytes, file_bytes)
    _own_namespaces(libc)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _refuse_calls(libc)


def _limit(cpu_s: int, memory_bytes: int, file_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _own_namespaces(libc: ctypes.CDLL) -> None:
    """A network of its own (with nothing in it), and a process tree that ends with its first process."""
    flags = _CLONE_NEWNET | _CLONE_NEWPID | _CLONE_NEWIPC
    if libc.unshare(flags) == 0 or libc.unshare(flags | _CLONE_NEWUSER) == 0:
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _refuse_calls(libc: ctypes.CDLL) -> None:
    """A seccomp filter: the calls of `_REFUSED`, opening a file to write, and other architectures' calls
    fail with EPERM."""
    machine = platform.machine()
    if machine not in _REFUSED:
        raise NoSandbox(f"no system call filter for {machine}")
    architecture, calls, opening = _REFUSED[machine]

    def step(code: int, jump_true: int, jump_false: int, value: int) -> bytes:
        return struct.pack("HBBI", code, jump_true, jump_false, value)

    load, equal, greater_equal, any_bit, ret = 0x20, 0x15, 0x35, 0x45, 0x06
    refuse = step(ret, 0, 0, _EPERM)
    program = [step(load, 0, 0, 4), step(equal, 1, 0, architecture), refuse, step(load, 0, 0, 0)]
    program += [step(greater_equal, 0, 1, 0x40000000), refuse]  # the x32 table
    for call in calls:
        program += [step(equal, 0, 1, call), refuse]
    for call, argument in opening.items():
        program += [
            step(equal, 0, 4, call),
            step(load, 0, 0, 16 + 8 * argument),
            step(any_bit, 0, 1, _WRITE_FLAGS),
            refuse,
        ]
        program.append(step(ret, 0, 0, _ALLOW))
    program.append(step(ret, 0, 0, _ALLOW))
    code = ctypes.create_string_buffer(b"".join(program))
    header = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(code)))
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(header), 0, 0) != 0:
        raise NoSandbox(f"seccomp is not available: {os.strerror(ctypes.get_errno())}")
