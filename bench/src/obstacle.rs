//! Why a figure could not be measured, and whether that may be.

use std::fmt;
use std::io::Write as _;

/// What stood in the way.
#[derive(Debug)]
pub enum Obstacle {
    /// A tool is not there or may not work here. CI has to have it.
    Tool(String),
    /// The driver cannot run here.
    Driver(String),
    /// Something failed that should not.
    Failure(String),
}

impl Obstacle {
    /// A failure while doing something.
    pub fn failed(doing: &str) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |error| Self::Failure(format!("{doing}: {error}"))
    }

    /// Whether a test must fail for it: always for a failure; in CI for a missing tool too, and for a driver that
    /// this kernel could run.
    pub fn is_fatal(&self, in_ci: bool, kernel_has_rings: bool) -> bool {
        match self {
            Self::Tool(_) => in_ci,
            Self::Driver(_) => in_ci && kernel_has_rings,
            Self::Failure(_) => true,
        }
    }

    /// Ends a test that cannot be done: tells why, past the test harness, which would keep it to itself.
    ///
    /// # Panics
    /// If the obstacle is fatal here.
    pub fn skip(&self, test: &str) {
        let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!self.is_fatal(in_ci, kernel_has_rings()), "{test}: {self}");
        let _ = writeln!(std::io::stderr(), "skipped {test}: {self}");
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tool(text) | Self::Driver(text) | Self::Failure(text) => {
                formatter.write_str(text)
            }
        }
    }
}

impl std::error::Error for Obstacle {}

/// Whether io_uring is switched on (the file exists since Linux 6.6) and no seccomp filter, as containers have them,
/// is likely to forbid it.
fn kernel_has_rings() -> bool {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    read("/proc/sys/kernel/io_uring_disabled").trim() == "0"
        && read("/proc/self/status")
            .lines()
            .any(|line| line.split_whitespace().eq(["Seccomp:", "0"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ci_forgives_only_what_the_kernel_cannot_do() {
        let tool = Obstacle::Tool(String::new());
        let driver = Obstacle::Driver(String::new());
        assert!(!tool.is_fatal(false, true) && tool.is_fatal(true, true));
        assert!(!driver.is_fatal(false, true) && !driver.is_fatal(true, false));
        assert!(driver.is_fatal(true, true));
        assert!(Obstacle::Failure(String::new()).is_fatal(false, false));
    }
}
