//! Giving the app the request body, piece by piece, when it asks.

use super::Connection;
use crate::body::{BodyError, Chunk};
use crate::exchange::Dispatch;
use crate::shared::Shared;
use lanner_limits::{Moment, UnderscoreHeaders};
use lanner_protocol::{Event, Fields, Misbehaviour, Refusal, chunked};
use std::task::Waker;

impl Connection {
    /// Gives the app the next piece of the body, if it waits for one and there is one.
    pub(super) fn feed<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        slot: u32,
        now: Moment,
    ) -> bool {
        let link = shared.exchanges.slot(slot).link.clone();
        if !link.is_wanted() {
            return false;
        }
        let mut turn = shared.turn(&mut self.output, now);
        self.http.want_body(&mut turn, self.input.len());
        loop {
            let mut turn = shared.turn(&mut self.output, now);
            let step = self.http.poll_body(&mut turn, self.input.unread());
            let reader = match step.event {
                Event::Data { at, last } if at.is_empty() && last => link.deliver_end(None),
                Event::Data { at, last } => match self.input.share(&shared.pool, at) {
                    Some(piece) => link.deliver(Chunk(piece), last),
                    // The range lies in the input, so it is there; a body cut short must never look whole.
                    None => link.deliver_failure(BodyError::Aborted),
                },
                Event::End { trailers } => {
                    match trailer_fields(&self.input.unread()[trailers], shared) {
                        Ok(fields) => link.deliver_end(fields),
                        Err(refusal) => {
                            self.http.fail_trailers(refusal);
                            link.deliver_failure(refusal.into())
                        }
                    }
                }
                Event::BodyFailed(refusal) => link.deliver_failure(refusal.into()),
                Event::More if step.consumed > 0 && step.consumed < self.input.len() => {
                    self.input.consume(step.consumed);
                    continue;
                }
                Event::More
                | Event::Held
                | Event::Head { .. }
                | Event::FoldedHead { .. }
                | Event::Closing => {
                    self.input.consume(step.consumed);
                    return false;
                }
            };
            self.input.consume(step.consumed);
            self.wake_reader(shared, slot, reader);
            return true;
        }
    }

    /// The reader is usually the exchange's own future, which is polled next anyway.
    fn wake_reader<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        slot: u32,
        reader: Option<Waker>,
    ) {
        let exchange = shared.exchanges.slot(slot);
        match reader {
            Some(reader) if reader.will_wake(exchange.waker()) => exchange.due = true,
            Some(reader) => reader.wake(),
            None => {}
        }
    }

    /// The client has ended its side.
    pub(crate) fn handle_eof<D: Dispatch>(&mut self, shared: &mut Shared<D>) {
        let refusal = self.http.handle_eof();
        self.fail_body(shared, refusal);
    }

    /// A deadline may have passed.
    pub(crate) fn handle_timeout<D: Dispatch>(&mut self, shared: &mut Shared<D>, now: Moment) {
        let mut turn = shared.turn(&mut self.output, now);
        let refusal = self.http.handle_timeout(&mut turn);
        self.fail_body(shared, refusal);
    }

    fn fail_body<D: Dispatch>(&mut self, shared: &mut Shared<D>, refusal: Option<Refusal>) {
        if let (Some(refusal), Some(slot)) = (refusal, self.exchange) {
            let reader = shared
                .exchanges
                .slot(slot)
                .link
                .deliver_failure(BodyError::from(refusal));
            self.wake_reader(shared, slot, reader);
        }
    }
}

fn trailer_fields<D: Dispatch>(
    bytes: &[u8],
    shared: &Shared<D>,
) -> Result<Option<Fields>, Refusal> {
    let mut spans = Vec::new();
    chunked::parse_trailers(bytes, &shared.limits, &mut spans)?;
    let mut fields = Fields::new();
    for span in &spans {
        if span.name.slice(bytes).contains(&b'_') {
            match shared.limits.underscore_headers {
                UnderscoreHeaders::Allow => {}
                UnderscoreHeaders::Drop => continue,
                UnderscoreHeaders::Reject => return Err(Misbehaviour::UnderscoreField.into()),
            }
        }
        // What the parser let through is valid, and no trailer may be a field that frames messages.
        let _ = fields.append(span.name.str(bytes), span.value.slice(bytes));
    }
    Ok((!fields.is_empty()).then_some(fields))
}
