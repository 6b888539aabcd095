//! wrk's scripts as files, for wrk reads no other. They are committed in `bench/rivals`, where one can also use them by hand.

use std::fs;
use std::path::PathBuf;

use crate::arguments::Failure;

use super::directory::Directory;

/// Name and text of each; they find each other by their names.
const FILES: [(&str, &str); 3] = [
    ("heads.lua", include_str!("../../../bench/rivals/heads.lua")),
    (
        KEEPALIVE,
        include_str!("../../../bench/rivals/keepalive.lua"),
    ),
    (PIPELINE, include_str!("../../../bench/rivals/pipeline.lua")),
];

const KEEPALIVE: &str = "keepalive.lua";
const PIPELINE: &str = "pipeline.lua";

/// A directory with the scripts, which goes with us.
#[derive(Debug)]
pub(crate) struct Scripts(Directory);

impl Scripts {
    /// Writes them.
    pub(crate) fn write() -> Result<Self, Failure> {
        let written = Directory::make("scripts").and_then(|directory| {
            for (name, text) in FILES {
                fs::write(directory.path().join(name), text)?;
            }
            Ok(Self(directory))
        });
        written.map_err(Failure::of("wrk's scripts"))
    }

    /// A request at a time, heads that vary.
    pub(crate) fn keepalive(&self) -> PathBuf {
        self.0.path().join(KEEPALIVE)
    }

    /// Several requests in a write, alike or not.
    pub(crate) fn pipeline(&self) -> PathBuf {
        self.0.path().join(PIPELINE)
    }
}
