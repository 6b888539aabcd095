//! A histogram of latencies in JSON: its unit, and how many were counted in each of its steps. Nothing else is needed to
//! have the same histogram again, and a script reads it without a library.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::latency::Latency;

#[derive(Deserialize, Serialize)]
struct Distribution {
    unit: String,
    /// Pairs of a step's highest value and the count in it.
    counts: Vec<(u64, u64)>,
}

/// The only unit there is.
const UNIT: &str = "ns";

pub(super) fn serialize<S: Serializer>(latency: &Latency, to: S) -> Result<S::Ok, S::Error> {
    let steps = latency.nanoseconds().iter_recorded();
    let distribution = Distribution {
        unit: UNIT.to_owned(),
        counts: steps
            .map(|step| (step.value_iterated_to(), step.count_at_value()))
            .collect(),
    };
    distribution.serialize(to)
}

pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Latency, D::Error> {
    let Distribution { unit, counts } = Distribution::deserialize(from)?;
    if unit != UNIT {
        let text = format_args!("a histogram's unit is `{UNIT}`, and not `{unit}`");
        return Err(D::Error::custom(text));
    }
    let mut latency = Latency::new();
    let mut sum = 0_u64;
    for (nanoseconds, count) in counts {
        // The histogram's own sum must not overflow.
        sum = sum
            .checked_add(count)
            .ok_or_else(|| D::Error::custom("a histogram's counts are too large"))?;
        latency.record_many(Duration::from_nanos(nanoseconds), count);
    }
    Ok(latency)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Deserialize, Serialize)]
    struct Holder(#[serde(with = "super")] Latency);

    #[test]
    fn a_histogram_that_was_read_back_is_the_same() {
        let mut latency = Latency::new();
        for number in 0..20_000_u64 {
            latency.record(Duration::from_nanos(number * number * 37));
        }
        latency.record(Duration::MAX);
        let text = serde_json::to_string(&Holder(latency.clone())).unwrap();
        let Holder(read) = serde_json::from_str(&text).unwrap();
        assert!(latency.nanoseconds() == read.nanoseconds());
        assert_eq!(read.figures(), latency.figures());
    }

    #[test]
    fn a_histogram_that_cannot_be_is_refused_with_the_reason() {
        let reason = |text: &str| serde_json::from_str::<Holder>(text).err().unwrap();
        let wrong_unit = reason(r#"{"unit":"us","counts":[]}"#).to_string();
        assert!(wrong_unit.contains("unit is `ns`"), "{wrong_unit}");
        let text = format!(r#"{{"unit":"ns","counts":[[1,{0}],[2,{0}]]}}"#, u64::MAX);
        assert!(reason(&text).to_string().contains("too large"));
        let negative = reason(r#"{"unit":"ns","counts":[[-1,2]]}"#).to_string();
        assert!(negative.contains("invalid value"), "{negative}");
    }
}
