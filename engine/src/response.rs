//! A response as the app makes it. Its framing, Date and Connection fields are the engine's business.

use crate::Error;
use crate::upgrade::Upgraded;
use bytes::Bytes;
use http_body::Frame;
use lanner_protocol::{ContentType, Fields, InvalidField, Status};
use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;

/// A body that is produced while it is sent; its trailers frame, if any, ends it.
pub type BodyStream = Pin<Box<dyn http_body::Body<Data = Bytes, Error = Error>>>;

/// What runs on an upgraded connection.
pub(crate) type UpgradeHandler = Box<dyn FnOnce(Upgraded) -> Pin<Box<dyn Future<Output = ()>>>>;

/// A response: status, fields and a body.
pub struct Response {
    pub(crate) status: Status,
    pub(crate) fields: Fields,
    pub(crate) body: ResponseBody,
}

pub(crate) enum ResponseBody {
    Empty,
    Whole(Bytes),
    Stream {
        length: Option<u64>,
        stream: BodyStream,
    },
    Upgrade {
        protocol: &'static str,
        handler: UpgradeHandler,
    },
    /// Reset the connection instead of answering.
    Reset,
}

impl Response {
    /// A response without a body.
    pub fn new(status: Status) -> Self {
        Self {
            status,
            fields: Fields::new(),
            body: ResponseBody::Empty,
        }
    }

    /// 200 with text.
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self::bytes(ContentType::TEXT, text)
    }

    /// 200 with a page.
    pub fn html(page: impl Into<Bytes>) -> Self {
        Self::bytes(ContentType::HTML, page)
    }

    /// 200 with bytes of a kind.
    pub fn bytes(content_type: ContentType, bytes: impl Into<Bytes>) -> Self {
        Self {
            status: Status::OK,
            fields: Fields::of_content_type(content_type),
            body: ResponseBody::Whole(bytes.into()),
        }
    }

    /// 200 with a body that is produced while it is sent. With `length` the client is told it, and producing more or
    /// less is an error that cuts the answer short and closes; without, the body is chunked.
    pub fn stream(
        length: Option<u64>,
        stream: impl http_body::Body<Data = Bytes, Error = Error> + 'static,
    ) -> Self {
        let mut response = Self::new(Status::OK);
        response.body = ResponseBody::Stream {
            length,
            stream: Box::pin(stream),
        };
        response
    }

    /// 101: switches to `protocol` if the request offered it ([`crate::Request::offers_upgrade`]; else this becomes a
    /// 500). `handler` then speaks it; the connection closes when it returns.
    pub fn upgrade<F, T>(protocol: &'static str, handler: F) -> Self
    where
        F: FnOnce(Upgraded) -> T + 'static,
        T: Future<Output = ()> + 'static,
    {
        let mut response = Self::new(Status::SWITCHING_PROTOCOLS);
        // Called by the first poll, where a panic is caught.
        let handler: UpgradeHandler =
            Box::new(|upgraded| Box::pin(async move { handler(upgraded).await }));
        response.body = ResponseBody::Upgrade { protocol, handler };
        response
    }

    /// No answer: the connection is reset (Kestrel's `IHttpResetFeature`).
    pub fn reset() -> Self {
        let mut response = Self::new(Status::INTERNAL_SERVER_ERROR);
        response.body = ResponseBody::Reset;
        response
    }

    /// Changes the status.
    #[must_use]
    pub fn with_status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Adds a field.
    ///
    /// # Errors
    /// [`InvalidField`] for a name or value that could not be sent as it is, or that the engine owns.
    pub fn with_field(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidField> {
        if !self.fields.has_memory() {
            self.fields.lend(take_memory());
        }
        self.fields.append(name, value)?;
        Ok(self)
    }

    /// Adds a `Content-Type`.
    #[must_use]
    pub fn with_content_type(mut self, content_type: ContentType) -> Self {
        self.fields.content_type(content_type);
        self
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({}, {:?})", self.status, self.fields)
    }
}

/// The trailers that end a body. What may not be sent (framing is the engine's) is left out, as any trailer may be
/// (RFC 9110 section 6.5).
pub(crate) fn trailers(frame: Frame<Bytes>) -> Option<Fields> {
    let mut fields = Fields::new();
    for (name, value) in &frame.into_trailers().ok()? {
        if let Err(error) = fields.append(name.as_str(), value) {
            tracing::warn!(%error, "a trailer field cannot be sent");
        }
    }
    Some(fields)
}

/// Field memory kept per thread, so that a handler which answers at once allocates nothing.
const FIELD_MEMORY_MAX: usize = 64;
/// A block that grew larger than this is not kept.
const FIELD_MEMORY_BYTES_MAX: usize = 4096;

thread_local! {
    static FIELD_MEMORY: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn take_memory() -> Vec<u8> {
    FIELD_MEMORY
        .with_borrow_mut(Vec::pop)
        .unwrap_or_else(|| Vec::with_capacity(256))
}

/// Takes the memory of fields that have been sent.
#[inline]
pub(crate) fn recycle(fields: Fields) {
    let memory = fields.into_memory();
    if memory.capacity() > 0 && memory.capacity() <= FIELD_MEMORY_BYTES_MAX {
        keep_memory(memory);
    }
}

fn keep_memory(memory: Vec<u8>) {
    FIELD_MEMORY.with_borrow_mut(|kept| {
        if kept.len() < FIELD_MEMORY_MAX {
            kept.push(memory);
        }
    });
}
