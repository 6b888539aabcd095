//! `lanner mirror`: what people put behind a proxy under test. Every method on every path is answered 200 with what was
//! received; only the instruments have paths of their own.

use crate::instrument::Instrument;
use crate::picture;
use lanner::{App, Error, Request, Response};

/// See the file's comment.
pub(crate) struct Mirror;

impl App for Mirror {
    async fn call(&self, mut request: Request) -> Result<Response, Error> {
        match Instrument::at(request.path()) {
            None | Some(Instrument::Misused(_)) => {
                // Read to its end, so that the proxy's connection lives on, and a body that is broken or too large is
                // seen for what it is.
                request.discard_body().await?;
                picture::of(&request)
            }
            Some(instrument) => instrument.answer(request).await,
        }
    }
}
