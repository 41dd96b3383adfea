"""What a sandboxed process gives up before it runs a model's program. Linux only; stdlib only.

Always: resource limits, no new privileges, and a seccomp filter without network, tracing, other programs and processes,
signals to other processes, or any change to the file system. Where the kernel permits also namespaces of its own for
network, processes and IPC, and a Landlock fence that leaves it only Python's own files to read. What it may still do:
compute, in threads too, write to the pipes it was given, ask whether a file exists; and, on a kernel without Landlock,
read files.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import resource
import signal
import stat
import struct
import sys

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # by Landlock's version; 16 from the fifth on
_CLONE_NEWNET, _CLONE_NEWPID, _CLONE_NEWIPC, _CLONE_NEWUSER = 0x40000000, 0x20000000, 0x08000000, 0x10000000
_CLONE_THREAD, _CLONE, _CLONE3 = 0x00010000, {"x86_64": 56, "aarch64": 220}, 435
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 1, 38, 22, 2
_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
# System calls refused, with their numbers on x86_64 and aarch64 (- where there is none). From 424 on numbers are alike.
_REFUSED_CALLS = """
network: socket 41 198, socketpair 53 199, io_uring_setup 425 425, io_uring_enter 426 426, io_uring_register 427 427
tracing: ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, perf_event_open 298 241,
  userfaultfd 323 282, pidfd_open 434 434, pidfd_getfd 438 438
mounts: mount 165 40, umount2 166 39, chroot 161 51, pivot_root 155 41, unshare 272 97, setns 308 268,
  open_tree 428 428, move_mount 429 429, fsopen 430 430, fsconfig 431 431, fsmount 432 432, fspick 433 433,
  mount_setattr 442 442
kernel: bpf 321 280, keyctl 250 219, add_key 248 217, request_key 249 218, kexec_load 246 104, kexec_file_load 320 294,
  init_module 175 105, finit_module 313 273, reboot 169 142, swapon 167 224, swapoff 168 225, acct 163 89, iopl 172 -,
  ioperm 173 -, sethostname 170 161, setdomainname 171 162, settimeofday 164 170, clock_settime 227 112,
  adjtimex 159 171, clock_adjtime 305 266, quotactl 179 60
shared memory: shmget 29 194, semget 64 190, msgget 68 186, mq_open 240 180
signals to others: kill 62 129, tkill 200 130, tgkill 234 131, rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240,
  pidfd_send_signal 424 424
other programs: execve 59 221, execveat 322 281, fork 57 -, vfork 58 -
files: openat2 437 437, open_by_handle_at 304 265, creat 85 -, unlink 87 -, unlinkat 263 35, rename 82 -,
  renameat 264 38, renameat2 316 276, truncate 76 45, mkdir 83 -, mkdirat 258 34, rmdir 84 -, link 86 -, linkat 265 37,
  symlink 88 -, symlinkat 266 36, mknod 133 -, mknodat 259 33, chmod 90 -, fchmod 91 52, fchmodat 268 53,
  fchmodat2 452 452, chown 92 -, fchown 93 55, lchown 94 -, fchownat 260 54, utime 132 -, utimes 235 -, futimesat 261 -,
  utimensat 280 88, setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7, removexattr 197 14, lremovexattr 198 15,
  fremovexattr 199 16
"""
_CALLS = re.findall(r"(\d+|-) (\d+|-)(?=[,\n])", _REFUSED_CALLS)
# By machine: its audit number, the calls refused, and which argument of open and openat holds the flags.
_REFUSED = {
    "x86_64": (0xC000003E, [int(here) for here, _ in _CALLS if here != "-"], {257: 2, 2: 1}),
    "aarch64": (0xC00000B7, [int(here) for _, here in _CALLS if here != "-"], {56: 2}),
}
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class NoSandbox(OSError):
    """This machine cannot confine a process."""


def enter(cpu_s: int, memory_bytes: int, file_bytes: int) -> bool:
    """Give everything up, in this process and its children; whether files elsewhere are out of reach as well.

    Raises `NoSandbox` where the filter cannot be set.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _limit(cpu_s, memory_bytes, file_bytes)
    _own_namespaces(libc)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    fenced = _fence(libc, _readable())
    _refuse_calls(libc)
    return fenced


def _readable() -> list[str]:
    """What a Python program needs to read: the standard library, shared libraries, time zones, random numbers."""
    libraries = [f"{prefix}/{lib}" for prefix in (sys.base_prefix, "/usr", "") for lib in ("lib", "lib64")]
    settings = ["/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo"]
    return [*libraries, *settings, "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"]


def _fence(libc: ctypes.CDLL, readable: list[str]) -> bool:
    """Landlock: from now on no file can be opened but these and what lies beneath them. False without Landlock."""
    libc.syscall.restype = ctypes.c_long
    version = libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    rights = struct.pack("Q", (1 << _FILE_RIGHTS.get(version, 16)) - 1)
    ruleset = libc.syscall(_LANDLOCK_CREATE, rights, ctypes.c_size_t(len(rights)), ctypes.c_uint32(0))
    if ruleset < 0:
        raise NoSandbox(f"Landlock refuses a ruleset: {os.strerror(ctypes.get_errno())}")
    for path in readable:
        try:
            beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        allowed = _READ_FILE | (_READ_DIR if stat.S_ISDIR(os.fstat(beneath).st_mode) else 0)
        rule = struct.pack("=Qi", allowed, beneath)
        if libc.syscall(_LANDLOCK_ADD, ruleset, 1, rule, ctypes.c_uint32(0)) != 0:
            raise NoSandbox(f"Landlock refuses a rule for {path}: {os.strerror(ctypes.get_errno())}")
        os.close(beneath)
    if libc.syscall(_LANDLOCK_RESTRICT, ruleset, ctypes.c_uint32(0)) != 0:
        raise NoSandbox(f"Landlock refuses to restrict: {os.strerror(ctypes.get_errno())}")
    os.close(ruleset)
    return True


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
    fail with EPERM; threads may be made, processes not."""
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
    # A thread is made by `clone` with its flag; what `clone3` would make stands where a filter cannot look, and the C
    # library falls back from it.
    program += [step(equal, 0, 1, _CLONE3), step(ret, 0, 0, _ENOSYS)]
    program += [
        step(equal, 0, 3, _CLONE[machine]),
        step(load, 0, 0, 16),
        step(any_bit, 1, 0, _CLONE_THREAD),
        refuse,
    ]
    program.append(step(ret, 0, 0, _ALLOW))
    code = ctypes.create_string_buffer(b"".join(program))
    header = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(code)))
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(header), 0, 0) != 0:
        raise NoSandbox(f"seccomp is not available: {os.strerror(ctypes.get_errno())}")
