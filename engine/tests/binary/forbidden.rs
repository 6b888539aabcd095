//! Where io_uring may not be used: by a container's seccomp profile, or because there is no memory to lock for it. The
//! default driver then is one that works, and the log says which and why; a driver that was asked for by name and cannot
//! run is an error that says why.

use crate::program::{Process, Serving, installed, lanner};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::collections::BTreeMap;
use std::process::Command;

/// What io_uring_setup(2) answers under a seccomp profile that does not let it pass: container engines say EPERM, or
/// ENOSYS for what they do not know.
const REFUSALS: [(Errno, &str); 2] = [
    (Errno::PERM, "Operation not permitted"),
    (Errno::NOSYS, "Function not implemented"),
];

/// What the system says when no memory may be locked.
const NO_MEMORY: &str = "Cannot allocate memory";

/// Does something on a thread of its own on which io_uring_setup(2) fails like that, and so it does in every process
/// that is started there.
fn without_rings<T: Send>(errno: Errno, what: impl FnOnce() -> T + Send) -> T {
    let filter = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_io_uring_setup, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(errno.raw_os_error().unsigned_abs()),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let program = BpfProgram::try_from(filter.unwrap()).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            seccompiler::apply_filter(&program).unwrap();
            what()
        });
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The program on this driver, listening where nobody else does.
fn on(driver: &str, workers: &str) -> Command {
    let mut command = lanner(
        &[],
        &[("LANNER_DRIVER", driver), ("LANNER_WORKERS", workers)],
    );
    command.env("LANNER_LISTEN", "http://127.0.0.1:0");
    command
}

/// Starts a command that must serve, has it serve, and gives the driver that it said it uses and its reason.
fn served_by(command: &mut Command, check: impl FnOnce(&Process)) -> (String, String) {
    let server = Serving::launch(command);
    check(&server.process);
    assert_eq!(server.request("GET", "/hello").body, "Hello, World!");
    let page = server.request("GET", "/").body;
    let (status, said) = server.process.stop();
    assert_eq!(status.code(), Some(0), "{said}");
    let (driver, reason) = said
        .lines()
        .find_map(|line| line.split_once(", driver ")?.1.split_once(": "))
        .unwrap_or_else(|| panic!("no driver is named:\n{said}"));
    for part in [driver, reason] {
        assert!(page.contains(part), "the page does not say {part:?}");
    }
    (driver.to_owned(), reason.to_owned())
}

/// Starts a command that must not serve, and gives what it says instead.
fn refusal(command: &mut Command) -> String {
    let (status, said) = Process::start(command).end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("the driver cannot run: "), "{said}");
    assert!(!said.contains("listening on"), "{said}");
    said
}

/// A line of the process's own file in /proc.
fn status_line(process: &Process, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    value.unwrap().trim_matches([':', '\t', ' ']).to_owned()
}

fn is_filtered(process: &Process) {
    assert_eq!(status_line(process, "Seccomp"), "2");
}

/// Whether a ring can be had here when nobody forbids it; without it half of what is tested here means little.
fn rings_run_here() -> bool {
    let (driver, reason) = served_by(&mut on("auto", "1"), |_| {});
    if driver == "uring" {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "CI must not skip what needs io_uring: {reason}"
    );
    eprintln!("skipped: no io_uring here: {reason}");
    false
}

#[test]
fn the_default_is_the_ring_where_nothing_forbids_it() {
    if rings_run_here() {
        let (driver, _) = served_by(&mut on("uring", "2"), |_| {});
        assert_eq!(driver, "uring");
    }
}

#[test]
fn the_default_is_epoll_where_rings_are_forbidden_and_says_why() {
    for (errno, text) in REFUSALS {
        let (driver, reason) =
            without_rings(errno, || served_by(&mut on("auto", "2"), is_filtered));
        assert_eq!(driver, "epoll", "{reason}");
        for part in ["io_uring", text] {
            assert!(reason.contains(part), "{reason}");
        }
    }
}

#[test]
fn the_ring_that_was_asked_for_and_is_forbidden_is_an_error_that_says_why() {
    for (errno, text) in REFUSALS {
        let said = without_rings(errno, || refusal(&mut on("uring", "2")));
        for part in ["io_uring", text] {
            assert!(said.contains(part), "{said}");
        }
    }
}

#[test]
fn monoio_runs_on_epoll_where_rings_are_forbidden_and_says_why() {
    for (errno, text) in REFUSALS {
        let (driver, reason) =
            without_rings(errno, || served_by(&mut on("monoio", "2"), is_filtered));
        assert_eq!(driver, "monoio-epoll", "{reason}");
        assert!(reason.contains(text), "{reason}");
    }
}

#[test]
fn drivers_that_need_no_ring_do_not_mind() {
    for driver in ["epoll", "monoio-epoll"] {
        let (serving, reason) =
            without_rings(Errno::PERM, || served_by(&mut on(driver, "2"), is_filtered));
        assert_eq!((&serving[..], &reason[..]), (driver, "asked for"));
    }
}

