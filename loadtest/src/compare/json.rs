//! Figures out of the JSON that our own clients print.

use serde_json::Value;

/// What a client printed: one value, and nothing besides.
pub(crate) fn read(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// The number at a path of keys, such as `["latency_ms", "p99"]`.
pub(crate) fn number(value: &Value, path: &[&str]) -> Option<f64> {
    at(value, path)?.as_f64()
}

/// The text at one.
pub(crate) fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(value, path)?.as_str()
}

/// The counts of an object, as `key: count`, in the order of the keys; nothing of what is not there.
pub(crate) fn counts(value: &Value, key: &str) -> String {
    let entries = value.get(key).and_then(Value::as_object);
    let entries = entries.into_iter().flatten();
    let told: Vec<String> = entries
        .map(|(key, count)| format!("{key}:{count}"))
        .collect();
    told.join(", ")
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = r#"{"cut":8,"lifetime_s":{"min":1.5,"max":2.25},"released_s":{"max":3},"endings":{"408":7,"closed":1},"why":"x"}"#;

    #[test]
    fn figures_are_found_by_their_path() {
        let value = read(TEXT).unwrap();
        assert_eq!(number(&value, &["cut"]), Some(8.0));
        assert_eq!(number(&value, &["lifetime_s", "max"]), Some(2.25));
        assert_eq!(number(&value, &["released_s", "max"]), Some(3.0));
        assert_eq!(number(&value, &["max"]), None);
        assert_eq!(number(&value, &["endings"]), None);
        assert_eq!(text(&value, &["why"]), Some("x"));
        assert_eq!(text(&value, &["cut"]), None);
    }

    #[test]
    fn an_object_of_counts_is_told_in_one_line() {
        let value = read(TEXT).unwrap();
        assert_eq!(counts(&value, "endings"), "408:7, closed:1");
        assert_eq!(counts(&value, "cut"), "");
    }

    #[test]
    fn anything_but_one_value_is_not_read() {
        assert!(read("").is_none() && read("ready 5\n{}").is_none() && read("{} {}").is_none());
        assert!(read("{}\n").is_some());
    }
}
