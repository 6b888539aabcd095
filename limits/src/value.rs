//! How a setting's text becomes a value and a value becomes text: one [`Kind`] per shape a knob can have. Which knob has
//! which is the business of `knob.rs`; kinds with a file of their own (listeners, hosts, networks) implement the same trait.

use std::marker::PhantomData;
use std::time::Duration;

/// A shape that values can have.
pub(crate) trait Kind {
    /// What a value is in `Limits`.
    type Value;

    /// The value that `text` says, or what is wrong with the text, worded to follow "the value".
    fn parse(&self, text: &str) -> Result<Self::Value, String>;

    /// The text that says `value`: what `parse` reads back as the same value.
    fn write(&self, value: &Self::Value) -> String;

    /// What is accepted, worded to follow "expected".
    fn range(&self) -> String;
}

/// `none`, or a value.
pub(crate) struct OrNone<K>(pub(crate) K);

impl<K: Kind> Kind for OrNone<K> {
    type Value = Option<K::Value>;

    fn parse(&self, text: &str) -> Result<Self::Value, String> {
        if text == "none" {
            return Ok(None);
        }
        self.0.parse(text).map(Some)
    }

    fn write(&self, value: &Self::Value) -> String {
        value
            .as_ref()
            .map_or_else(|| "none".to_owned(), |value| self.0.write(value))
    }

    fn range(&self) -> String {
        format!("none, or {}", self.0.range())
    }
}

/// `auto`, or a number. Zero stands for `auto` until the machine is known, so zero must be out of the number's range;
/// `Limits::resolve` leaves none behind.
pub(crate) struct OrAuto<T>(Number<T>);

impl<T> OrAuto<T> {
    pub(crate) const fn new(number: Number<T>) -> OrAuto<T> {
        assert!(number.min > 0, "zero stands for auto");
        OrAuto(number)
    }
}

impl<T: Whole> Kind for OrAuto<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, String> {
        if text == "auto" {
            return Ok(T::from_u64(0).expect("every whole type holds zero"));
        }
        self.0.parse(text)
    }

    fn write(&self, value: &T) -> String {
        if value.to_u64() == 0 {
            "auto".to_owned()
        } else {
            self.0.write(value)
        }
    }

    fn range(&self) -> String {
        format!("auto, or {}", self.0.range())
    }
}

/// A type that holds whole numbers from zero.
pub(crate) trait Whole: Copy {
    fn from_u64(number: u64) -> Option<Self>;
    fn to_u64(self) -> u64;
}

macro_rules! whole {
    ($($type:ty),+) => {
        $(impl Whole for $type {
            fn from_u64(number: u64) -> Option<$type> {
                <$type>::try_from(number).ok()
            }

            fn to_u64(self) -> u64 {
                self as u64
            }
        })+
    };
}
whole!(u8, u32, u64, usize);
const _: () = assert!(usize::BITS <= u64::BITS);

/// What a number counts.
#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Things,
    Bytes,
    BytesPerSecond,
    PerSecond,
    Percent,
}

/// A whole number between two bounds, both included.
pub(crate) struct Number<T> {
    min: u64,
    max: u64,
    unit: Unit,
    value: PhantomData<fn() -> T>,
}

const fn number<T>(unit: Unit, min: u64, max: u64) -> Number<T> {
    assert!(min < max);
    Number {
        min,
        max,
        unit,
        value: PhantomData,
    }
}

/// So many things.
pub(crate) const fn count<T>(min: u64, max: u64) -> Number<T> {
    number(Unit::Things, min, max)
}

/// So many bytes.
pub(crate) const fn size<T>(min: u64, max: u64) -> Number<T> {
    number(Unit::Bytes, min, max)
}

/// So many bytes a second.
pub(crate) const fn byte_rate(min: u64, max: u64) -> Number<u64> {
    number(Unit::BytesPerSecond, min, max)
}

/// So many things a second.
pub(crate) const fn event_rate(min: u64, max: u64) -> Number<u64> {
    number(Unit::PerSecond, min, max)
}

/// So many hundredths.
pub(crate) const fn percent(min: u64, max: u64) -> Number<u8> {
    number(Unit::Percent, min, max)
}

