//! Sending what the app answers: a whole body at once, a stream as it comes, or another protocol.

use super::Progress;
use super::driving::Drive;
use super::wire::Wire;
use crate::caught::caught;
use crate::counters::Count;
use crate::exchange::{Dispatch, Stage};
use crate::response::{self, Response, ResponseBody};
use crate::shared::Shared;
use crate::upgrade::Upgraded;
use bytes::Buf as _;
use lanner_limits::Trip;
use lanner_protocol::{BodyLength, EndReason, Fields, ResponseHead, Status};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

/// How many pieces of a response body are taken from the app before other connections get their turn.
const BODY_PIECES_PER_TURN_MAX: usize = 64;

impl<W: Wire> Drive<'_, W> {
    /// Begins the app's answer, and ends it too where the body is whole.
    #[inline(always)]
    pub(super) fn respond<D: Dispatch>(&mut self, shared: &mut Shared<D>, response: Response) {
        let mut turn = shared.turn(self.output, self.now);
        let (length, complete) = match &response.body {
            ResponseBody::Empty => (BodyLength::Known(0), true),
            ResponseBody::Whole(bytes) => (BodyLength::Known(bytes.len() as u64), true),
            ResponseBody::Stream { length, .. } => {
                (length.map_or(BodyLength::Unknown, BodyLength::Known), false)
            }
            ResponseBody::Upgrade { .. } => {
                return self.upgrade(shared, response.fields, response.body);
            }
            ResponseBody::Reset => {
                self.wire.abort(&mut turn);
                return self.end_early(shared);
            }
        };
        let head = ResponseHead {
            status: response.status,
            fields: &response.fields,
            length,
        };
        let begun = self.wire.respond(&mut turn, &head, complete);
        response::recycle(response.fields);
        if let Err(error) = begun {
            tracing::error!(%error, connection = self.info.id, "the app's response cannot be sent");
            caught(&shared.counters, "while its answer was dropped", || {
                drop(response.body);
            });
            return self.respond_with(shared, Status::INTERNAL_SERVER_ERROR);
        }
        match response.body {
            ResponseBody::Whole(bytes) => {
                // The length announced is the body's own.
                let _ = self.wire.send(&mut turn, bytes);
                self.finish(shared, None);
            }
            ResponseBody::Stream { stream, .. } => {
                let exchange = shared.exchanges.slot(self.slot);
                exchange.link.answer_begins();
                exchange.stage = Stage::Streaming(stream);
                exchange.due = true;
                if !self.wire.sends_body() {
                    self.finish_apart(shared, None);
                }
            }
            _ => self.finish(shared, None),
        }
    }

    /// Ends the answer, and with it the exchange.
    #[inline(always)]
    fn finish<D: Dispatch>(&mut self, shared: &mut Shared<D>, trailers: Option<&Fields>) {
        let mut turn = shared.turn(self.output, self.now);
        let finished = self.wire.finish(&mut turn, trailers);
        if let Err(error) = &finished {
            tracing::error!(%error, connection = self.info.id, "the app's response could not be completed");
        }
        self.end(shared, finished.is_err());
    }

    /// The same for an answer that was begun before, to which one more call is little.
    #[inline(never)]
    fn finish_apart<D: Dispatch>(&mut self, shared: &mut Shared<D>, trailers: Option<&Fields>) {
        self.finish(shared, trailers);
    }

    pub(super) fn drive_stream<D: Dispatch>(&mut self, shared: &mut Shared<D>) -> Progress {
        if !shared.exchanges.slot(self.slot).due {
            return Progress::Stalled;
        }
        for _ in 0..BODY_PIECES_PER_TURN_MAX {
            let turn = shared.turn(self.output, self.now);
            // When the backlog has gone out, the driver gives another turn.
            if !self.wire.accepts_body(&turn, &shared.limits) {
                return Progress::Stalled;
            }
            let exchange = shared.exchanges.slot(self.slot);
            let waker = exchange.waker().clone();
            let Stage::Streaming(stream) = &mut exchange.stage else {
                return Progress::Stalled;
            };
            exchange.link.attend(true);
            let polled = catch_unwind(AssertUnwindSafe(|| {
                stream.as_mut().poll_frame(&mut Context::from_waker(&waker))
            }));
            exchange.link.attend(false);
            let frame = match polled {
                Ok(Poll::Pending) => {
                    exchange.due = false;
                    return Progress::Stalled;
                }
                Ok(Poll::Ready(None)) => {
                    self.finish_apart(shared, None);
                    return Progress::Made;
                }
                Ok(Poll::Ready(Some(Ok(frame)))) => frame,
                Ok(Poll::Ready(Some(Err(error)))) => {
                    caught(&shared.counters, "in the error it returned", || {
                        // A client's broken body is the client's fault, and it may send one every millisecond.
                        if !error.is_body_error() {
                            tracing::warn!(%error, connection = self.info.id, "the app failed within its response");
                        }
                        drop(error);
                    });
                    return self.fail_response(shared);
                }
                Err(_) => {
                    shared.counters.add(Count::Panics);
                    tracing::error!(
                        connection = self.info.id,
                        "the app panicked within its response"
                    );
                    return self.fail_response(shared);
                }
            };
            let mut turn = shared.turn(self.output, self.now);
            match frame.into_data() {
                Ok(mut piece) => {
                    if let Err(error) = self
                        .wire
                        .send(&mut turn, piece.copy_to_bytes(piece.remaining()))
                    {
                        tracing::error!(%error, connection = self.info.id, "the app's response is too long");
                        self.end_early(shared);
                        return Progress::Made;
                    }
                }
                Err(frame) => {
                    let trailers = response::trailers(frame);
                    self.finish_apart(shared, trailers.as_ref());
                    return Progress::Made;
                }
            }
        }
        Progress::Yield
    }

    /// What is out cannot be taken back: the answer is cut short, so that the client cannot take it for the whole.
    fn fail_response<D: Dispatch>(&mut self, shared: &mut Shared<D>) -> Progress {
        let mut turn = shared.turn(self.output, self.now);
        self.wire
            .truncate(&mut turn, EndReason::ErrorAfterStartingResponse);
        self.end_early(shared);
        Progress::Made
    }

    fn upgrade<D: Dispatch>(&mut self, shared: &mut Shared<D>, fields: Fields, body: ResponseBody) {
        let ResponseBody::Upgrade { protocol, handler } = body else {
            return;
        };
        if !shared
            .exchanges
            .slot(self.slot)
            .head
            .offers_upgrade(protocol)
        {
            tracing::error!(
                connection = self.info.id,
                "the request did not offer an upgrade to {protocol}"
            );
            caught(&shared.counters, "while its upgrade was refused", || {
                drop(handler);
            });
            return self.respond_with(shared, Status::INTERNAL_SERVER_ERROR);
        }
        let mut turn = shared.turn(self.output, self.now);
        if !shared
            .admission
            .try_upgrade(shared.limits.max_upgraded_connections)
        {
            self.wire
                .refuse(&mut turn, Trip::MaxUpgradedConnections.into());
            caught(&shared.counters, "while its upgrade was refused", || {
                drop(handler);
            });
            return self.end_early(shared);
        }
        if let Err(error) = self.wire.respond_upgrade(&mut turn, protocol, &fields) {
            shared.admission.end_upgrade();
            tracing::error!(%error, connection = self.info.id, "the request did not offer an upgrade");
            caught(&shared.counters, "while its upgrade was refused", || {
                drop(handler);
            });
            return self.respond_with(shared, Status::INTERNAL_SERVER_ERROR);
        }
        response::recycle(fields);
        let exchange = shared.exchanges.slot(self.slot);
        exchange.link.reopen();
        exchange.stage = Stage::Upgraded(handler(Upgraded::new(exchange.link.clone())));
        exchange.due = true;
        shared.exchanges.release_place();
    }

    pub(super) fn drive_upgrade<D: Dispatch>(&mut self, shared: &mut Shared<D>) -> Progress {
        let exchange = shared.exchanges.slot(self.slot);
        if std::mem::take(&mut exchange.due) {
            let waker = exchange.waker().clone();
            let Stage::Upgraded(handler) = &mut exchange.stage else {
                return Progress::Stalled;
            };
            exchange.link.attend(true);
            let polled = catch_unwind(AssertUnwindSafe(|| {
                handler.as_mut().poll(&mut Context::from_waker(&waker))
            }));
            exchange.link.attend(false);
            let finished = match polled {
                Ok(polled) => polled.is_ready(),
                Err(_) => {
                    shared.counters.add(Count::Panics);
                    tracing::error!(
                        connection = self.info.id,
                        "the handler of an upgraded connection panicked"
                    );
                    return self.fail_response(shared);
                }
            };
            let link = exchange.link.clone();
            self.send_upgraded(
                shared,
                &link,
                if finished {
                    usize::MAX
                } else {
                    shared.limits.response_buffer
                },
            );
            if finished {
                self.finish_apart(shared, None);
                return Progress::Made;
            }
            return Progress::Stalled;
        }
        let link = exchange.link.clone();
        let bytes_max = shared.limits.response_buffer;
        if self.send_upgraded(shared, &link, bytes_max) {
            Progress::Made
        } else {
            Progress::Stalled
        }
    }

    fn send_upgraded<D: Dispatch>(
        &mut self,
        shared: &Shared<D>,
        link: &crate::link::Link,
        bytes_max: usize,
    ) -> bool {
        let mut sent = false;
        while self.output.len() < bytes_max {
            let Some(bytes) = link.take_outgoing() else {
                break;
            };
            let mut turn = shared.turn(self.output, self.now);
            let _ = self.wire.send(&mut turn, bytes);
            sent = true;
        }
        sent
    }
}
