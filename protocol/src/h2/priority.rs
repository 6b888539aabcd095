//! What a client says about the order of its answers: the priority of RFC 9218, and the dependency of RFC 7540, which is read
//! and not followed. Whose turn it is to send is decided in `priority/schedule.rs`.

mod schedule;

pub use schedule::{FAIR_TURNS, Schedule};

use super::frame::STREAM_MAX;

/// How urgent an answer is, and whether parts of it are of use before the whole is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Priority {
    /// 0 is the most urgent, 7 the least.
    pub urgency: u8,
    /// Whether it may share its turn with others of its urgency.
    pub incremental: bool,
}

impl Priority {
    /// What a request has whose client speaks of priorities and says nothing about this one: urgency 3, as a whole (RFC 9218
    /// section 4).
    pub const DEFAULT: Priority = Priority {
        urgency: 3,
        incremental: false,
    };

    /// What a request has whose client has never spoken of priorities. It may know nothing of RFC 9218, and expects that what it
    /// asks for at once comes at once: gRPC's streams that never end, a script's many downloads. So all share.
    pub const UNSPOKEN: Priority = Priority {
        urgency: 3,
        incremental: true,
    };

    /// What a `priority` field or a PRIORITY_UPDATE says: a dictionary of RFC 9651 with `u` and `i`. As RFC 9218 section 4 asks,
    /// unknown keys, and values out of range or of another type, are as if they were not there; what is no dictionary says
    /// nothing. Several field lines are to be joined by commas first.
    #[must_use]
    pub fn parse(field: &[u8]) -> Priority {
        Priority::parse_usual(field).unwrap_or_else(|| {
            Dictionary { rest: field }
                .priority()
                .unwrap_or(Priority::DEFAULT)
        })
    }

    /// What browsers send, with every request.
    #[inline]
    fn parse_usual(field: &[u8]) -> Option<Priority> {
        let (urgency, incremental) = match *field {
            [b'u', b'=', urgency @ b'0'..=b'7'] => (urgency - b'0', false),
            [b'u', b'=', urgency @ b'0'..=b'7', b',', b' ', b'i'] => (urgency - b'0', true),
            [b'i'] => (Priority::DEFAULT.urgency, true),
            _ => return None,
        };
        Some(Priority {
            urgency,
            incremental,
        })
    }
}

/// A dependency on another stream (RFC 7540 section 5.3). Nothing follows from it: RFC 9113 section 5.3.2 deprecates it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dependency {
    /// Whether all others that depend on the same stream should come below.
    pub exclusive: bool,
    /// The stream: at most 2^31-1.
    pub stream: u32,
    /// One less than the weight.
    pub weight: u8,
}

impl Dependency {
    /// The dependency in these bytes: every five are one.
    #[must_use]
    pub const fn parse(bytes: &[u8; 5]) -> Dependency {
        let [first, second, third, fourth, weight] = *bytes;
        let stream = u32::from_be_bytes([first, second, third, fourth]);
        Dependency {
            exclusive: stream > STREAM_MAX,
            stream: stream & STREAM_MAX,
            weight,
        }
    }

    /// The bytes that say it.
    #[must_use]
    pub const fn bytes(self) -> [u8; 5] {
        let exclusive = if self.exclusive { 1 << 31 } else { 0 };
        let stream = (self.stream & STREAM_MAX) | exclusive;
        let [first, second, third, fourth] = stream.to_be_bytes();
        [first, second, third, fourth, self.weight]
    }
}

/// Reads a structured field's dictionary (RFC 9651 section 4.2.2) from its beginning to its end: the values of two keys are of
/// interest, but whether it is a dictionary at all is known at its end only. Every method consumes what it reads, and gives
/// `None` for what the grammar does not have.
struct Dictionary<'a> {
    rest: &'a [u8],
}

/// A value, as far as anybody here is interested.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Integer(i64),
    Boolean(bool),
    Other,
}

/// Digits of an integer, and of a decimal before its point (RFC 9651 section 4.2.4).
const INTEGER_DIGITS_MAX: usize = 15;
const DECIMAL_DIGITS_MAX: usize = 12;
const FRACTION_DIGITS_MAX: usize = 3;

