//! Trailer fields as the app gets them, from where they stand in what was received.

use lanner_limits::UnderscoreHeaders;
use lanner_protocol::field::FieldSpan;
use lanner_protocol::{Fields, Misbehaviour, Refusal};

/// The fields at `spans` of `bytes`; none where there are none.
///
/// # Errors
/// A name with an underscore, where those are refused (`LANNER_UNDERSCORE_HEADERS`).
pub(super) fn fields(
    spans: &[FieldSpan],
    bytes: &[u8],
    underscores: UnderscoreHeaders,
) -> Result<Option<Fields>, Refusal> {
    let mut fields = Fields::new();
    for span in spans {
        if span.name.slice(bytes).contains(&b'_') {
            match underscores {
                UnderscoreHeaders::Allow => {}
                UnderscoreHeaders::Drop => continue,
                UnderscoreHeaders::Reject => return Err(Misbehaviour::UnderscoreField.into()),
            }
        }
        // What the parser let through is valid, and no trailer may be a field that frames messages.
        let _ = fields.append(span.name.str(bytes), span.value.slice(bytes));
    }
    Ok((!fields.is_empty()).then_some(fields))
}