impl<T: Whole> Kind for Number<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, String> {
        let number = match self.unit {
            Unit::Things => digits(text),
            Unit::Bytes => bytes(text),
            Unit::BytesPerSecond => bytes(text.strip_suffix("/s").unwrap_or(text).trim_end()),
            Unit::PerSecond => digits(text.strip_suffix("/s").unwrap_or(text).trim_end()),
            Unit::Percent => digits(text.strip_suffix('%').unwrap_or(text).trim_end()),
        };
        let number = number.map_err(|wrong| match (wrong, self.unit) {
            (Wrong::Overflow, _) => "is out of range".to_owned(),
            (Wrong::Shape, Unit::Things) => "is not a whole number".to_owned(),
            (Wrong::Shape, Unit::Bytes) => "is not a size (30000000, 64KiB, 1MiB, 30MB)".to_owned(),
            (Wrong::Shape, Unit::BytesPerSecond) => "is not a rate (240B/s, 1KiB/s)".to_owned(),
            (Wrong::Shape, Unit::PerSecond) => "is not a rate (100/s)".to_owned(),
            (Wrong::Shape, Unit::Percent) => "is not a percentage (90%)".to_owned(),
        })?;
        if number < self.min || number > self.max {
            return Err("is out of range".to_owned());
        }
        T::from_u64(number).ok_or_else(|| "is out of range".to_owned())
    }

    fn write(&self, value: &T) -> String {
        self.text(value.to_u64())
    }

    fn range(&self) -> String {
        let (min, max) = (self.text(self.min), self.text(self.max));
        match self.unit {
            Unit::Things => format!("a whole number from {min} to {max}"),
            Unit::Bytes => format!("a size from {min} to {max}"),
            Unit::BytesPerSecond | Unit::PerSecond => format!("a rate from {min} to {max}"),
            Unit::Percent => format!("a percentage from {min} to {max}"),
        }
    }
}

impl<T> Number<T> {
    fn text(&self, number: u64) -> String {
        match self.unit {
            Unit::Things => number.to_string(),
            Unit::Bytes => size_text(number),
            Unit::BytesPerSecond => format!("{}/s", size_text(number)),
            Unit::PerSecond => format!("{number}/s"),
            Unit::Percent => format!("{number}%"),
        }
    }
}

/// Why a number could not be read.
#[derive(Clone, Copy)]
enum Wrong {
    Shape,
    Overflow,
}

/// Digits only: no sign, no space, no separator.
fn digits(text: &str) -> Result<u64, Wrong> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Wrong::Shape);
    }
    text.parse().map_err(|_| Wrong::Overflow)
}

/// Digits, and after them one of `units` (one of which may be the empty unit).
fn scaled(text: &str, units: &[(&str, u64)]) -> Result<u64, Wrong> {
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start();
    let (_, scale) = units
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or(Wrong::Shape)?;
    digits(number)?.checked_mul(*scale).ok_or(Wrong::Overflow)
}

/// Decimal and binary units; case is not guessed at, for `b` would mean bits.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

fn bytes(text: &str) -> Result<u64, Wrong> {
    scaled(text, SIZE_UNITS)
}

/// The shortest exact spelling: binary units where they divide, else decimal ones, else plain bytes.
fn size_text(bytes: u64) -> String {
    const SPELLINGS: [(&str, u64); 8] = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1_000),
    ];
    let exact = SPELLINGS
        .iter()
        .filter(|(_, scale)| bytes > 0 && bytes.is_multiple_of(*scale));
    match exact.min_by_key(|(_, scale)| bytes / scale) {
        Some((unit, scale)) => format!("{}{unit}", bytes / scale),
        None => format!("{bytes}B"),
    }
}

/// A duration between two bounds, both included, to the millisecond.
pub(crate) struct Time {
    min: Duration,
    max: Duration,
}

/// A duration between two bounds, both included.
pub(crate) const fn time(min: Duration, max: Duration) -> Time {
    assert!(min.as_nanos() < max.as_nanos());
    Time { min, max }
}

/// `count` milliseconds.
pub(crate) const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// `count` seconds.
pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// `count` hours.
pub(crate) const fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3_600)
}

