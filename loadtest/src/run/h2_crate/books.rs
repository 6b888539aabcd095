//! What one thread of the second opinion counts, by the rules of our own lanes' closed loop.

use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use lanner_limits::Moment;

use super::counted::Traffic;
use crate::run::lane::Report;
use crate::run::outcome::{Interval, Tally};
use crate::run::plan::Plan;
use crate::run::trouble::{Kind, Trouble, Troubles, Waited};

/// See the file's comment.
#[derive(Debug)]
pub(super) struct Books {
    lane: usize,
    reports: Sender<Report>,
    traffic: Rc<Traffic>,
    recorded_from: Moment,
    end: Moment,
    every: Duration,
    pieces: u64,
    interval: Interval,
    is_recording: bool,
    under_way: u64,
    /// Asked for on each connection.
    streams: usize,
    tally: Tally,
}

impl Books {
    pub(super) fn new(
        plan: &Plan,
        lane: usize,
        traffic: Rc<Traffic>,
        reports: Sender<Report>,
    ) -> Self {
        let recorded_from = Moment::ZERO + plan.warm_up;
        Self {
            lane,
            reports,
            traffic,
            recorded_from,
            end: recorded_from + plan.duration,
            every: plan.interval(),
            pieces: plan.pieces(),
            interval: Interval::new(0),
            is_recording: plan.warm_up.is_zero(),
            under_way: 0,
            streams: plan.version.depth(),
            tally: Tally::default(),
        }
    }

    pub(super) fn connected(&mut self, took: Duration) {
        self.tally.connect.record(took);
    }

    pub(super) fn agreed(&mut self, took: Duration, is_resumed: bool) {
        self.tally.handshake.record(took);
        self.tally.resumed += u64::from(is_resumed);
    }

    pub(super) fn sent(&mut self) {
        self.under_way += 1;
    }

    pub(super) fn body(&mut self, bytes: usize) {
        self.tally.body_bytes += bytes as u64;
    }

    pub(super) fn answered(&mut self, start: Moment, now: Moment, status: u16) {
        self.under_way -= 1;
        let latency = now.since(start);
        self.interval.latency.record(latency);
        if now >= self.recorded_from && now < self.end {
            self.tally.in_time.answers += 1;
            self.tally.latency.record(latency);
            *self.tally.statuses.entry(status).or_default() += 1;
        } else if now >= self.end {
            // Too late for this run, as what is still under way.
            self.tally.unfinished += 1;
        }
    }

    pub(super) fn lost(&mut self, start: Moment, now: Moment, trouble: &Trouble) {
        self.under_way -= 1;
        self.interval.troubles += 1;
        if now >= self.recorded_from {
            self.tally.troubles.add(trouble, 1);
            if trouble.kind == Kind::TimedOut {
                self.tally.latency.record(now.since(start));
            }
        }
    }

    /// A connection failed on which nothing was lost.
    pub(super) fn failed(&mut self, trouble: &Trouble) {
        self.interval.troubles += 1;
        self.tally.troubles.add(trouble, 1);
    }

    /// The server allows so many streams on a connection.
    pub(super) fn note_streams(&mut self, allowed: usize) {
        if allowed < self.streams {
            self.tally.allow_streams(allowed);
        }
    }

    /// So often something is still waited for, and the time is over.
    pub(super) fn note_in_vain(&mut self, trouble: &Trouble, count: u64) {
        self.tally.in_vain.add(trouble, count);
    }

    pub(super) fn give_up(&self, trouble: Trouble) {
        drop(self.reports.send(Report::Hopeless(trouble)));
    }

    pub(super) fn handle_time(&mut self, now: Moment) {
        if !self.is_recording && now >= self.recorded_from {
            self.is_recording = true;
            self.tally.forget_bytes();
            self.traffic.read.set(0);
            self.traffic.written.set(0);
        }
        let number = now.since(Moment::ZERO).as_nanos() / self.every.as_nanos().max(1);
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        while self.interval.number < number.min(self.pieces - 1) {
            let next = Interval::new(self.interval.number + 1);
            self.tell(next);
        }
    }

    fn tell(&mut self, next: Interval) {
        let told = std::mem::replace(&mut self.interval, next);
        drop(self.reports.send(Report::Interval(self.lane, told)));
    }

    /// The time is over.
    pub(super) fn close(mut self, now: Moment) -> Tally {
        self.handle_time(now);
        self.tally.bytes_read = self.traffic.read.get();
        self.tally.bytes_written = self.traffic.written.get();
        if now >= self.recorded_from {
            self.tally.unfinished += self.under_way;
            self.note_in_vain(&Waited::ToTheEnd.for_an_answer(None), self.under_way);
        } else {
            self.tally.in_vain = Troubles::default();
            self.tally.forget_bytes();
        }
        self.tally.note_bytes();
        let next = Interval::new(self.interval.number + 1);
        self.tell(next);
        self.tally
    }
}
