"""Numbers of Linux's system calls: ``asm/unistd_64.h`` for x86-64, ``asm-generic/unistd.h`` for aarch64."""

from __future__ import annotations

import platform
from typing import Final, NamedTuple


class Numbers(NamedTuple):
    """Number of a system call on each machine; None where it has none."""

    x86_64: int | None
    aarch64: int | None


class Architecture(NamedTuple):
    """A kind of machine, as the kernel tells it to filters (``linux/audit.h``)."""

    name: str
    audit: int


ARCHITECTURES: Final = {
    "x86_64": Architecture("x86_64", 0xC000003E),
    "aarch64": Architecture("aarch64", 0xC00000B7),
}

SYSTEM_CALLS: Final = {
    "accept": Numbers(43, 202),
    "accept4": Numbers(288, 242),
    "acct": Numbers(163, 89),
    "add_key": Numbers(248, 217),
    "bind": Numbers(49, 200),
    "bpf": Numbers(321, 280),
    "brk": Numbers(12, 214),
    "capset": Numbers(126, 91),
    "chroot": Numbers(161, 51),
    "clock_getres": Numbers(229, 114),
    "clock_gettime": Numbers(228, 113),
    "clock_nanosleep": Numbers(230, 115),
    "clone": Numbers(56, 220),
    "clone3": Numbers(435, 435),
    "close": Numbers(3, 57),
    "connect": Numbers(42, 203),
    "delete_module": Numbers(176, 106),
    "dup": Numbers(32, 23),
    "epoll_create1": Numbers(291, 20),
    "epoll_ctl": Numbers(233, 21),
    "epoll_pwait": Numbers(281, 22),
    "epoll_wait": Numbers(232, None),
    "execve": Numbers(59, 221),
    "execveat": Numbers(322, 281),
    "exit": Numbers(60, 93),
    "exit_group": Numbers(231, 94),
    "fcntl": Numbers(72, 25),
    "finit_module": Numbers(313, 273),
    "fork": Numbers(57, None),
    "fsconfig": Numbers(431, 431),
    "fsmount": Numbers(432, 432),
    "fsopen": Numbers(430, 430),
    "fstat": Numbers(5, 80),
    "futex": Numbers(202, 98),
    "getcpu": Numbers(309, 168),
    "getdents64": Numbers(217, 61),
    "getegid": Numbers(108, 177),
    "geteuid": Numbers(107, 175),
    "getgid": Numbers(104, 176),
    "getpeername": Numbers(52, 205),
    "getpid": Numbers(39, 172),
    "getppid": Numbers(110, 173),
    "getrandom": Numbers(318, 278),
    "getrlimit": Numbers(97, 163),
    "getrusage": Numbers(98, 165),
    "getsockname": Numbers(51, 204),
    "getsockopt": Numbers(55, 209),
    "gettid": Numbers(186, 178),
    "gettimeofday": Numbers(96, 169),
    "getuid": Numbers(102, 174),
    "init_module": Numbers(175, 105),
    "io_uring_enter": Numbers(426, 426),
    "io_uring_register": Numbers(427, 427),
    "io_uring_setup": Numbers(425, 425),
    "ioctl": Numbers(16, 29),
    "ioperm": Numbers(173, None),
    "iopl": Numbers(172, None),
    "kcmp": Numbers(312, 272),
    "kexec_file_load": Numbers(320, 294),
    "kexec_load": Numbers(246, 104),
    "keyctl": Numbers(250, 219),
    "kill": Numbers(62, 129),
    "landlock_add_rule": Numbers(445, 445),
    "landlock_create_ruleset": Numbers(444, 444),
    "landlock_restrict_self": Numbers(446, 446),
    "listen": Numbers(50, 201),
    "lseek": Numbers(8, 62),
    "madvise": Numbers(28, 233),
    "mmap": Numbers(9, 222),
    "mount": Numbers(165, 40),
    "mount_setattr": Numbers(442, 442),
    "move_mount": Numbers(429, 429),
    "mprotect": Numbers(10, 226),
    "mremap": Numbers(25, 216),
    "munmap": Numbers(11, 215),
    "name_to_handle_at": Numbers(303, 264),
    "nanosleep": Numbers(35, 101),
    "newfstatat": Numbers(262, 79),
    "open": Numbers(2, None),
    "open_by_handle_at": Numbers(304, 265),
    "open_tree": Numbers(428, 428),
    "openat": Numbers(257, 56),
    "perf_event_open": Numbers(298, 241),
    "pidfd_getfd": Numbers(438, 438),
    "pidfd_open": Numbers(434, 434),
    "pidfd_send_signal": Numbers(424, 424),
    "pivot_root": Numbers(155, 41),
    "poll": Numbers(7, None),
    "ppoll": Numbers(271, 73),
    "pread64": Numbers(17, 67),
    "prlimit64": Numbers(302, 261),
    "process_madvise": Numbers(440, 440),
    "process_vm_readv": Numbers(310, 270),
    "process_vm_writev": Numbers(311, 271),
    "pselect6": Numbers(270, 72),
    "ptrace": Numbers(101, 117),
    "quotactl": Numbers(179, 60),
    "read": Numbers(0, 63),
    "readv": Numbers(19, 65),
    "reboot": Numbers(169, 142),
    "recvfrom": Numbers(45, 207),
    "recvmsg": Numbers(47, 212),
    "request_key": Numbers(249, 218),
    "restart_syscall": Numbers(219, 128),
    "rt_sigaction": Numbers(13, 134),
    "rt_sigprocmask": Numbers(14, 135),
    "rt_sigreturn": Numbers(15, 139),
    "sched_getaffinity": Numbers(204, 123),
    "sched_yield": Numbers(24, 124),
    "seccomp": Numbers(317, 277),
    "select": Numbers(23, None),
    "sendmmsg": Numbers(307, 269),
    "sendmsg": Numbers(46, 211),
    "sendto": Numbers(44, 206),
    "setns": Numbers(308, 268),
    "setsockopt": Numbers(54, 208),
    "shutdown": Numbers(48, 210),
    "sigaltstack": Numbers(131, 132),
    "socket": Numbers(41, 198),
    "socketpair": Numbers(53, 199),
    "swapoff": Numbers(168, 225),
    "swapon": Numbers(167, 224),
    "sysinfo": Numbers(99, 179),
    "tgkill": Numbers(234, 131),
    "time": Numbers(201, None),
    "times": Numbers(100, 153),
    "tkill": Numbers(200, 130),
    "umount2": Numbers(166, 39),
    "uname": Numbers(63, 160),
    "unshare": Numbers(272, 97),
    "userfaultfd": Numbers(323, 282),
    "vfork": Numbers(58, None),
    "write": Numbers(1, 64),
    "writev": Numbers(20, 66),
}


def architecture() -> Architecture:
    """Return that of this machine. Raises OSError where its numbers are not known."""
    try:
        return ARCHITECTURES[platform.machine()]
    except KeyError:
        raise OSError(f"the numbers of system calls of {platform.machine()} are not known") from None


def number_of(call: str, machine: Architecture) -> int | None:
    """Return the number of a system call on a machine, None where it has none."""
    numbers = SYSTEM_CALLS[call]
    return numbers.x86_64 if machine.name == "x86_64" else numbers.aarch64
