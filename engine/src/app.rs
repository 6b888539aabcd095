//! The app: what answers requests.

use crate::blocking::BlockingError;
use crate::body::BodyError;
use crate::request::{Request, RequestView};
use crate::response::Response;
use lanner_protocol::{Overrides, Status};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;

/// An app answers requests on one worker's thread. Its futures stay there, so they need not be `Send`, and the app may
/// keep its state in a `Cell`.
pub trait App: 'static {
    /// Answers one request.
    ///
    /// The future is dropped at its await when the client resets the connection or a limit cuts it. An error becomes
    /// its status (500 unless it says otherwise); a panic becomes a 500, and the worker lives on.
    ///
    /// # Errors
    /// Whatever the app cannot answer: see [`Error`].
    fn call(&self, request: Request) -> impl Future<Output = Result<Response, Error>>;

    /// Changes limits for one request before its announced length is judged: a route that takes uploads says here how
    /// large they may be.
    fn admit(&self, head: RequestView<'_>) -> Overrides {
        let _ = head;
        Overrides::default()
    }
}

/// Every closure from a request to a future is an app.
impl<F, T> App for F
where
    F: Fn(Request) -> T + 'static,
    T: Future<Output = Result<Response, Error>> + 'static,
{
    fn call(&self, request: Request) -> impl Future<Output = Result<Response, Error>> {
        self(request)
    }
}

/// Any app behind one type, for routes that are chosen by configuration. It costs an allocation a request.
#[derive(Clone)]
pub struct BoxApp(Rc<dyn Erased>);

trait Erased {
    fn call_erased(self: Rc<Self>, request: Request) -> ErasedCall;
    fn admit_erased(&self, head: RequestView<'_>) -> Overrides;
}

type ErasedCall = Pin<Box<dyn Future<Output = Result<Response, Error>>>>;

impl<A: App> Erased for A {
    fn call_erased(self: Rc<Self>, request: Request) -> ErasedCall {
        Box::pin(async move { self.call(request).await })
    }

    fn admit_erased(&self, head: RequestView<'_>) -> Overrides {
        self.admit(head)
    }
}

impl BoxApp {
    /// Hides an app's type.
    pub fn new(app: impl App) -> Self {
        Self(Rc::new(app))
    }
}

impl App for BoxApp {
    async fn call(&self, request: Request) -> Result<Response, Error> {
        self.0.clone().call_erased(request).await
    }

    fn admit(&self, head: RequestView<'_>) -> Overrides {
        self.0.admit_erased(head)
    }
}

/// What an app could not do. Any error converts into it by `?`; the client sees only the status, the log the rest.
pub struct Error {
    status: Status,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl Error {
    /// An error that is answered with `status`.
    pub fn with_status(
        status: Status,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            status,
            source: source.into(),
        }
    }

    /// What the client is answered.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether the cause was a request body that could not be read: the engine's own answer then stands in for this.
    pub fn is_body_error(&self) -> bool {
        self.source.is::<BodyError>()
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(source: E) -> Self {
        let any = &source as &dyn std::any::Any;
        let status = if any.is::<BodyError>() {
            Status::BAD_REQUEST
        } else if matches!(any.downcast_ref(), Some(BlockingError::QueueFull)) {
            Status::SERVICE_UNAVAILABLE
        } else {
            Status::INTERNAL_SERVER_ERROR
        };
        Self {
            status,
            source: Box::new(source),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({}: {})", self.status, self.source)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        let mut cause = self.source.source();
        while let Some(source) = cause {
            write!(f, ": {source}")?;
            cause = source.source();
        }
        Ok(())
    }
}
