//! Clients whose input is not wanted for a while: what a driver makes of them that is not asked before it receives.

use super::{Client, Promise, Step};
use crate::simulation::app::pattern;
use crate::simulation::random::Random;
use std::time::Duration;

impl Client {
    /// Sends far more than is wanted to an app that does not read for a while.
    pub(in crate::simulation) fn uploading_to_a_slow_app(random: &mut Random) -> Self {
        let mut client = Self::new("uploading to a slow app", Promise::Answers, random);
        let body = pattern(random.within(1_000_000..2_000_000));
        client.send(format!(
            "POST /late/{} HTTP/1.1\r\nHost: sim\r\nContent-Length: {}\r\n\r\n",
            random.within(1_000..3_000),
            body.len()
        ));
        client.socket.capacity = 1 << 20;
        client.request(body.clone(), 200, body);
        client.await_all();
        client
    }

    /// Is gone while the app works for it, and while nothing more is wanted from it.
    pub(in crate::simulation) fn gone_while_being_worked_for(random: &mut Random) -> Self {
        let at_once = Promise::Cut {
            status: None,
            within: Duration::ZERO,
            early: Duration::ZERO,
            reset: false,
        };
        let mut client = Self::new("gone while being worked for", at_once, random);
        for _ in 0..random.within(1..6) {
            client.send("GET /never HTTP/1.1\r\nHost: sim\r\n\r\n");
            client.script.push(Step::Sleep(random.millis(0..200)));
        }
        client.script.push(Step::Mark);
        client.script.push(Step::Reset);
        client
    }
}
