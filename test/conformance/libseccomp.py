"""Filters as systemd's services and sandboxes have them, made by libseccomp, and what calls then say."""
import ctypes
import errno
import mmap
import os
import signal
import socket
import sys

import seccomp
from seccomp import ALLOW, ERRNO, KILL, KILL_PROCESS, LOG, NOTIFY, TRAP, Arg, EQ, GT, MASKED_EQ, SyscallFilter

CLONE_NEWUSER = 0x10000000
libc = ctypes.CDLL(None, use_errno=True)


def attempt(name, call):
    try:
        call()
        print(name, "ok")
    except OSError as error:
        print(name, errno.errorcode[error.errno])
    sys.stdout.flush()


def raw(name, *args):
    def call():
        if libc[name](*args) == -1:
            code = ctypes.get_errno()
            raise OSError(code, name)

    attempt(name, call)


def child(name, body):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        body()
        sys.stdout.flush()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    print(name, "signal", os.WTERMSIG(status), "code", os.waitstatus_to_exitcode(status))


def service():
    """Most is allowed, what services are commonly denied is not."""
    f = SyscallFilter(ALLOW)
    f.set_attr(seccomp.Attr.CTL_TSYNC, 1)
    for name in ("mount", "umount2", "ptrace", "kexec_load", "reboot", "swapon", "add_key", "keyctl", "init_module",
                 "bpf", "perf_event_open", "chroot", "sethostname", "acct", "settimeofday", "clock_settime"):
        f.add_rule(ERRNO(errno.EPERM), name)
    f.add_rule(ERRNO(errno.EAFNOSUPPORT), "socket", Arg(0, GT, socket.AF_UNIX))
    f.add_rule(ERRNO(errno.EPERM), "chmod", Arg(1, MASKED_EQ, 0o4000, 0o4000))
    f.add_rule(ERRNO(errno.EPERM), "mmap", Arg(2, MASKED_EQ, 6, 6))
    f.add_rule(ERRNO(errno.EPERM), "mprotect", Arg(2, MASKED_EQ, 4, 4))
    f.add_rule(ERRNO(errno.EPERM), "sched_setscheduler", Arg(1, GT, 0))
    f.add_rule(ERRNO(errno.ENOSYS), "clone3")
    f.add_rule(ERRNO(errno.EPERM), "unshare", Arg(0, MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER))
    f.add_rule(LOG, "getppid")
    f.load()
    attempt("inet", lambda: socket.socket(socket.AF_INET))
    attempt("unix", lambda: socket.socket(socket.AF_UNIX))
    raw("chroot", b"/")
    raw("sethostname", b"x", 1)
    raw("acct", None)
    raw("unshare", CLONE_NEWUSER)
    attempt("chmod suid", lambda: os.chmod("/nonexistent", 0o4755))
    attempt("chmod", lambda: os.chmod("/nonexistent", 0o755))
    attempt("mmap wx", lambda: mmap.mmap(-1, 4096, prot=7))
    attempt("mmap w", lambda: mmap.mmap(-1, 4096, prot=3))
    attempt("fifo", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
    attempt("getppid", os.getppid)
    attempt("stat", lambda: os.stat("/etc/passwd"))
    print(os.spawnlp(os.P_WAIT, "sh", "sh", "-c", "echo child of a shell; grep Seccomp: /proc/self/status"))


def whitelist():
    """Nothing is allowed but what is named; arguments too."""
    f = SyscallFilter(KILL_PROCESS)
    for name in ("exit_group", "exit", "rt_sigreturn", "brk", "mmap", "munmap", "futex", "close"):
        f.add_rule(ALLOW, name)
    f.add_rule(ALLOW, "write", Arg(0, EQ, 1))
    f.load()
    os.write(1, b"allowed\n")
    os.write(2, b"killed before this\n")


def trapped():
    seen = []
    signal.signal(signal.SIGSYS, lambda signo, frame: seen.append(signo))
    f = SyscallFilter(ALLOW)
    f.add_rule(TRAP, "getpriority")
    f.load()
    ctypes.CDLL(None).getpriority(0, 0)
    print("trapped", seen)


def optimized():
    """As a binary tree over the numbers."""
    f = SyscallFilter(ALLOW)
    f.set_attr(seccomp.Attr.CTL_OPTIMIZE, 2)
    for number in range(150, 300):
        name = seccomp.resolve_syscall(seccomp.Arch.NATIVE, number)
        if name not in (b"exit_group", b"futex", b"openat", b"newfstatat", b"getdents64", b"rseq"):
            f.add_rule(ERRNO(200 + number % 50), number)
    f.load()
    for number in range(150, 300):
        if number in (202, 231, 257, 262, 217):
            continue
        result = libc.syscall(number, 0, 0, 0)
        print(number, result, ctypes.get_errno())


def notified():
    """A call that another process answers."""
    f = SyscallFilter(ALLOW)
    f.add_rule(NOTIFY, "getpriority")
    f.load()
    pid = os.fork()
    if pid == 0:
        print("answered", libc.syscall(140, 0, 0))
        sys.stdout.flush()
        os._exit(0)
    notification = f.receive_notify()
    print("asked", notification.syscall)
    f.respond_notify(seccomp.NotificationResponse(notification, 77, 0, 0))
    os.waitpid(pid, 0)


for body in (service, whitelist, trapped, optimized, notified):
    child(body.__name__, body)
