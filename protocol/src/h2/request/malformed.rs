//! Every way in which a message of HTTP/2 can be malformed (RFC 9113 section 8).

/// A way for a message to be malformed. All of them are errors of the stream, of the type PROTOCOL_ERROR (RFC 9113 section
/// 8.1.1), and none is answered: whoever sends such a message speaks HTTP/2 so badly that a status would not be read.
/// What HTTP/1.1 would answer too is a [`crate::Refusal`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Malformed {
    /// A field name that is not a token in lower case (section 8.2.1).
    FieldName,
    /// A field value with control bytes in it or white space around it (section 8.2.1).
    FieldValue,
    /// A field that belongs to a connection of HTTP/1.1 (section 8.2.2).
    ConnectionField,
    /// TE with anything but `trailers` (section 8.2.2).
    TransferCodings,
    /// A pseudo-field that requests do not have, or that was not agreed upon (section 8.3; RFC 8441).
    PseudoFieldUnknown,
    /// A pseudo-field behind a field that is none (section 8.3).
    PseudoFieldLate,
    /// A pseudo-field more than once (section 8.3).
    PseudoFieldRepeated,
    /// A request without one of the pseudo-fields that its method needs (section 8.3.1).
    PseudoFieldMissing,
    /// `:path` with nothing in it (section 8.3.1).
    PathEmpty,
    /// CONNECT with `:scheme` or `:path` (section 8.5), or `:protocol` without CONNECT (RFC 8441 section 4).
    ConnectForm,
    /// Another number of bytes than Content-Length said (section 8.1.1).
    ContentLength,
    /// A pseudo-field among trailers (section 8.1).
    PseudoFieldInTrailers,
    /// A second field section that does not end the message (section 8.1).
    TrailersWithoutEnd,
}

impl Malformed {
    /// Every variant, in the order of declaration.
    pub const ALL: [Malformed; 13] = [
        Malformed::FieldName,
        Malformed::FieldValue,
        Malformed::ConnectionField,
        Malformed::TransferCodings,
        Malformed::PseudoFieldUnknown,
        Malformed::PseudoFieldLate,
        Malformed::PseudoFieldRepeated,
        Malformed::PseudoFieldMissing,
        Malformed::PathEmpty,
        Malformed::ConnectForm,
        Malformed::ContentLength,
        Malformed::PseudoFieldInTrailers,
        Malformed::TrailersWithoutEnd,
    ];

    /// The name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Malformed::FieldName => "field_name",
            Malformed::FieldValue => "field_value",
            Malformed::ConnectionField => "connection_field",
            Malformed::TransferCodings => "transfer_codings",
            Malformed::PseudoFieldUnknown => "pseudo_field_unknown",
            Malformed::PseudoFieldLate => "pseudo_field_late",
            Malformed::PseudoFieldRepeated => "pseudo_field_repeated",
            Malformed::PseudoFieldMissing => "pseudo_field_missing",
            Malformed::PathEmpty => "path_empty",
            Malformed::ConnectForm => "connect_form",
            Malformed::ContentLength => "content_length",
            Malformed::PseudoFieldInTrailers => "pseudo_field_in_trailers",
            Malformed::TrailersWithoutEnd => "trailers_without_end",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn all_lists_every_variant_under_a_name_of_its_own() {
        let names: HashSet<&str> = Malformed::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Malformed::ALL.len());
        for (place, fault) in Malformed::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, place);
        }
        assert_eq!(
            Malformed::TrailersWithoutEnd as usize + 1,
            Malformed::ALL.len()
        );
    }
}
