//! What the `h2` crate, and rustls under it, say went wrong: as the kinds of trouble that our own client has for it.

use std::io;

use crate::run::secure;
use crate::run::trouble::{Kind, Trouble};

/// What became of a request.
pub(super) fn of_a_request(error: &h2::Error) -> Trouble {
    if error.is_go_away() && error.is_remote() {
        let text = format_args!("the server went away before it looked at the request ({error})");
        return Trouble::new(Kind::StreamReset, text);
    }
    if error.is_reset() {
        let text = if error.is_remote() {
            format!("the server reset the stream ({error})")
        } else {
            format!("the answer is wrong ({error})")
        };
        return Trouble::new(Kind::StreamReset, text);
    }
    of_a_connection(error)
}

/// What became of a connection on which nothing was asked, or of all requests on it.
pub(super) fn of_a_connection(error: &h2::Error) -> Trouble {
    if let Some(error) = error.get_io() {
        return of_a_socket(error);
    }
    if error.is_go_away() && error.is_remote() {
        let text = format_args!("the server closed the connection ({error})");
        return Trouble::new(Kind::Cut, text);
    }
    let text = format_args!("the server breaks HTTP/2, or what it sent is no HTTP/2 ({error})");
    Trouble::new(Kind::Protocol, text)
}

fn of_a_socket(error: &io::Error) -> Trouble {
    match error.kind() {
        // What comes of ciphertext that is none.
        io::ErrorKind::InvalidData => Trouble::new(Kind::Protocol, error),
        _ => {
            let text = "the server closed the connection, or it broke, with streams open";
            Trouble::new(Kind::Cut, format_args!("{text} ({error})"))
        }
    }
}

/// Why there was no agreement on TLS.
pub(super) fn of_a_handshake(error: &io::Error) -> Trouble {
    let inner = error.get_ref();
    match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => secure::not_agreed(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            Trouble::new(Kind::Handshake, "the server closed the connection")
        }
        None => Trouble::new(Kind::Handshake, error),
    }
}
