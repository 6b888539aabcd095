//! wrk's scripts as files, for wrk reads no other. They are committed in `bench/rivals`, where one can also use them by hand.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use lanner_loadtest::arguments::Failure;

/// Name and text of each; they find each other by their names.
const FILES: [(&str, &str); 3] = [
    ("heads.lua", include_str!("../../../rivals/heads.lua")),
    (KEEPALIVE, include_str!("../../../rivals/keepalive.lua")),
    (PIPELINE, include_str!("../../../rivals/pipeline.lua")),
];

const KEEPALIVE: &str = "keepalive.lua";
const PIPELINE: &str = "pipeline.lua";

/// A directory with the scripts, which goes with us.
#[derive(Debug)]
pub(crate) struct Scripts(PathBuf);

impl Scripts {
    /// Writes them.
    pub(crate) fn write() -> Result<Self, Failure> {
        static WRITTEN: AtomicUsize = AtomicUsize::new(0);
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let name = format!("side-by-side-{}-scripts-{number}", std::process::id());
        let scripts = Self(std::env::temp_dir().join(name));
        let written = fs::create_dir_all(&scripts.0).and_then(|()| {
            FILES
                .iter()
                .try_for_each(|(name, text)| fs::write(scripts.0.join(name), text))
        });
        written.map_err(Failure::of("wrk's scripts"))?;
        Ok(scripts)
    }

    /// A request at a time, heads that vary.
    pub(crate) fn keepalive(&self) -> PathBuf {
        self.0.join(KEEPALIVE)
    }

    /// Several requests in a write, alike or not.
    pub(crate) fn pipeline(&self) -> PathBuf {
        self.0.join(PIPELINE)
    }
}

impl Drop for Scripts {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
