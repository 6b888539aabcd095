//! A server: built from limits and an app, started as a whole or not at all, stopped through its handle.

use crate::access_log::{Writer, Writing};
use crate::admission::Admission;
use crate::app::App;
use crate::blocking::BlockingPool;
use crate::clock::Clock;
use crate::context::Context;
use crate::control::{Control, Phase};
use crate::counters::{Counters, WorkerCounters};
use crate::date::Date;
use crate::exchange::{Dispatcher, Exchanges};
use crate::lease::Pool;
use crate::listener::{self, Bound, BoundAddress, Listening, UnixPaths};
use crate::machine::machine;
use crate::runtime::{Backend, Setup};
use crate::shared::Shared;
use crate::tls::Keeping;
use crate::watchdog::Watchdog;
use crate::worker::Worker;
use lanner_limits::{Limits, Mistakes, Moment, Pin, Setting, Source};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

/// Facts about a running server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// What it is bound to, ports as the kernel chose them.
    pub addresses: Vec<BoundAddress>,
    /// The number of workers.
    pub workers: usize,
    /// The backend's name.
    pub driver: &'static str,
    /// Why this backend.
    pub driver_reason: &'static str,
}

/// What an app's factory is told about the worker it is to serve.
#[derive(Clone, Debug)]
pub struct WorkerInfo {
    /// The worker's number, from 0.
    pub index: usize,
    /// The server's facts.
    pub server: Arc<ServerInfo>,
}

/// Builds a [`Server`].
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    limits: Option<Limits>,
    settings: Vec<Setting>,
}

impl Builder {
    /// Takes limits as they are, in place of the machine's defaults. [`Builder::set`] then does nothing.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Takes the `LANNER_*` variables of the environment, as the binary does; what [`Builder::set`] says wins. Raises the
    /// descriptor limit too, on which the automatic connection cap depends.
    pub fn environment(mut self) -> Self {
        crate::raise_descriptor_limit();
        let ours = std::env::vars_os()
            .filter(|(name, _)| name.as_encoded_bytes().starts_with(b"LANNER_"))
            // What is no text is no value either, and the table says so.
            .map(|(name, value)| Setting {
                name: name.to_string_lossy().into_owned(),
                value: value.to_string_lossy().into_owned(),
                source: Source::Environment,
            });
        self.settings.splice(0..0, ours);
        self
    }

    /// Sets one knob by its name, as `--set` does: `listen`, `keepalive_timeout`...
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push(Setting {
            name: name.into(),
            value: value.into(),
            source: Source::CommandLine,
        });
        self
    }

    /// Binds, makes one app per worker and begins to serve. `factory` is called on each worker's own thread.
    ///
    /// # Errors
    /// [`StartError`]: nothing serves then.
    pub fn start<A, F>(self, factory: F) -> Result<Server, StartError>
    where
        A: App,
        F: Fn(&WorkerInfo) -> A + Send + Sync + 'static,
    {
        Server::start(self.resolved()?, Arc::new(factory))
    }

    /// Opens what a start would open for its listeners (certificates, keys, authorities, revocation lists, ticket keys) and
    /// lets it go again: nothing is bound and nothing is written. Gives what the start would warn of.
    ///
    /// # Errors
    /// Everything that is wrong, of each listener the first thing: it would not start. Whether addresses are free and
    /// drivers can run only the start itself shows.
    pub fn check(self) -> Result<Vec<String>, Vec<StartError>> {
        let limits = self.resolved().map_err(|error| vec![error])?;
        listener::check(&limits)
    }

    fn resolved(self) -> Result<Limits, StartError> {
        match self.limits {
            Some(limits) => Ok(limits),
            None => Limits::resolve(self.settings, machine())
                .map(|resolved| resolved.limits)
                .map_err(StartError::Limits),
        }
    }
}

/// A running server. Dropping it lets it run on; [`Server::join`] waits for its end.
#[derive(Debug)]
pub struct Server {
    handle: ServerHandle,
    threads: Vec<JoinHandle<io::Result<()>>>,
    log: Option<Writing>,
    blocking: Arc<BlockingPool>,
}

/// Reaches a running server from anywhere.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    control: Arc<Control>,
    counters: Arc<Vec<Arc<WorkerCounters>>>,
    info: Arc<ServerInfo>,
}

impl ServerHandle {
    /// What the server is bound to; port 0 has become a real one.
    pub fn addresses(&self) -> &[BoundAddress] {
        &self.info.addresses
    }