impl<'a> Dictionary<'a> {
    fn priority(mut self) -> Option<Priority> {
        let mut urgency = None;
        let mut incremental = None;
        self.skip(b" ");
        while !self.rest.is_empty() {
            let key = self.key()?;
            let value = if self.take(b'=') {
                self.item_or_list()?
            } else {
                Value::Boolean(true)
            };
            self.parameters()?;
            // The last member of a name counts, even where its value is of no use.
            match key {
                b"u" => urgency = Some(value),
                b"i" => incremental = Some(value),
                _ => {}
            }
            self.skip(b" \t");
            if self.rest.is_empty() {
                break;
            }
            if !self.take(b',') {
                return None;
            }
            self.skip(b" \t");
            if self.rest.is_empty() {
                // A comma at the end.
                return None;
            }
        }
        Some(Priority {
            urgency: match urgency {
                Some(Value::Integer(urgency @ 0..=7)) => urgency as u8,
                _ => Priority::DEFAULT.urgency,
            },
            incremental: match incremental {
                Some(Value::Boolean(incremental)) => incremental,
                _ => Priority::DEFAULT.incremental,
            },
        })
    }

    fn item_or_list(&mut self) -> Option<Value> {
        if !self.take(b'(') {
            return self.item();
        }
        loop {
            self.skip(b" ");
            if self.take(b')') {
                return Some(Value::Other);
            }
            self.item()?;
            self.parameters()?;
            if !matches!(self.rest.first(), Some(b' ' | b')')) {
                return None;
            }
        }
    }

    fn parameters(&mut self) -> Option<()> {
        while self.take(b';') {
            self.skip(b" ");
            self.key()?;
            if self.take(b'=') {
                self.item()?;
            }
        }
        Some(())
    }

