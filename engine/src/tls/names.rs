//! Which of a server's configurations is for which name: exact names first, then the longest wildcard, then the default.
//! Names are those that clients send (SNI, and the host of a request), so they are looked up in any case, with or without
//! the dot of the root, and may be nonsense.

use std::collections::HashMap;

/// The longest name of RFC 1035, in text.
const NAME_BYTES_MAX: usize = 253;

/// A table of names. Wildcards cover what is below them at any depth; a certificate's covers one label only, but what a
/// name deeper down may ask for without a certificate should not differ from what is asked of its neighbours.
#[derive(Clone, Debug)]
pub(crate) struct Names<T> {
    exact: HashMap<Box<[u8]>, T>,
    /// Without the star: `.example.com`.
    wildcards: HashMap<Box<[u8]>, T>,
}

impl<T: Copy> Names<T> {
    pub(crate) fn new() -> Names<T> {
        Names {
            exact: HashMap::new(),
            wildcards: HashMap::new(),
        }
    }

    /// Gives `name` (or what is below it, for `*.name`) to `value`, unless somebody has it already. Returns whether it did.
    pub(crate) fn insert(&mut self, name: &str, value: T) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let (table, key) = match name.strip_prefix('*') {
            Some(suffix) => (&mut self.wildcards, suffix),
            None => (&mut self.exact, name.as_str()),
        };
        if table.contains_key(key.as_bytes()) {
            return false;
        }
        table.insert(key.as_bytes().into(), value);
        true
    }

    /// Whose a name is.
    pub(crate) fn find(&self, name: &[u8]) -> Option<T> {
        let name = name.strip_suffix(b".").unwrap_or(name);
        let mut lower = [0; NAME_BYTES_MAX];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        if let Some(value) = self.exact.get(&*lower) {
            return Some(*value);
        }
        if self.wildcards.is_empty() {
            return None;
        }
        // From left to right, so the longest suffix is found first; a star stands for at least one byte.
        (1..lower.len())
            .filter(|place| lower[*place] == b'.')
            .find_map(|place| self.wildcards.get(&lower[place..]).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> Names<u8> {
        let mut names = Names::new();
        assert!(names.insert("example.com", 1));
        assert!(names.insert("*.example.com", 2));
        assert!(names.insert("*.Deep.example.com", 3));
        assert!(names.insert("www.deep.example.com.", 4));
        names
    }

    #[test]
    fn exact_names_win_over_wildcards_and_long_wildcards_over_short_ones() {
        for (name, value) in [
            ("example.com", Some(1)),
            ("EXAMPLE.com.", Some(1)),
            ("a.example.com", Some(2)),
            ("a.b.example.com", Some(2)),
            ("deep.example.com", Some(2)),
            ("a.deep.example.com", Some(3)),
            ("www.DEEP.example.com", Some(4)),
            ("w.www.deep.example.com", Some(3)),
            ("example.org", None),
            ("notexample.com", None),
            (".example.com", None),
            ("com", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(names().find(name.as_bytes()), value, "{name}");
        }
        assert_eq!(names().find(&[b'a'; NAME_BYTES_MAX + 1]), None);
    }

    #[test]
    fn the_first_to_claim_a_name_has_it() {
        let mut names = names();
        assert!(!names.insert("EXAMPLE.com", 9) && !names.insert("*.example.com", 9));
        assert_eq!(names.find(b"example.com"), Some(1));
    }

    proptest! {
        #[test]
        fn any_bytes_may_be_asked_for(name in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = names().find(&name);
        }
    }
}
