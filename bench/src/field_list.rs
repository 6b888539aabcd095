//! The heads of [`heads`] as HTTP/2 has them: lists of fields, the pseudo-fields first. What only HTTP/1.1 has is
//! left out, as a client does that speaks both (RFC 9113 section 8.2.2).

use crate::heads;

/// Fields that concern one connection of HTTP/1.1, and Host, which is `:authority`.
const LEFT_OUT: [&str; 2] = ["connection", "host"];

/// A name in lower case, and a value.
pub type Field = (Vec<u8>, Vec<u8>);

/// The fields of request `number`.
///
/// # Panics
/// If the mix has a head that is none: its tests have read it.
pub fn of(number: u64, method: &str, path: &str, scheme: &str) -> Vec<Field> {
    let mut head = Vec::new();
    heads::write(number, method, path, "", &mut head);
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.lines();
    let line = lines.next().unwrap_or_default();
    let target = line.split(' ').nth(1).expect("a request line has a target");
    let fields: Vec<(String, &str)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
        .collect();
    let host = fields.iter().find(|(name, _)| name == "host");
    let authority = host.expect("every head of the mix has a host").1;
    let mut list = vec![
        field(":method", method),
        field(":scheme", scheme),
        field(":authority", authority),
        field(":path", origin_form(target)),
    ];
    let others = fields.iter();
    let others = others.filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()));
    list.extend(others.map(|(name, value)| field(name, value)));
    list
}

fn field(name: &str, value: &str) -> Field {
    (name.into(), value.into())
}

/// A target without the scheme and authority that are fields of their own in HTTP/2.
fn origin_form(target: &str) -> &str {
    let Some(rest) = target.strip_prefix("http://") else {
        return target;
    };
    rest.find('/').map_or("/", |at| &rest[at..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_head_of_the_mix_is_a_list_with_its_pseudo_fields_first() {
        for number in 0..16 {
            let list = of(number, "GET", "/hello", "http");
            let names: Vec<_> = list.iter().take(4).map(|(name, _)| &name[..]).collect();
            let pseudo: [&[u8]; 4] = [b":method", b":scheme", b":authority", b":path"];
            assert_eq!(names, pseudo);
            assert!(list[3].1.starts_with(b"/hello"), "{list:?}");
            for (name, value) in &list[4..] {
                assert!(!name.starts_with(b":") && !name.iter().any(u8::is_ascii_uppercase));
                assert!(name != b"host" && name != b"connection");
                assert_eq!(value.trim_ascii(), value);
            }
        }
    }

    #[test]
    fn no_list_is_like_another() {
        let lists: HashSet<_> = (0..1_000).map(|n| of(n, "GET", "/", "http")).collect();
        assert_eq!(lists.len(), 1_000);
    }
}