/// Whether this process, and so what it starts, is above the bound on locked memory.
fn may_lock_anything() -> bool {
    let own = capabilities(None).unwrap();
    own.effective.contains(CapabilitySet::IPC_LOCK)
}

/// The program on this driver when so many bytes may be locked and the right to lock more has been taken away. `None`,
/// and the test has said so, where that cannot be done.
fn with_locked_memory(bytes: u32, driver: &str, workers: &str) -> Option<Command> {
    let program = on(driver, workers);
    let mut command = installed("prlimit")?;
    command.arg(format!("--memlock={bytes}:{bytes}"));
    if may_lock_anything() {
        let setpriv = installed("setpriv")?;
        let without = ["--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"];
        command.arg(setpriv.get_program()).args(without);
    }
    command.arg(program.get_program()).env_clear();
    let variables = program.get_envs();
    command.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    Some(command)
}

/// That the process has neither the memory nor the right.
fn may_lock_only(process: &Process, bytes: u32) {
    let effective = u64::from_str_radix(&status_line(process, "CapEff"), 16).unwrap();
    assert_eq!(effective & CapabilitySet::IPC_LOCK.bits(), 0);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.pid())).unwrap();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max locked memory"))
        .unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(
        words,
        [bytes.to_string(), bytes.to_string(), "bytes".into()]
    );
}

/// One test, not several: locked memory is accounted per user.
#[test]
fn where_too_little_memory_may_be_locked_the_default_serves_and_the_ring_serves_or_says_why() {
    if !rings_run_here() {
        return;
    }
    // Until 5.11 and since 6.18 or so the kernel accounts rings as locked memory.
    let mut accounts = false;
    for bytes in [0, 64 << 10] {
        for workers in ["1", "2"] {
            let place = format!("{bytes} bytes to lock, {workers} workers");
            let Some(mut command) = with_locked_memory(bytes, "auto", workers) else {
                return;
            };
            let (driver, reason) = served_by(&mut command, |process| may_lock_only(process, bytes));
            println!("{place}: {driver}: {reason}");
            let fell_back = driver == "epoll" && reason.contains(NO_MEMORY);
            accounts |= bytes == 0 && fell_back;
            assert!(
                driver == "uring" || fell_back,
                "{place}: {driver}: {reason}"
            );
            // Rings of this user's other processes are accounted too, unless they may lock what they like.
            if bytes == 0 || may_lock_anything() {
                asked_for_by_name(bytes, workers, &driver);
            } else {
                eprintln!("skipped: drivers by name with {place}: others may take of it meanwhile");
            }
        }
    }
    if may_lock_anything() {
        smaller_rings_are_told_of(accounts);
    } else {
        eprintln!("skipped: smaller rings: others may take of their memory meanwhile");
    }
}

/// Enough for a small ring and what tries it, and not for a large one.
const FOR_SMALL_RINGS: u32 = 100 << 10;

/// The log says that rings are smaller than they should be, which they are for want of memory only.
fn smaller_rings_are_told_of(accounts: bool) {
    for (driver, asked) in [
        ("auto", "io_uring can be used here"),
        ("uring", "asked for"),
    ] {
        let mut command = with_locked_memory(FOR_SMALL_RINGS, driver, "1").unwrap();
        let check = |process: &Process| may_lock_only(process, FOR_SMALL_RINGS);
        let (driver, reason) = served_by(&mut command, check);
        assert_eq!(driver, "uring", "{reason}");
        let smaller = ", with rings of 256/1024 entries instead of 1024/4096 entries: ";
        match reason
            .strip_prefix(asked)
            .and_then(|rest| rest.strip_prefix(smaller))
        {
            Some(why) => assert!(accounts && why.contains(NO_MEMORY), "{reason}"),
            None => assert!(!accounts && reason == asked, "{reason}"),
        }
    }
}

/// What can be had by default can be had by name, and what cannot is refused. (Linux accounted rings as locked memory
/// until 5.11; 6.18 does so again.)
fn asked_for_by_name(bytes: u32, workers: &str, default: &str) {
    let named = |driver| with_locked_memory(bytes, driver, workers).unwrap();
    let check = |process: &Process| may_lock_only(process, bytes);
    if default == "uring" {
        let (driver, _) = served_by(&mut named("uring"), check);
        assert_eq!(driver, "uring");
    } else {
        let said = refusal(&mut named("uring"));
        assert!(said.contains(NO_MEMORY), "{said}");
    }
    let (driver, reason) = served_by(&mut named("monoio"), check);
    let fell_back = driver == "monoio-epoll" && reason.contains(NO_MEMORY);
    assert!(fell_back || driver == "monoio", "{driver}: {reason}");
    assert!(
        fell_back || bytes > 0 || default == "uring",
        "{driver}: {reason}"
    );
}