    /// The server's facts.
    pub fn info(&self) -> &ServerInfo {
        &self.info
    }

    /// Everything counted so far.
    pub fn counters(&self) -> Counters {
        Counters::sum(self.counters.iter().map(|counters| &**counters))
    }

    /// Stops: goes on accepting for `LANNER_SHUTDOWN_DELAY`, serves what was queued and what is open, closes what is
    /// idle, and cuts what is left after `LANNER_SHUTDOWN_TIMEOUT`.
    pub fn stop(&self) {
        self.control.advance(Phase::Stopping);
    }

    /// Ends at once: every connection is reset.
    pub fn stop_now(&self) {
        self.control.advance(Phase::Ending);
    }
}

impl Server {
    /// Begins to build one.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A handle to it.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Waits until the server has been stopped and every connection has ended.
    ///
    /// # Errors
    /// If a worker could not go on.
    pub fn join(self) -> io::Result<()> {
        let mut outcome = Ok(());
        for thread in self.threads {
            let ended = thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a worker panicked")));
            outcome = outcome.and(ended);
        }
        self.blocking.stop();
        if let Some(log) = self.log {
            log.finish();
        }
        outcome
    }

    fn start<A, F>(limits: Limits, factory: Arc<F>) -> Result<Self, StartError>
    where
        A: App,
        F: Fn(&WorkerInfo) -> A + Send + Sync + 'static,
    {
        let (backend, driver_reason) =
            Backend::choose(limits.driver, limits.workers).map_err(StartError::Driver)?;
        let mut bound = Bound::bind(&limits)?;
        let unix_paths = bound.take_unix_paths();
        let info = Arc::new(ServerInfo {
            addresses: bound.addresses(),
            workers: limits.workers,
            driver: backend.name(),
            driver_reason,
        });
        let listeners = bound
            .take_workers(limits.workers, &info)
            .map_err(StartError::System)?;
        let certificates = bound
            .take_certificates()
            .start()
            .map_err(StartError::System)?;
        let (writer, log) = Writer::start(limits.log_access)
            .map_err(StartError::System)?
            .unzip();
        let admission = Admission::new(&limits);
        let counters: Vec<_> = (0..limits.workers)
            .map(|_| Arc::new(WorkerCounters::new()))
            .collect();
        let watchdog = Watchdog::start(counters.clone()).map_err(StartError::System)?;
        let seed = Seed {
            limits,
            backend,
            info: info.clone(),
            admission,
            control: Arc::default(),
            blocking: Arc::default(),
            writer: writer.map(Arc::new),
            origin: Clock::origin(),
            _kept: Arc::new((watchdog, unix_paths, certificates)),
        };
        let handle = ServerHandle {
            control: seed.control.clone(),
            counters: Arc::new(counters.clone()),
            info,
        };
        let blocking = seed.blocking.clone();
        let threads = spawn_all(&seed, listeners, counters, &factory)?;
        Ok(Self {
            handle,
            threads,
            log,
            blocking,
        })
    }
}

/// Starts every worker's thread and waits until all are in place; one failure ends them all.
fn spawn_all<A, F>(
    seed: &Seed,
    listeners: Vec<Vec<Listening>>,
    counters: Vec<Arc<WorkerCounters>>,
    factory: &Arc<F>,
) -> Result<Vec<JoinHandle<io::Result<()>>>, StartError>
where
    A: App,
    F: Fn(&WorkerInfo) -> A + Send + Sync + 'static,
{
    let cores = pinning(&seed.limits);
    let (report, reports) = channel();
    let mut threads = Vec::new();
    for (index, (listeners, counters)) in listeners.into_iter().zip(counters).enumerate() {
        let (seed, factory, worker_report) = (seed.clone(), factory.clone(), report.clone());
        let core = cores.as_ref().map(|cores| cores[index % cores.len()]);
        let spawned = std::thread::Builder::new()
            .name(format!("lanner-{index}"))
            .spawn(move || {
                if let Some(core) = core
                    && !core_affinity::set_for_current(core)
                {
                    tracing::warn!(worker = index, "could not be pinned to its CPU");
                }
                seed.work(index, listeners, counters, &*factory, &worker_report)
            });
        match spawned {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                let _ = report.send(Err(error));
            }
        }
    }
    drop(report);
    let failure = reports
        .iter()
        .take(seed.limits.workers)
        .find_map(Result::err);
    match failure {
        None => Ok(threads),
        Some(error) => {
            seed.control.advance(Phase::Ending);
            threads.into_iter().for_each(|thread| drop(thread.join()));
            Err(StartError::System(error))
        }
    }
}

