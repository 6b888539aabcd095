//! The two ends of a worker's turn, the same on every backend: the clock is read, a gap in which the worker stood still
//! is told of, and the watchdog's pulse beats.

use crate::clock::{Clock, Gap};
use crate::control::StopPlan;
use crate::counters::Count;
use crate::exchange::Dispatch;
use crate::worker::Worker;
use lanner_limits::Moment;
use std::time::{Duration, Instant};

/// Gives the worker its clock. Its first turn has begun then.
pub(super) fn first<D: Dispatch>(worker: &mut Worker<D>, origin: Instant) -> Moment {
    worker.context.clock.replace(Some(Clock::new(origin)));
    begins(worker, None)
}

/// After a wait that was to last `planned` at most.
pub(super) fn begins<D: Dispatch>(worker: &mut Worker<D>, planned: Option<Duration>) -> Moment {
    worker.shared.counters.pulse.beat();
    worker.context.ready.wake_up();
    let now = read(worker, "the worker was not running", |clock| {
        clock.turn_begins(planned)
    });
    worker.turn_begins(now);
    now
}

/// Before the next wait.
pub(super) fn ends<D: Dispatch>(worker: &Worker<D>) -> Moment {
    let now = read(worker, "a handler held up its worker", Clock::turn_ends);
    worker.shared.counters.pulse.beat();
    now
}

/// When a stop's next step is due, in the worker's time as the wait's other bounds are: the step itself goes by the
/// real one, so that handlers which block cannot hold `LANNER_SHUTDOWN_TIMEOUT` up. To be asked between [`ends`], which
/// said `before`, and the wait.
pub(super) fn stop_due<D: Dispatch>(
    worker: &Worker<D>,
    stop: StopPlan,
    before: Moment,
) -> Option<Moment> {
    stop.due()
        .map(|due| before + due.since(worker.context.real()))
}

fn read<D: Dispatch>(
    worker: &Worker<D>,
    standstill: &str,
    read: impl FnOnce(&mut Clock) -> (Moment, Option<Gap>),
) -> Moment {
    let context = &worker.context;
    let (now, gap) = match &mut *context.clock.borrow_mut() {
        Some(clock) => read(clock),
        None => (context.now.get(), None),
    };
    if let Some(Gap(length)) = gap {
        worker.shared.counters.add(Count::Gaps);
        tracing::warn!(
            seconds = length.as_secs_f32(),
            "{standstill}; every deadline moves by as much"
        );
    }
    now
}
