//! Tests that need a process of their own: they start this very program again, for just the one test.

use lanner_limits::Driver;
use std::process::{Command, Stdio};

/// Set in the process that was started for one test.
const ALONE: &str = "LANNER_SOCKETS_TEST_ALONE";

/// The name that a driver's module has in a test's path.
pub(crate) fn module(on: Driver) -> String {
    on.to_string().replace('-', "_")
}

/// Whether this is the process that was started for one test.
pub(crate) fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// Runs `scenario` in a process that runs nothing but `test`, which is the path of the test that calls this. Returns
/// what that process printed; within it, nothing.
pub(crate) fn alone(test: &str, scenario: impl FnOnce()) -> Option<String> {
    if is_alone() {
        scenario();
        return None;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let child = as_alone(&mut command, test).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{printed}{complaint}"
    );
    Some(printed)
}

/// Gives a command that runs this program the arguments that run just `test`.
pub(crate) fn as_alone<'a>(command: &'a mut Command, test: &str) -> &'a mut Command {
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ALONE, "yes")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
}
