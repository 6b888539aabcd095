//! Numbers out of the one-line JSON that our own clients print: all that is needed of JSON here.

/// The number at a path of keys, such as `["latency_ms", "p99"]`. Keys occur once within their object.
pub(crate) fn number(text: &str, path: &[&str]) -> Option<f64> {
    let mut rest = text;
    for key in path {
        let name = format!("\"{key}\":");
        rest = &rest[rest.find(&name)? + name.len()..];
    }
    let end = rest.find([',', '}'])?;
    rest[..end].trim().parse().ok()
}

/// The text between the braces of a flat object.
pub(crate) fn object<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let name = format!("\"{key}\":{{");
    let rest = &text[text.find(&name)? + name.len()..];
    rest.split_once('}').map(|(inside, _)| inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"cut":8,"lifetime_s":{"min":1.5,"max":2.25},"released_s":{"max":3},"endings":{"408":7,"closed":1}}"#;

    #[test]
    fn numbers_are_found_by_their_path() {
        assert_eq!(number(TEXT, &["cut"]), Some(8.0));
        assert_eq!(number(TEXT, &["lifetime_s", "max"]), Some(2.25));
        assert_eq!(number(TEXT, &["released_s", "max"]), Some(3.0));
        assert_eq!(number(TEXT, &["missing"]), None);
        assert_eq!(number(TEXT, &["endings"]), None);
    }

    #[test]
    fn a_flat_object_is_found_by_its_key() {
        assert_eq!(object(TEXT, "endings"), Some(r#""408":7,"closed":1"#));
        assert_eq!(object(TEXT, "cut"), None);
    }
}
