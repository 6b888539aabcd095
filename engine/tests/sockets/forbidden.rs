//! Where the kernel does not let us have rings: `auto` goes on with something else and says why, and `uring` asked for by
//! name is refused and says why. Each case in a process of its own, which forbids it to itself.

use crate::child;
use crate::client::Client;
use crate::server::{limits, start};
use lanner::StartError;
use lanner_limits::Driver;
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::CapabilitySet;

/// `io_uring_setup`, `io_uring_enter` and `io_uring_register`, on every architecture.
const CALLS: std::ops::RangeInclusive<u32> = 425..=427;

/// Has every call about rings fail with `errno`, for this process, as containers do it.
fn forbid(errno: i32) {
    let statement = |code: u32, value: u32, if_true: u8, if_false: u8| libc::sock_filter {
        code: code as u16,
        jt: if_true,
        jf: if_false,
        k: value,
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let is_at_least = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    let is_above = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let mut statements = [
        // The call's number stands first in what a filter is given.
        statement(load, 0, 0, 0),
        statement(is_at_least, *CALLS.start(), 0, 2),
        statement(is_above, *CALLS.end(), 1, 0),
        statement(answer, libc::SECCOMP_RET_ERRNO | errno as u32, 0, 0),
        statement(answer, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog {
        len: statements.len() as u16,
        filter: statements.as_mut_ptr(),
    };
    rustix::thread::set_no_new_privs(true).unwrap();
    // SAFETY: the program is valid for the length of the call, which copies it.
    let outcome = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    assert_eq!(outcome, 0);
}

/// Starts a server and sees that it serves. Returns which driver it has and why, or why it did not start.
fn serve(driver: Driver, workers: usize) -> Result<(&'static str, &'static str), String> {
    let mut limits = limits(driver);
    limits.workers = workers;
    let started = start(limits, |_| crate::app::hello);
    let server = started.map_err(|error| match error {
        StartError::Driver(error) => error.to_string(),
        error => panic!("{error}"),
    })?;
    assert_eq!(Client::connect(server.address()).get("/").status, 200);
    let info = server.handle().info();
    Ok((info.driver, info.driver_reason))
}

fn all_is_refused_because(what: &str) {
    let (driver, reason) = serve(Driver::Auto, 1).unwrap();
    assert_eq!(driver, "epoll");
    assert!(reason.contains(what), "{reason}");
    let reason = serve(Driver::Uring, 1).unwrap_err();
    assert!(reason.contains(what), "{reason}");
}

#[test]
fn a_filter_that_says_eperm_leaves_epoll() {
    child::alone("forbidden::a_filter_that_says_eperm_leaves_epoll", || {
        forbid(libc::EPERM);
        all_is_refused_because("io_uring_setup: Operation not permitted");
    });
}

#[test]
fn a_kernel_without_rings_leaves_epoll() {
    child::alone("forbidden::a_kernel_without_rings_leaves_epoll", || {
        forbid(libc::ENOSYS);
        all_is_refused_because("io_uring_setup: Function not implemented");
    });
}

#[test]
fn memory_that_must_not_be_locked_leaves_smaller_rings_or_epoll() {
    let name = "forbidden::memory_that_must_not_be_locked_leaves_smaller_rings_or_epoll";
    child::alone(name, || {
        if serve(Driver::Uring, 1).is_err() {
            return eprintln!("skipped: no rings here at all");
        }
        // Whoever may lock memory is not asked how much.
        let mut capabilities = rustix::thread::capabilities(None).unwrap();
        capabilities.effective -= CapabilitySet::IPC_LOCK;
        capabilities.permitted -= CapabilitySet::IPC_LOCK;
        rustix::thread::set_capabilities(None, capabilities).unwrap();
        let bytes = Some(64 * 1024);
        let limit = Rlimit {
            current: bytes,
            maximum: bytes,
        };
        setrlimit(Resource::Memlock, limit).unwrap();
        // Kernels before 6.14 do not count rings: then all of them fit.
        let one = serve(Driver::Uring, 1);
        let eight = serve(Driver::Auto, 8).unwrap();
        match (one, eight) {
            (Ok(("uring", _)), ("uring", _)) => {}
            (Ok(("uring", _)), ("epoll", reason)) => {
                assert!(reason.contains("Cannot allocate memory"), "{reason}");
                let reason = serve(Driver::Uring, 8).unwrap_err();
                assert!(reason.contains("Cannot allocate memory"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    });
}
