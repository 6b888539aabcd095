//! What the table of knobs is made of: the entry, and the macro that makes `Limits` and `KNOBS` of one list. The list
//! itself is in `knob.rs`.

use crate::value::Kind;
use crate::{Limits, Trip};

/// One tunable.
#[derive(Clone, Copy)]
pub struct Knob {
    /// Its field in [`Limits`], and its short name on the command line.
    pub name: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    /// Its dotted path.
    pub path: &'static str,
    /// Its default, as one would write it.
    pub default: &'static str,
    /// What hitting it is counted as; none for what is not a bound, or where a bound only makes somebody wait.
    pub trips: Option<Trip>,
    /// Why it is there and why its default is what it is: a paragraph.
    pub why: &'static str,
    pub(crate) range: fn() -> String,
    pub(crate) assign: fn(&mut Limits, &str) -> Result<(), String>,
    pub(crate) text: fn(&Limits) -> String,
}

impl Knob {
    /// What is accepted, such as `a duration from 1ms to 1s`.
    #[must_use]
    pub fn range(&self) -> String {
        (self.range)()
    }

    /// Its value in `limits`, as one would write it.
    #[must_use]
    pub fn value(&self, limits: &Limits) -> String {
        (self.text)(limits)
    }

    /// What the peer is told when the bound is hit, such as `431, close with linger`.
    #[must_use]
    pub fn answer(&self) -> Option<String> {
        self.trips.map(|trip| trip.answer().to_string())
    }
}

impl std::fmt::Debug for Knob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Knob")
            .field("variable", &self.variable)
            .field("default", &self.default)
            .finish_non_exhaustive()
    }
}

/// The range of a kind whose values are `T`: naming the type lets a row leave out what its field says already.
pub(super) fn range_of<T>(kind: &impl Kind<Value = T>) -> String {
    kind.range()
}

/// Makes `Limits`, `DEFAULTS` and `KNOBS` of one list of
/// `/// why` `field "VARIABLE" "path": Type = value => "value as text", kind[, trips Trip];`.
macro_rules! knobs {
    ($(
        $(#[doc = $why:literal])+
        $name:ident $variable:literal $path:literal: $type:ty = $default:expr => $text:literal, $kind:expr
        $(, trips $trip:ident)?;
    )+) => {
        /// Every tunable's value: what `limits.max_connections` and the others are for one server.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $(
                $(#[doc = $why])+
                #[doc = ""]
                #[doc = concat!("`", $variable, "`, default `", $text, "`.")]
                pub $name: $type,
            )+
            /// Everything to listen on: the entries of `listen` (or its default, where nothing at all is configured),
            /// then the listeners with names of their own.
            pub listeners: Vec<Listener>,
        }

        /// The table's defaults before the machine is known: zero where `auto` stands, and no listeners.
        const DEFAULTS: &Limits = &Limits { $($name: $default,)+ listeners: Vec::new() };

        /// Every tunable, in the order of the table.
        pub const KNOBS: &[Knob] = &[$(
            Knob {
                name: stringify!($name),
                variable: $variable,
                path: $path,
                default: $text,
                trips: [$(Some(Trip::$trip),)? None][0],
                why: concat!($($why),+).trim_ascii(),
                range: || range_of::<$type>(&$kind),
                assign: |limits, text| {
                    limits.$name = Kind::parse(&$kind, text)?;
                    Ok(())
                },
                text: |limits| Kind::write(&$kind, &limits.$name),
            },
        )+];
    };
}
pub(crate) use knobs;
