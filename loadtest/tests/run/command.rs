//! Runs as the command line asks for them.

use lanner_loadtest::arguments::Invocation;
use lanner_loadtest::descriptors;
use lanner_loadtest::run::command::{PROGRAM, read_plan};
use lanner_loadtest::run::{Interruption, Kind, Outcome, run};

/// Does what the words say. Where they say nothing of it, there is no warm-up, and four connections.
pub(crate) fn load(words: &str) -> Outcome {
    load_until(words, &Interruption::default())
}

/// The same, or less of it where somebody interrupts it.
pub(crate) fn load_until(words: &str, interruption: &Interruption) -> Outcome {
    let given = words.split_whitespace().map(str::to_owned);
    let mut all: Vec<String> = given.collect();
    for (flag, value) in [("--warm-up", "0s"), ("--connections", "4")] {
        if !words.contains(flag) {
            all.extend([flag.to_owned(), value.to_owned()]);
        }
    }
    let Ok(Invocation::Run(arguments)) = PROGRAM.read(all) else {
        panic!("{words}: not understood");
    };
    let plan = read_plan(&arguments).unwrap_or_else(|failure| panic!("{words}: {failure}"));
    descriptors::reserve(2_000).unwrap();
    let mut watched = Vec::new();
    let outcome = run(&plan, interruption, &mut |interval| {
        watched.push(interval.number);
    });
    let outcome = outcome.unwrap();
    // What was watched is the beginning of the time line, in order and without holes.
    let numbers: Vec<_> = outcome.time_line.iter().map(|one| one.number).collect();
    assert!(numbers.starts_with(&watched), "{watched:?} {numbers:?}");
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64));
    outcome
}

/// How often a kind of trouble was met, and its first text.
pub(crate) fn met(outcome: &Outcome, kind: Kind) -> (u64, String) {
    let troubles = &outcome.tally.troubles;
    let found = troubles.met().find(|(met, _, _)| *met == kind);
    found.map_or((0, String::new()), |(_, count, text)| {
        (count, text.to_owned())
    })
}

/// Nothing went wrong, every answer is a success, and each has a latency.
pub(crate) fn assert_clean(outcome: &Outcome) {
    let tally = &outcome.tally;
    assert_eq!(tally.troubles.sum(), 0, "{:?}", tally.troubles);
    assert_eq!(tally.failures(), 0, "{:?}", tally.statuses);
    assert_eq!(outcome.aborted, None);
    assert!(tally.answers() > 0, "nothing was answered");
    assert_eq!(tally.latency.count(), tally.answers());
    let in_line: u64 = outcome
        .time_line
        .iter()
        .map(|interval| interval.latency.count())
        .sum();
    assert!(in_line >= tally.answers(), "{in_line}");
}
