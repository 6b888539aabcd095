//! The budget file names only what is measured, for a line with a typing mistake would bind nobody; and of every scenario it
//! names something of each kind.
#![allow(clippy::unwrap_used)]

use lanner_bench::budget::{self, Budgets};
use lanner_bench::instructions::Case;
use lanner_bench::scenario::Scenario;
use lanner_bench::system_calls::Kind;
use std::collections::HashSet;

#[test]
fn every_line_is_measured_by_a_test() {
    let mut measured = HashSet::new();
    for scenario in Scenario::ALL {
        measured.insert(format!("allocations.{}", scenario.name()));
        for kind in Kind::ALL {
            measured.insert(format!("{}.epoll.{}", kind.name(), scenario.name()));
        }
    }
    for kind in Kind::ALL {
        let scenario = Scenario::KeepAlive64;
        measured.insert(format!("{}.monoio.{}", kind.name(), scenario.name()));
    }
    measured.extend(Case::ALL.into_iter().map(Case::key));
    let budgets = Budgets::read(&budget::path()).unwrap();
    let unknown: Vec<_> = budgets
        .keys()
        .filter(|key| !measured.contains(*key))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_scenario_has_a_budget_of_each_kind() {
    let budgets = Budgets::read(&budget::path()).unwrap();
    let keys: HashSet<&str> = budgets.keys().collect();
    let mut wanted: Vec<String> = Case::ALL.into_iter().map(Case::key).collect();
    for scenario in Scenario::ALL {
        wanted.push(format!("allocations.{}", scenario.name()));
        wanted.push(format!("writes.epoll.{}", scenario.name()));
    }
    wanted.retain(|key| !keys.contains(key.as_str()));
    assert!(wanted.is_empty(), "{wanted:?}");
}
