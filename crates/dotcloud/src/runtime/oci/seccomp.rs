//! Which system calls a container has: those that moby and containerd allow by default to somebody
//! without rights (moby/profiles 190fa92), and those for asynchronous files and for placing memory that
//! database servers use; without the kernel's keyrings, which all processes of a uid share.
//! Any other is an error that programs expect.

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompOperator, LinuxSyscall,
};
use rustix::io::Errno;

use super::rootless::Rights;

/// Whatever their arguments.
const ALLOWED: &str = "\
    accept accept4 access adjtimex alarm arch_prctl arm_fadvise64_64 arm_sync_file_range bind breakpoint brk \
    cachestat cacheflush capget capset chdir chmod chown chown32 clock_adjtime clock_adjtime64 \
    clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep \
    clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 \
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait \
    epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 \
    fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat \
    fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 \
    fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 \
    futex_wait futex_waitv futex_wake futimesat get_mempolicy get_robust_list get_thread_area getcpu \
    getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups \
    getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid \
    getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid \
    gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 \
    inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup \
    io_submit io_uring_enter io_uring_register io_uring_setup ioctl ioprio_get ioprio_set ipc kill \
    landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link \
    linkat listen listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr \
    lstat lstat64 madvise map_shadow_stack mbind membarrier memfd_create memfd_secret mincore mkdir \
    mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 modify_ldt mprotect mq_getsetattr \
    mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 \
    mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap \
    name_to_handle_at nanosleep _newselect newfstatat open openat openat2 pause pidfd_open \
    pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl \
    pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 \
    pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv \
    recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename \
    renameat renameat2 restart_syscall riscv_flush_icache riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending \
    rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait \
    rt_sigtimedwait_time64 rt_tgsigqueueinfo s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr \
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam \
    sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity \
    sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop \
    semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_mempolicy \
    set_mempolicy_home_node set_robust_list set_thread_area set_tid_address set_tls setfsgid \
    setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid \
    setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid \
    setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt \
    shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall socketpair \
    splice stat stat64 statfs statfs64 statmount statx swapcontext symlink symlinkat sync \
    sync_file_range sync_file_range2 syncfs sysinfo tee tgkill time timer_create timer_delete \
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create \
    timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate \
    truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes \
    vfork vmsplice wait4 waitid waitpid write writev";

/// The ways in which a program may look at itself: Linux, 32 bits, addresses that do not change, both,
/// and the question.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// The flags of clone(2) that make namespaces.
const NAMESPACES: u64 = 0x7e02_0000;
const USER_NAMESPACE: u64 = 0x1000_0000;
/// Sockets to the machine's host.
const VSOCK: u64 = 40;

/// What the engine is told.
pub(super) fn profile(rights: Rights) -> LinuxSeccomp {
    let mut rules = vec![
        allow(&ALLOWED.split_whitespace().collect::<Vec<_>>(), &[]),
        allow(&["socket"], &[is_not(0, VSOCK)]),
        allow(&["clone"], &[has_none_of(0, NAMESPACES)]),
    ];
    rules.extend(PERSONALITIES.map(|way| allow(&["personality"], &[is(0, way)])));
    // Its flags are not to be seen here. Whoever is told that the kernel has none takes clone.
    let mut newer = rule(&["clone3"], LinuxSeccompAction::ScmpActErrno, &[]);
    newer.set_errno_ret(errno(Errno::NOSYS));
    rules.push(newer);
    if rights != Rights::Root {
        // The way into the inner namespace, and nothing else.
        rules.push(allow(&["unshare"], &[is(0, USER_NAMESPACE)]));
        rules.push(allow(&["setns"], &[is(1, USER_NAMESPACE)]));
    }
    let mut profile = LinuxSeccomp::default();
    profile
        .set_default_action(LinuxSeccompAction::ScmpActErrno)
        .set_default_errno_ret(errno(Errno::PERM))
        .set_architectures(architectures())
        .set_syscalls(Some(rules));
    profile
}

/// Every one that this machine's processor runs; the engine knows which it is by itself elsewhere.
fn architectures() -> Option<Vec<Arch>> {
    match std::env::consts::ARCH {
        "x86_64" => Some(vec![
            Arch::ScmpArchX86_64,
            Arch::ScmpArchX86,
            Arch::ScmpArchX32,
        ]),
        "aarch64" => Some(vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm]),
        _ => None,
    }
}

fn errno(errno: Errno) -> Option<u32> {
    u32::try_from(errno.raw_os_error()).ok()
}

fn allow(names: &[&str], arguments: &[LinuxSeccompArg]) -> LinuxSyscall {
    rule(names, LinuxSeccompAction::ScmpActAllow, arguments)
}

fn rule(names: &[&str], action: LinuxSeccompAction, arguments: &[LinuxSeccompArg]) -> LinuxSyscall {
    let mut rule = LinuxSyscall::default();
    rule.set_names(names.iter().map(|&name| name.to_owned()).collect())
        .set_action(action);
    if !arguments.is_empty() {
        rule.set_args(Some(arguments.to_vec()));
    }
    rule
}

fn is(index: usize, value: u64) -> LinuxSeccompArg {
    argument(index, value, LinuxSeccompOperator::ScmpCmpEq, None)
}

fn is_not(index: usize, value: u64) -> LinuxSeccompArg {
    argument(index, value, LinuxSeccompOperator::ScmpCmpNe, None)
}

fn has_none_of(index: usize, flags: u64) -> LinuxSeccompArg {
    argument(index, flags, LinuxSeccompOperator::ScmpCmpMaskedEq, Some(0))
}

fn argument(
    index: usize,
    value: u64,
    op: LinuxSeccompOperator,
    masked: Option<u64>,
) -> LinuxSeccompArg {
    let mut argument = LinuxSeccompArgBuilder::default()
        .index(index)
        .value(value)
        .op(op);
    if let Some(masked) = masked {
        argument = argument.value_two(masked);
    }
    // Everything has a default: it cannot fail.
    argument.build().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_refuses_what_widens_the_way_into_the_kernel() {
        let names: Vec<&str> = ALLOWED.split_whitespace().collect();
        for name in [
            "add_key",
            "bpf",
            "clone",
            "clone3",
            "delete_module",
            "fsmount",
            "init_module",
            "kexec_load",
            "keyctl",
            "mount",
            "mount_setattr",
            "move_mount",
            "open_by_handle_at",
            "open_tree",
            "perf_event_open",
            "personality",
            "pivot_root",
            "quotactl",
            "reboot",
            "request_key",
            "setns",
            "socket",
            "swapon",
            "umount2",
            "unshare",
            "userfaultfd",
        ] {
            assert!(!names.contains(&name), "{name}");
        }
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), names.len(), "one is there twice");
    }

    #[test]
    fn profile_lets_an_ordinary_users_engine_enter_the_inner_namespace_only() {
        let of = |rights| {
            let rules = profile(rights).syscalls().clone().unwrap();
            rules
                .into_iter()
                .filter(|rule| rule.names()[0] == "unshare")
                .collect::<Vec<_>>()
        };
        assert_eq!(of(Rights::Root), []);
        let [rule] = &of(Rights::Namespaces)[..] else {
            panic!("not one rule");
        };
        assert_eq!(rule.args().as_deref(), Some(&[is(0, USER_NAMESPACE)][..]));
    }
}