const TIME_UNITS: &[(&str, u64)] = &[("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Kind for Time {
    type Value = Duration;

    fn parse(&self, text: &str) -> Result<Duration, String> {
        let millis = scaled(text, TIME_UNITS).map_err(|wrong| match wrong {
            Wrong::Overflow => "is out of range",
            // Seconds or milliseconds? Other servers disagree, so nobody is left to guess.
            Wrong::Shape if digits(text).is_ok() => "has no unit (500ms, 30s, 2m, 1h)",
            Wrong::Shape => "is not a duration (500ms, 30s, 2m, 1h)",
        })?;
        let time = Duration::from_millis(millis);
        if time < self.min || time > self.max {
            return Err("is out of range".to_owned());
        }
        Ok(time)
    }

    fn write(&self, value: &Duration) -> String {
        time_text(*value)
    }

    fn range(&self) -> String {
        format!(
            "a duration from {} to {}",
            time_text(self.min),
            time_text(self.max)
        )
    }
}

/// In the largest unit that divides it: `2m`, `75s`.
fn time_text(time: Duration) -> String {
    let millis = time.as_millis();
    for (unit, scale) in TIME_UNITS {
        if millis > 0 && millis.is_multiple_of(u128::from(*scale)) {
            return format!("{}{unit}", millis / u128::from(*scale));
        }
    }
    "0s".to_owned()
}

/// `true` or `false`.
pub(crate) struct Flag;

impl Kind for Flag {
    type Value = bool;

    fn parse(&self, text: &str) -> Result<bool, String> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("is neither".to_owned()),
        }
    }

    fn write(&self, value: &bool) -> String {
        value.to_string()
    }

    fn range(&self) -> String {
        "true or false".to_owned()
    }
}

/// An enum of which each variant is a word.
pub(crate) trait Word: Copy + PartialEq + 'static {
    const ALL: &'static [Self];
    fn word(self) -> &'static str;
}

/// One word of a closed list.
pub(crate) struct OneOf<T>(PhantomData<fn() -> T>);

/// One word of the enum's list.
pub(crate) const fn one_of<T: Word>() -> OneOf<T> {
    OneOf(PhantomData)
}

impl<T: Word> Kind for OneOf<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, String> {
        T::ALL
            .iter()
            .copied()
            .find(|choice| choice.word() == text)
            .ok_or_else(|| "is not one of them".to_owned())
    }

    fn write(&self, value: &T) -> String {
        value.word().to_owned()
    }

    fn range(&self) -> String {
        let words: Vec<&str> = T::ALL.iter().map(|choice| choice.word()).collect();
        match words.as_slice() {
            [only] => format!("{only} (the only choice so far)"),
            [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
            [] => String::new(),
        }
    }
}

/// A field value as RFC 9110, section 5.5 has it, less the bytes above ASCII: text for a response head that can break
/// neither the head nor its reader.
pub(crate) struct FieldText;

/// The longest field value one may configure: it goes out with every response.
const FIELD_TEXT_BYTES_MAX: usize = 256;

impl Kind for FieldText {
    type Value = String;

    fn parse(&self, text: &str) -> Result<String, String> {
        if text.is_empty() || text.len() > FIELD_TEXT_BYTES_MAX {
            return Err("is empty or too long".to_owned());
        }
        if let Some(byte) = text.bytes().find(|byte| !matches!(byte, b' '..=b'~')) {
            return Err(format!(
                "holds a byte that a header must not (0x{byte:02x})"
            ));
        }
        if text.starts_with(' ') || text.ends_with(' ') {
            return Err("begins or ends with a space".to_owned());
        }
        Ok(text.to_owned())
    }

    fn write(&self, value: &String) -> String {
        value.clone()
    }

    fn range(&self) -> String {
        format!("1 to {FIELD_TEXT_BYTES_MAX} characters of printable ASCII")
    }
}

