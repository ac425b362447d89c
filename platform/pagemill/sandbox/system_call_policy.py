"""System calls of children: a list of what parsers may ask the kernel for, and one of what functions may not.

Parsers have what they need, and nothing else: memory, time, their descriptors, and files that Landlock
allows, for reading. What only an attack asks for ends the child, so that it is seen as what it is; anything
else is refused, because a library may do without it.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import socket
from typing import Final

from pagemill.sandbox.seccomp import ALLOW, KILL, OWN_PROCESS, Check, Rule, compile_filter, refuse

REFUSED: Final = refuse(errno.EPERM)
NOT_THERE: Final = refuse(errno.EACCES)
UNKNOWN: Final = refuse(errno.ENOSYS)

HARMLESS: Final = (
    *("brk", "madvise", "mremap", "munmap"),
    *("close", "dup", "fstat", "getdents64", "lseek", "pread64", "read", "readv", "write", "writev"),
    *("recvfrom", "sendto", "poll", "ppoll", "pselect6", "select"),
    *("clock_getres", "clock_gettime", "clock_nanosleep", "gettimeofday", "nanosleep", "time", "times"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall"),
    *("getcpu", "getegid", "geteuid", "getgid", "getpid", "getppid", "gettid", "getuid"),
    *("getrandom", "getrlimit", "getrusage", "sched_getaffinity", "sched_yield", "sysinfo", "uname"),
    *("exit", "exit_group", "futex"),
)
NETWORK: Final = (
    *("connect", "getpeername", "getsockname", "getsockopt", "setsockopt", "shutdown"),
    # Name servers are asked from an own port; nothing listens.
    *("bind", "ioctl", "recvmsg", "sendmmsg", "sendmsg"),
    *("epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait"),
)
OTHER_PROCESSES: Final = (
    *("kcmp", "pidfd_getfd", "pidfd_open", "pidfd_send_signal", "process_madvise"),
    *("process_vm_readv", "process_vm_writev", "ptrace"),
)
KERNEL: Final = (
    *("acct", "bpf", "finit_module", "init_module", "delete_module", "iopl", "ioperm"),
    *("kexec_file_load", "kexec_load", "perf_event_open", "userfaultfd"),
    *("quotactl", "reboot", "swapoff", "swapon"),
    *("add_key", "keyctl", "request_key", "io_uring_enter", "io_uring_register", "io_uring_setup"),
    *("chroot", "fsconfig", "fsmount", "fsopen", "mount", "mount_setattr", "move_mount", "open_tree"),
    *("name_to_handle_at", "open_by_handle_at", "pivot_root", "setns", "umount2", "unshare"),
)
PROGRAMS: Final = ("execve", "execveat", "fork", "vfork")
SOCKETS: Final = ("accept", "accept4", "bind", "connect", "listen", "socket", "socketpair")
RIGHTS: Final = (
    *("capset", "seccomp"),
    *("landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self"),
)

_TEMPORARY: Final = getattr(os, "O_TMPFILE", 0) & ~getattr(os, "O_DIRECTORY", 0)
WRITING: Final = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | os.O_APPEND | _TEMPORARY
NEW_NAMESPACES: Final = 0x7E020000
"""All flags ``CLONE_NEW*`` of linux/sched.h that this call knows."""
EMPTY_PATH: Final = 0x1000
"""``AT_EMPTY_PATH``: a descriptor is asked about, as the C library does for ``fstat``."""
FAMILIES: Final = (int(socket.AF_INET), int(socket.AF_INET6))
KINDS: Final = (int(socket.SOCK_STREAM), int(socket.SOCK_DGRAM))

DESCRIPTOR_COMMANDS: Final = (
    *(fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC),
    *(fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL, fcntl.F_SETFL),
)


def parser_filter(*, files: bool, network: bool) -> bytes:
    """Return the filter of parsers: with ``files`` they open what Landlock allows, with ``network`` ask DNS.

    Raises OSError on machines whose numbers are not known.
    """
    rules = [
        *(Rule(call, ALLOW) for call in HARMLESS),
        *_opening(files),
        *_own_affairs(),
        *(_network() if network else ()),
        *(Rule(call, KILL) for call in (*OTHER_PROCESSES, *KERNEL, *PROGRAMS, *SOCKETS, *RIGHTS)),
    ]
    return compile_filter(rules, REFUSED)


def function_filter() -> bytes:
    """Return the filter of the operator's functions: no way into other processes or into the kernel."""
    rules = [
        *(Rule(call, REFUSED) for call in (*OTHER_PROCESSES, *KERNEL)),
        Rule("clone", ALLOW, (Check(0, (0,), NEW_NAMESPACES),), REFUSED),
        # Its flags lie in memory, where no filter looks; the C library then uses the older call.
        Rule("clone3", UNKNOWN),
    ]
    return compile_filter(rules, ALLOW)


def _opening(files: bool) -> list[Rule]:
    if not files:
        return [Rule("openat", NOT_THERE), Rule("open", NOT_THERE)]
    return [
        Rule("openat", ALLOW, (Check(2, (0,), WRITING),), NOT_THERE),
        Rule("open", ALLOW, (Check(1, (0,), WRITING),), NOT_THERE),
    ]


def _own_affairs() -> list[Rule]:
    """Return rules for what a process does with itself: signals, its limits, its memory without new code."""
    own = (Check(0, (OWN_PROCESS,)),)
    no_code = (Check(2, (0,), mmap.PROT_EXEC),)
    only_asked = (Check(0, (0,)), Check(2, (0,)), Check(2, (0,), half=1))
    return [
        *(Rule(call, ALLOW, own, REFUSED) for call in ("kill", "tgkill", "tkill")),
        *(Rule(call, ALLOW, no_code, NOT_THERE) for call in ("mmap", "mprotect")),
        Rule("fcntl", ALLOW, (Check(1, DESCRIPTOR_COMMANDS),), REFUSED),
        Rule("prlimit64", ALLOW, only_asked, REFUSED),
        Rule("newfstatat", ALLOW, (Check(3, (EMPTY_PATH,)),), NOT_THERE),
    ]


def _network() -> list[Rule]:
    kinds = Check(1, KINDS, 0xF)
    return [Rule("socket", ALLOW, (Check(0, FAMILIES), kinds)), *(Rule(call, ALLOW) for call in NETWORK)]