/// The CPUs to pin to, if workers are pinned: when there is one for each, so that two servers of the same machine,
/// each with fewer workers than CPUs, do not sit on the same ones.
fn pinning(limits: &Limits) -> Option<Vec<core_affinity::CoreId>> {
    let cores = core_affinity::get_core_ids().filter(|cores| !cores.is_empty())?;
    let pin = match limits.pin {
        Pin::Off => false,
        Pin::On => true,
        Pin::Auto => cores.len() == limits.workers,
    };
    pin.then_some(cores)
}

/// What a worker's thread is grown from.
#[derive(Clone)]
struct Seed {
    limits: Limits,
    backend: Backend,
    info: Arc<ServerInfo>,
    admission: Arc<Admission>,
    control: Arc<Control>,
    blocking: Arc<BlockingPool>,
    writer: Option<Arc<Writer>>,
    origin: Instant,
    /// What lives until the last worker has ended.
    _kept: Arc<(Watchdog, UnixPaths, Option<Keeping>)>,
}

impl Seed {
    /// The life of a worker's thread.
    fn work<A, F>(
        self,
        index: usize,
        listeners: Vec<Listening>,
        counters: Arc<WorkerCounters>,
        factory: &F,
        report: &Sender<io::Result<()>>,
    ) -> io::Result<()>
    where
        A: App,
        F: Fn(&WorkerInfo) -> A,
    {
        let mut life = Life {
            index,
            counters: counters.clone(),
            control: self.control.clone(),
            ended_well: false,
        };
        let failed = |error: io::Error| {
            let copy = io::Error::new(error.kind(), error.to_string());
            let _ = report.send(Err(error));
            copy
        };
        let context = Context::new(self.blocking, self.control.clone()).map_err(failed)?;
        self.control.join(context.ready.clone());
        let _entered = context.enter();
        let info = WorkerInfo {
            index,
            server: self.info,
        };
        let app = catch_unwind(AssertUnwindSafe(|| factory(&info)))
            .map_err(|_| failed(io::Error::other("the app's factory panicked")))?;
        // Awaited where it is made: an `await` of the call itself would copy its future twice on the way to its place.
        let dispatch = Dispatcher::new(app, async |app: Rc<A>, request| {
            pin!(app.call(request)).await
        });
        let shared = Shared {
            limits: Rc::new(self.limits),
            pool: Pool::default(),
            exchanges: Exchanges::new(dispatch, context.ready.clone()),
            date: Date::new(),
            access_log: self
                .writer
                .map(|writer| writer.for_worker(counters.clone())),
            counters,
            admission: self.admission,
            text: Vec::new(),
        };
        let worker = Worker::new(shared, context.clone(), Moment::ZERO);
        let setup = Setup {
            worker,
            listeners,
            control: self.control,
            origin: self.origin,
        };
        let started = || {
            let _ = report.send(Ok(()));
        };
        let outcome = self.backend.run(setup, started).map_err(failed);
        life.ended_well = outcome.is_ok();
        outcome
    }
}

/// A worker that ends. One that ends badly takes the server with it: its share of the connections would go nowhere
/// while the others went on as if nothing had happened.
struct Life {
    index: usize,
    counters: Arc<WorkerCounters>,
    control: Arc<Control>,
    ended_well: bool,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.counters.pulse.rest();
        if !self.ended_well {
            tracing::error!(worker = self.index, "a worker has failed; the server ends");
            self.control.advance(Phase::Ending);
        }
    }
}

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    /// The limits contradict each other or are no limits.
    Limits(Mistakes),
    /// The driver that was asked for cannot run here.
    Driver(io::Error),
    /// An address could not be bound.
    Listen {
        /// The listener.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A listener's certificates, or what else its TLS needs, cannot be used.
    Tls {
        /// The listener.
        what: String,
        /// Which file or setting, and what is wrong with it.
        problem: String,
    },
    /// The system refused something else that is needed.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limits(mistakes) => write!(f, "{mistakes}"),
            Self::Driver(error) => write!(f, "the driver cannot run: {error}"),
            Self::Listen { what, source } => write!(f, "cannot listen on {what}: {source}"),
            Self::Tls { what, problem } => write!(f, "cannot serve {what}: {problem}"),
            Self::System(error) => write!(f, "cannot start: {error}"),
        }
    }
}

impl std::error::Error for StartError {}
