//! The program itself, started on a command line, and a folder for what it writes.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Empty to begin with, and gone at the end.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// `name` is the test's own.
    pub(crate) fn new(name: &str) -> Self {
        let folder = format!("report-{}-{name}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, file: &str) -> String {
        self.0.join(file).to_str().unwrap().to_owned()
    }

    pub(crate) fn read(&self, file: &str) -> String {
        let path = self.path(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    pub(crate) fn has(&self, file: &str) -> bool {
        Path::new(&self.path(file)).exists()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A test that failed has more to say than this.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// What became of the program.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A short run of two connections against a server, with these flags besides.
pub(crate) fn run(server: SocketAddr, flags: &[&str]) -> Ended {
    run_after("100ms", server, flags)
}

/// The same after another warm-up.
pub(crate) fn run_after(warm_up: &str, server: SocketAddr, flags: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lanner-loadtest"));
    command.args(["run", &format!("http://{server}/hello?<a>")]);
    command.args([
        "--connections",
        "2",
        "--warm-up",
        warm_up,
        "--duration",
        "400ms",
    ]);
    let Output {
        status,
        stdout,
        stderr,
    } = command.args(flags).output().unwrap();
    Ended {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}
