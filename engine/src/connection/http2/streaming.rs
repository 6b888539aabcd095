//! One stream as its exchange sees it: what an exchange asks of a `Wire`, asked of HTTP/2.

use super::*;

/// See the file's comment.
pub(super) struct Streaming<'a> {
    pub(super) http: &'a mut Connection,
    pub(super) stream: StreamKey,
    pub(super) arrivals: &'a mut Option<Box<Arrivals>>,
}

impl Wire for Streaming<'_> {
    fn in_exchange(&self) -> bool {
        self.http.has(self.stream)
    }

    fn body_open(&self) -> bool {
        // One that waited for its turn may have come as a whole meanwhile.
        self.arrivals.is_some() || self.http.body_open(self.stream)
    }

    fn answered(&self) -> Option<Status> {
        self.http.answered(self.stream)
    }

    fn body_bytes_sent(&self) -> u64 {
        self.http.body_bytes_sent(self.stream)
    }

    fn admit(&mut self, turn: &mut Turn<'_>, overrides: Overrides) -> bool {
        self.http.admit(self.stream, turn, overrides)
    }

    fn handle_queued(&mut self, now: Moment, timeout: Duration) {
        self.http.handle_queued(self.stream, now, timeout);
    }

    fn handle_dequeued(&mut self, now: Moment) {
        self.http.handle_dequeued(self.stream, now);
    }

    fn respond(
        &mut self,
        turn: &mut Turn<'_>,
        head: &ResponseHead<'_>,
        complete: bool,
    ) -> Result<(), ResponseError> {
        self.http.respond(self.stream, turn, head, complete)
    }

    /// HTTP/2 has no Upgrade (RFC 9113 section 8.6), and extended CONNECT is not offered yet.
    fn respond_upgrade(
        &mut self,
        _turn: &mut Turn<'_>,
        _protocol: &str,
        _fields: &Fields,
    ) -> Result<(), ResponseError> {
        Err(ResponseError::InformationalStatus)
    }

    fn sends_body(&self) -> bool {
        self.http.sends_body(self.stream)
    }

    fn accepts_body(&mut self, turn: &Turn<'_>, _limits: &Limits) -> bool {
        self.http.accepts_body(self.stream, turn)
    }

    fn send(&mut self, turn: &mut Turn<'_>, piece: Bytes) -> Result<(), ResponseError> {
        self.http.send(self.stream, turn, piece)
    }

    fn finish(
        &mut self,
        turn: &mut Turn<'_>,
        trailers: Option<&Fields>,
    ) -> Result<(), ResponseError> {
        self.http.finish(self.stream, turn, trailers)
    }

    fn refuse(&mut self, turn: &mut Turn<'_>, refusal: Refusal) {
        self.http.refuse(self.stream, turn, refusal);
    }

    fn truncate(&mut self, turn: &mut Turn<'_>, _reason: EndReason) {
        self.http
            .reset(self.stream, turn, ErrorCode::INTERNAL_ERROR);
    }

    fn abort(&mut self, turn: &mut Turn<'_>) {
        self.http.reset(self.stream, turn, ErrorCode::CANCEL);
    }

    fn feed<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        output: &mut Output,
        link: &Link,
        now: Moment,
    ) -> Fed {
        let mut turn = shared.turn(output, now);
        let next = self
            .arrivals
            .as_mut()
            .map_or(Next::Nothing, |arrivals| arrivals.take(&shared.pool));
        Fed::Delivered(match next {
            Next::Nothing => {
                // What comes next goes to the app as it lies.
                *self.arrivals = None;
                self.http.want_body(self.stream, &mut turn);
                return Fed::Nothing;
            }
            Next::Piece { chunk, last } => {
                self.http.consumed(self.stream, &mut turn, chunk.len());
                link.deliver(chunk, last)
            }
            Next::End(End::Whole(fields)) => link.deliver_end(fields),
            Next::End(End::Failed(error)) => link.deliver_failure(error),
        })
    }
}
