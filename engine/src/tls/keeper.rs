//! The certificates of a server: read before it serves, and kept up with their files for as long as it does, on a thread of
//! their own, because disks may be slow.

use crate::tls::config::Configurations;
use crate::tls::development::{self, Development};
use crate::tls::fault::Fault;
use crate::tls::layer::Terms;
use crate::tls::published::Reader;
use crate::tls::reload::Reloader;
use crate::tls::settings::{Identity, TlsSettings};
use crate::tls::wall_clock::WallClock;
use lanner_limits::{Limits, Listener};
use std::cell::RefCell;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How often files are looked at: a system call for each of them.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// See the file's comment.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    reloaders: Vec<Reloader>,
}

/// One worker's way to a listener's certificates, as they are at the moment.
#[derive(Debug)]
pub(crate) struct Source(RefCell<Reader<Configurations>>);

impl Source {
    /// What a connection that is made now comes under.
    pub(crate) fn terms(&self) -> Terms {
        Terms(self.0.borrow_mut().current().clone())
    }
}

/// Keeps the thread alive; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Keeping {
    _alive: Sender<()>,
}

/// Which listener's certificates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept(usize);

impl Keeper {
    /// Reads what a listener needs, if it has TLS.
    ///
    /// # Errors
    /// What is wrong with it: nothing of it can be used then.
    pub(crate) fn read(
        &mut self,
        limits: &Limits,
        listener: &Listener,
    ) -> Result<Option<Kept>, Fault> {
        let Some(mut settings) = TlsSettings::new(limits, listener) else {
            return Ok(None);
        };
        let clock = WallClock::system();
        if listener.tls.as_ref().is_some_and(|tls| tls.development) {
            let directory = development::data_directory(|name| std::env::var_os(name));
            let development = Development::open(directory.as_deref(), &clock)?;
            match &development.warning {
                Some(warning) => tracing::warn!("{warning}"),
                None => tracing::info!(
                    "{} has a certificate for developing with; `lanner dev-cert` says how to trust it",
                    listener.url
                ),
            }
            settings.default = Some(Identity::Made(Box::new(development.certificate)));
        }
        let mut reloader = Reloader::new(settings, clock)?;
        warn(&mut reloader);
        self.reloaders.push(reloader);
        Ok(Some(Kept(self.reloaders.len() - 1)))
    }

    /// What a server that read what a listener needs would warn of. Nothing is kept, and no certificate for developing
    /// with is put anywhere.
    ///
    /// # Errors
    /// What is wrong with it, as in `read`.
    pub(crate) fn check(limits: &Limits, listener: &Listener) -> Result<Vec<String>, Fault> {
        let Some(mut settings) = TlsSettings::new(limits, listener) else {
            return Ok(Vec::new());
        };
        let clock = WallClock::system();
        if listener.tls.as_ref().is_some_and(|tls| tls.development) {
            let certificate = Development::in_memory(&clock)?;
            settings.default = Some(Identity::Made(Box::new(certificate)));
        }
        Ok(Reloader::new(settings, clock)?.warnings())
    }

    /// A worker's way to them.
    pub(crate) fn source(&self, kept: Kept) -> Source {
        Source(RefCell::new(self.reloaders[kept.0].reader()))
    }

    /// Begins to keep them up, if there are any.
    pub(crate) fn start(mut self) -> std::io::Result<Option<Keeping>> {
        if self.reloaders.is_empty() {
            return Ok(None);
        }
        let (alive, ended) = channel::<()>();
        std::thread::Builder::new()
            .name("lanner-certificates".into())
            .spawn(move || {
                while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                    for reloader in &mut self.reloaders {
                        // What came of it is in the log.
                        reloader.look();
                        warn(reloader);
                    }
                }
            })?;
        Ok(Some(Keeping { _alive: alive }))
    }
}

fn warn(reloader: &mut Reloader) {
    for warning in reloader.warnings() {
        tracing::warn!("{warning}");
    }
}
