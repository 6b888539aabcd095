//! What was said in the log and is still so: nobody is told the same every two seconds, and nobody forgets it for good.

use std::collections::BTreeMap;

/// How long until the same is said again, for as long as it is so.
const AGAIN_AFTER_SECONDS: u64 = 24 * 3_600;

/// What was said, and when. Bounded by what there is to be said: what is no longer so is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Reminders(BTreeMap<String, u64>);

impl Reminders {
    /// Of all that is so now, what is to be said now.
    pub(crate) fn due(&mut self, warnings: Vec<String>, now: u64) -> Vec<String> {
        let said = std::mem::take(&mut self.0);
        let mut due = Vec::new();
        for warning in warnings {
            let recent = said.get(&warning).copied();
            // A clock that was set back must not silence anything for long.
            let recent = recent.filter(|then| now.abs_diff(*then) < AGAIN_AFTER_SECONDS);
            let known = self.0.insert(warning.clone(), recent.unwrap_or(now));
            if recent.is_none() && known.is_none() {
                due.push(warning);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::{DAY, NOW};

    #[test]
    fn each_thing_is_said_when_it_becomes_so_and_once_a_day_while_it_is() {
        let mut reminders = Reminders::default();
        let mut due = |words: &str, now| {
            let warnings = words.split_whitespace().map(str::to_owned).collect();
            reminders.due(warnings, now).join(" ")
        };
        assert_eq!(due("a", NOW), "a");
        assert_eq!(due("a a", NOW + 2), "");
        assert_eq!(due("a b b", NOW + 4), "b");
        assert_eq!(due("b a", NOW + DAY - 1), "");
        assert_eq!(due("b a", NOW + DAY), "a");
        assert_eq!(due("b", NOW + DAY + 4), "b");
        // It went, and has come again.
        assert_eq!(due("a b", NOW + DAY + 6), "a");
        assert_eq!(due("a b", NOW - DAY), "a b");
    }
}