/// The entries of a list: commas between, space around each ignored.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    const SIZE: Number<u64> = size(0, u64::MAX);
    const TIME: Time = time(Duration::ZERO, hours(1_000_000));

    #[test]
    fn sizes_are_read_in_every_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("30000000", 30_000_000),
            ("5B", 5),
            ("64KiB", 65_536),
            ("64 KiB", 65_536),
            ("30MB", 30_000_000),
            ("1kB", 1_000),
            ("1KB", 1_000),
            ("1MiB", 1 << 20),
            ("2GiB", 2 << 30),
            ("3GB", 3_000_000_000),
            ("1TiB", 1 << 40),
            ("1TB", 1_000_000_000_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(SIZE.parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for wrong in [
            "", "KiB", "-1", "+1", "1.5MiB", "1e6", "64kib", "64K", "64 Ki B", "0x10", "1_000",
            "١", "64KiB/s", "none",
        ] {
            assert!(
                SIZE.parse(wrong).unwrap_err().starts_with("is not a size"),
                "{wrong}"
            );
        }
        for large in [
            "18446744073709551616",
            "18446744073709551615KiB",
            "99999999999999999999999TiB",
        ] {
            assert_eq!(SIZE.parse(large).unwrap_err(), "is out of range", "{large}");
        }
    }

    #[test]
    fn sizes_are_written_in_the_unit_that_divides_them() {
        for (bytes, text) in [
            (0, "0B"),
            (240, "240B"),
            (1_024, "1KiB"),
            (1_000, "1kB"),
            (30_000_000, "30MB"),
            (1 << 20, "1MiB"),
            (1_025, "1025B"),
        ] {
            assert_eq!(SIZE.write(&bytes), text);
        }
    }

    #[test]
    fn durations_need_a_unit() {
        for (text, time) in [
            ("500ms", millis(500)),
            ("30s", seconds(30)),
            ("30 s", seconds(30)),
            ("2m", seconds(120)),
            ("1h", hours(1)),
            ("0s", Duration::ZERO),
        ] {
            assert_eq!(TIME.parse(text), Ok(time), "{text}");
        }
        assert_eq!(
            TIME.parse("30").unwrap_err(),
            "has no unit (500ms, 30s, 2m, 1h)"
        );
        for wrong in [
            "", "s", "-1s", "1.5s", "30sec", "1m30s", "30S", "1d", "none",
        ] {
            assert!(
                TIME.parse(wrong)
                    .unwrap_err()
                    .starts_with("is not a duration"),
                "{wrong}"
            );
        }
        assert_eq!(
            TIME.parse("18446744073709551615h").unwrap_err(),
            "is out of range"
        );
    }

    #[test]
    fn rates_and_percentages_may_name_their_unit() {
        let bytes = byte_rate(1, 1 << 20);
        for text in ["1024", "1024B/s", "1KiB/s", "1 KiB/s", "1KiB"] {
            assert_eq!(bytes.parse(text), Ok(1_024), "{text}");
        }
        assert_eq!(bytes.write(&240), "240B/s");
        let events = event_rate(1, 1_000);
        for text in ["100", "100/s", "100 /s"] {
            assert_eq!(events.parse(text), Ok(100), "{text}");
        }
        assert!(events.parse("100/m").is_err());
        let share = percent(1, 100);
        for text in ["90", "90%", "90 %"] {
            assert_eq!(share.parse(text), Ok(90), "{text}");
        }
        for wrong in ["0%", "101%", "%", "0.9"] {
            assert!(share.parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bounds_are_included_and_what_is_beyond_names_them() {
        let kind: Number<u32> = count(2, 5);
        assert_eq!((kind.parse("2"), kind.parse("5")), (Ok(2), Ok(5)));
        assert!(kind.parse("1").is_err() && kind.parse("6").is_err());
        assert_eq!(kind.range(), "a whole number from 2 to 5");
        assert_eq!(
            OrNone(count::<u32>(2, 5)).range(),
            "none, or a whole number from 2 to 5"
        );
        assert_eq!(
            OrAuto::new(count::<u32>(2, 5)).range(),
            "auto, or a whole number from 2 to 5"
        );
        assert_eq!(
            time(millis(1), seconds(60)).range(),
            "a duration from 1ms to 1m"
        );
    }

    #[test]
    fn a_number_that_its_type_cannot_hold_is_out_of_range() {
        let kind: Number<u8> = count(0, 1_000);
        assert_eq!(kind.parse("255"), Ok(255));
        assert_eq!(kind.parse("256").unwrap_err(), "is out of range");
    }

    #[test]
    fn field_text_cannot_break_a_head() {
        assert_eq!(
            FieldText.parse("lanner/1 (x)"),
            Ok("lanner/1 (x)".to_owned())
        );
        for wrong in [
            "",
            "a\r\nb: c",
            "a\nb",
            "a\tb",
            "a\0",
            "é",
            " a",
            "a ",
            &"a".repeat(257),
        ] {
            assert!(FieldText.parse(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn sizes_are_written_as_they_are_read(bytes in any::<u64>(), shift in 0..64u32) {
            for bytes in [bytes, bytes >> shift << shift, (bytes >> shift).saturating_mul(1_000)] {
                prop_assert_eq!(SIZE.parse(&SIZE.write(&bytes)), Ok(bytes));
            }
        }

        #[test]
        fn durations_are_written_as_they_are_read(count in 0..1_000_000u64, unit in 0..4usize) {
            let time = millis(count * TIME_UNITS[unit].1);
            prop_assert_eq!(TIME.parse(&TIME.write(&time)), Ok(time));
        }

        #[test]
        fn no_text_is_too_odd_to_be_refused(text in any::<String>()) {
            let _ = (SIZE.parse(&text), TIME.parse(&text), FieldText.parse(&text), Flag.parse(&text));
            let _ = (percent(1, 100).parse(&text), event_rate(1, 9).parse(&text), byte_rate(1, 9).parse(&text));
        }
    }
}