    fn item(&mut self) -> Option<Value> {
        match *self.rest.first()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'?' => {
                self.advance(1);
                let value = self.take(b'1');
                (value || self.take(b'0')).then_some(Value::Boolean(value))
            }
            b'"' => self.string(),
            b':' => self.bytes(),
            b'@' => {
                self.advance(1);
                matches!(self.number()?, Value::Integer(_)).then_some(Value::Other)
            }
            b'%' => self.display_string(),
            b'*' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.skip_while(|byte| is_tchar(byte) || matches!(byte, b':' | b'/'));
                Some(Value::Other)
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Value> {
        let negative = self.take(b'-');
        let digits = self.skip_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() || digits.len() > INTEGER_DIGITS_MAX {
            return None;
        }
        if self.take(b'.') {
            let fraction = self.skip_while(|byte| byte.is_ascii_digit());
            let fits = digits.len() <= DECIMAL_DIGITS_MAX
                && (1..=FRACTION_DIGITS_MAX).contains(&fraction.len());
            return fits.then_some(Value::Other);
        }
        let number = digits
            .iter()
            .fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
        Some(Value::Integer(if negative { -number } else { number }))
    }

    fn string(&mut self) -> Option<Value> {
        self.advance(1);
        loop {
            match self.next()? {
                b'"' => return Some(Value::Other),
                b'\\' if !matches!(self.next()?, b'"' | b'\\') => return None,
                b'\\' | 0x20..=0x7e => {}
                _ => return None,
            }
        }
    }

    fn bytes(&mut self) -> Option<Value> {
        self.advance(1);
        self.skip_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
        self.take(b':').then_some(Value::Other)
    }

    fn display_string(&mut self) -> Option<Value> {
        self.advance(1);
        if !self.take(b'"') {
            return None;
        }
        loop {
            match self.next()? {
                b'"' => return Some(Value::Other),
                b'%' => {
                    for _ in 0..2 {
                        if !matches!(self.next()?, b'0'..=b'9' | b'a'..=b'f') {
                            return None;
                        }
                    }
                }
                0x20..=0x7e => {}
                _ => return None,
            }
        }
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        if !matches!(self.rest.first()?, b'*' | b'a'..=b'z') {
            return None;
        }
        Some(self.skip_while(
            |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'*'),
        ))
    }

    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.rest.first() == Some(&byte);
        if taken {
            self.advance(1);
        }
        taken
    }

    fn skip(&mut self, bytes: &[u8]) {
        self.skip_while(|byte| bytes.contains(&byte));
    }

    fn advance(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn skip_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self
            .rest
            .iter()
            .position(|byte| !belongs(*byte))
            .unwrap_or(self.rest.len());
        let (skipped, rest) = self.rest.split_at(end);
        self.rest = rest;
        skipped
    }
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn priority(urgency: u8, incremental: bool) -> Priority {
        Priority {
            urgency,
            incremental,
        }
    }

    #[test]
    fn the_fields_that_browsers_send_are_read() {
        for (field, expected) in [
            ("u=0", priority(0, false)),
            ("u=1, i", priority(1, true)),
            ("u=2,i=?1", priority(2, true)),
            ("i, u=5", priority(5, true)),
            ("u=7;x=1;y, i=?0", priority(7, false)),
            ("i", priority(3, true)),
            ("", Priority::DEFAULT),
            ("   ", Priority::DEFAULT),
            (" u=4\t,\ti ", priority(4, true)),
        ] {
            assert_eq!(Priority::parse(field.as_bytes()), expected, "{field:?}");
        }
    }

    #[test]
    fn what_is_usual_is_read_as_the_grammar_has_it() {
        let fields = (0..=255u8).flat_map(|byte| {
            let begin = [b'u', b'=', byte];
            [begin.to_vec(), [&begin[..], b", i"].concat(), vec![byte]]
        });
        for field in fields {
            let by_grammar = Dictionary { rest: &field }.priority();
            if let Some(usual) = Priority::parse_usual(&field) {
                assert_eq!(Some(usual), by_grammar, "{}", field.escape_ascii());
            }
        }
        assert!(Priority::parse_usual(b"u=2, i").is_some());
    }

    #[test]
    fn unknown_keys_and_values_of_no_use_are_as_if_they_were_not_there() {
        // RFC 9218 section 4: "unknown parameters, parameters with out-of-range values, or values of unexpected types MUST be
        // ignored".
        for (field, expected) in [
            ("u=8, i", priority(3, true)),
            ("u=-1, i", priority(3, true)),
            ("u=999999999999999", Priority::DEFAULT),
            ("u=1.5, i", priority(3, true)),
            ("u=\"1\", i", priority(3, true)),
            ("u, i", priority(3, true)),
            ("u=1, i=1", priority(1, false)),
            ("u=1, i=yes", priority(1, false)),
            ("u=(1 2);q, i", priority(3, true)),
            ("u=:YWJj:, i", priority(3, true)),
            ("u=@1659578233, i", priority(3, true)),
            ("u=%\"f%c3%bc\", i", priority(3, true)),
            ("x=\"a,u=0\\\",u=1\", u=2", priority(2, false)),
            ("*k.1-_=a/b:c, u=6", priority(6, false)),
            ("x=(\"u=0\" a;b=1 ?0);c, u=6", priority(6, false)),
            ("x=(), u=6", priority(6, false)),
            ("uu=1, ii", Priority::DEFAULT),
        ] {
            assert_eq!(Priority::parse(field.as_bytes()), expected, "{field:?}");
        }
    }

    #[test]
    fn the_last_of_several_members_of_a_name_counts() {
        assert_eq!(Priority::parse(b"u=1, i, u=2"), priority(2, true));
        // RFC 9651 section 4.2.2 overwrites first; only then is the value found to be of no use.
        assert_eq!(Priority::parse(b"u=1, u=9"), Priority::DEFAULT);
    }

    #[test]
    fn what_is_no_dictionary_says_nothing_at_all() {
        for field in [
            "u=0,",
            "u=0,,i",
            ",u=0",
            "u=0 i",
            "u= 0",
            "u =0",
            "U=0",
            "u=0;",
            "u=0;X",
            "u=",
            "u=-",
            "u=1.",
            "u=1.2345",
            "u=1234567890123456",
            "u=1234567890123.1",
            "i=?",
            "i=?2",
            "u=0, x=\"open",
            "u=0, x=\"\\n\"",
            "u=0, x=\"\x07\"",
            "u=0, x=:YWJj",
            "u=0, x=:Y-J:",
            "u=0, x=@a",
            "u=0, x=@1.5",
            "u=0, x=%a",
            "u=0, x=%\"%C3\"",
            "u=0, x=(1 2",
            "u=0, x=(1,2)",
            "u=0, x=(\"a\"\"b\")",
            "u=0\r\n",
            "\tu=0",
        ] {
            assert_eq!(
                Priority::parse(field.as_bytes()),
                Priority::DEFAULT,
                "{field:?}"
            );
        }
        assert_eq!(Priority::parse(b"u=0, \xff"), Priority::DEFAULT);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_a_priority_in_range(
            field in prop::collection::vec(
                prop_oneof![any::<u8>(), prop::sample::select(b"ui=?01 ,;()\"\\:@%.-".as_slice())],
                0..40,
            ),
        ) {
            prop_assert!(Priority::parse(&field).urgency <= 7);
        }

        #[test]
        fn what_is_written_is_read(urgency in 0..=7u8, incremental: bool, spaces in " {0,3}") {
            let field = format!("{spaces}u={urgency}{spaces},{spaces}i=?{}", u8::from(incremental));
            prop_assert_eq!(Priority::parse(field.as_bytes()), priority(urgency, incremental));
        }

        #[test]
        fn a_dependency_is_its_five_bytes(bytes: [u8; 5]) {
            prop_assert_eq!(Dependency::parse(&bytes).bytes(), bytes);
        }
    }
}
