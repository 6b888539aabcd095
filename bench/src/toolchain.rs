//! What instruction counts depend on besides our code: the compiler, and the processor that libraries choose their
//! fast paths by. And the release build that they are counted on.

use crate::obstacle::Obstacle;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The compiler and the processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// What `rustc --version` prints.
    pub rustc: String,
    /// The architecture, and the vector instructions beyond its least that memchr, httparse and the C library look for.
    pub processor: String,
}

impl Toolchain {
    /// This machine's.
    ///
    /// # Errors
    /// If there is no compiler.
    pub fn here() -> Result<Self, Obstacle> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(&rustc)
            .arg("--version")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .map_err(|error| Obstacle::Tool(format!("rustc: {error}")))?;
        Ok(Self {
            rustc: String::from_utf8_lossy(&output.stdout).trim().into(),
            processor: processor(),
        })
    }
}

fn processor() -> String {
    let mut processor = std::env::consts::ARCH.to_owned();
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        processor.push_str(" avx2");
    }
    processor
}

/// Builds `steady` in the release profile, unless that is done, and says where it is.
///
/// # Errors
/// If it does not build.
pub fn release_build() -> Result<PathBuf, Obstacle> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--package", "lanner-bench"])
        .args(["--bin", "steady", "--message-format", "json"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .map_err(Obstacle::failed("cargo"))?;
    let messages = String::from_utf8_lossy(&output.stdout);
    executable(&messages).ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        Obstacle::Failure(format!("the release build failed:\n{said}"))
    })
}

/// Where cargo says that it put the program.
fn executable(messages: &str) -> Option<PathBuf> {
    let (_, rest) = messages.rsplit_once("\"executable\":\"")?;
    let (path, _) = rest.split_once('"')?;
    Some(path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_where_cargo_says() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
                        {\"reason\":\"compiler-artifact\",\"executable\":\"/t/release/steady\",\"fresh\":true}\n\
                        {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(executable(messages), Some("/t/release/steady".into()));
        assert_eq!(executable("{\"executable\":null}"), None);
    }
}
