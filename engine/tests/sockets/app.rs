//! Apps that several tests use, and the gate at which an app waits for its test.

use lanner::{Error, Request, Response};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

pub(crate) async fn hello(_request: Request) -> Result<Response, Error> {
    Ok(Response::text("Hello, World!"))
}

/// Answers with the request's target.
pub(crate) async fn target(request: Request) -> Result<Response, Error> {
    Ok(Response::text(request.target().to_owned()))
}

/// Sends the body back as it comes.
pub(crate) async fn echo(request: Request) -> Result<Response, Error> {
    Ok(Response::stream(None, request.into_body()))
}

/// Reads the body, then says how long it was and what its bytes add up to.
pub(crate) async fn sum(mut request: Request) -> Result<Response, Error> {
    let (mut bytes, mut total) = (0u64, 0u64);
    while let Some(chunk) = request.body().chunk().await {
        let chunk = chunk?;
        bytes += chunk.len() as u64;
        total += chunk.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    }
    Ok(Response::text(format!("{bytes} {total}")))
}

/// Where an app waits until its test opens, from another thread.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    open: bool,
    /// Who came so far, whether they still wait or not.
    arrived: usize,
    waiting: Vec<Waker>,
}

impl Gate {
    pub(crate) fn open(&self) {
        let mut state = self.0.lock().unwrap();
        state.open = true;
        state.waiting.drain(..).for_each(Waker::wake);
    }

    /// How many came to the gate so far.
    pub(crate) fn arrived(&self) -> usize {
        self.0.lock().unwrap().arrived
    }

    /// Waits until so many came.
    pub(crate) fn until_arrived(&self, count: usize) {
        crate::server::until(
            || self.arrived() >= count,
            || format!("{count} at the gate, where {} are", self.arrived()),
        );
    }

    pub(crate) async fn pass(&self) {
        self.0.lock().unwrap().arrived += 1;
        std::future::poll_fn(|context| {
            let mut state = self.0.lock().unwrap();
            if state.open {
                return Poll::Ready(());
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
