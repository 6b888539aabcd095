//! What the connections of a worker share: limits, memory, exchanges, the date, counters, caps and the access log.

use crate::access_log::AccessLog;
use crate::admission::Admission;
use crate::counters::WorkerCounters;
use crate::date::Date;
use crate::exchange::{Dispatch, Exchanges};
use crate::lease::Pool;
use crate::request::{ConnectionInfo, RequestHead};
use lanner_limits::{Limits, Moment};
use lanner_protocol::{Output, Status, Turn};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// See the file's comment.
pub(crate) struct Shared<D: Dispatch> {
    pub(crate) limits: Rc<Limits>,
    pub(crate) pool: Pool,
    pub(crate) exchanges: Exchanges<D>,
    pub(crate) date: Date,
    pub(crate) counters: Arc<WorkerCounters>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) access_log: Option<AccessLog>,
    /// Where the fields of a request of HTTP/2 are put together.
    pub(crate) text: Vec<u8>,
}

impl<D: Dispatch> Shared<D> {
    /// What a call of the protocol may use.
    pub(crate) fn turn<'a>(&'a self, output: &'a mut Output, now: Moment) -> Turn<'a> {
        Turn {
            now,
            output,
            date: self.date.bytes(),
        }
    }

    /// Writes the access log's line for a client that was refused before it came to a request.
    pub(crate) fn log_refusal(
        &mut self,
        connection: &Rc<ConnectionInfo>,
        status: Status,
        body_bytes: u64,
    ) {
        if let Some(log) = &mut self.access_log {
            let request = RequestHead {
                connection: Some(connection.clone()),
                ..RequestHead::default()
            };
            let seconds = self.date.seconds();
            log.line(&request, Some(status), body_bytes, Duration::ZERO, seconds);
        }
    }

    /// Writes the access log's line for an exchange that is over.
    #[inline]
    pub(crate) fn log_exchange(
        &mut self,
        slot: u32,
        status: Option<Status>,
        body_bytes: u64,
        now: Moment,
    ) {
        if self.access_log.is_some() {
            self.write_log(slot, status, body_bytes, now);
        }
    }

    fn write_log(&mut self, slot: u32, status: Option<Status>, body_bytes: u64, now: Moment) {
        if let Some(log) = &mut self.access_log {
            let exchange = self.exchanges.slot(slot);
            let duration = now.since(exchange.started);
            log.line(
                &exchange.head,
                status,
                body_bytes,
                duration,
                self.date.seconds(),
            );
        }
    }
}
