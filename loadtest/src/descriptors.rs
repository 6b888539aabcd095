//! Room for the file descriptors a client is about to open, asked for before the first one, so that running out is one clear
//! error rather than thousands of failed connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::arguments::Failure;

/// Standard streams, epoll, timer, and what the process inherited.
const SPARE: u64 = 32;

/// Raises `RLIMIT_NOFILE` as far as needed for `connections`, or says what stands in the way.
pub fn reserve(connections: usize) -> Result<(), Failure> {
    reserve_beside(connections, 0)
}

/// The same where so many are needed for other things too.
pub fn reserve_beside(connections: usize, others: usize) -> Result<(), Failure> {
    let needed = connections as u64 + others as u64 + SPARE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        let maximum = limit.maximum.unwrap_or_default();
        let left = maximum.saturating_sub(needed - connections as u64);
        let remedy = match left {
            0 => "raise it, or use fewer threads".to_owned(),
            left => format!("raise it, or ask for {left} at most"),
        };
        return Err(Failure::Run(format!(
            "{connections} connections need {needed} file descriptors, and `ulimit -Hn` allows {maximum}: {remedy}"
        )));
    }
    let raised = Rlimit {
        current: Some(needed),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).map_err(|error| {
        Failure::Run(format!(
            "raising the limit of open files to {needed}: {error}"
        ))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn too_many_connections_name_the_limit_to_raise() {
        if getrlimit(Resource::Nofile).maximum.is_none() {
            return; // No hard limit: nothing is too many.
        }
        let error = reserve(usize::MAX / 2).unwrap_err().to_string();
        assert!(error.contains("ulimit -Hn"), "{error}");
        assert!(error.contains("raise it, or ask for "), "{error}");
        let error = reserve_beside(1, usize::MAX / 2).unwrap_err().to_string();
        assert!(error.contains("fewer threads"), "{error}");
    }
}
