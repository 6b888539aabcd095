//! The requests these clients send, as bytes.

use std::net::SocketAddr;

use crate::arguments::{Arguments, Failure, Flag};

/// Where requests go: the server's address and the path asked for.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server.
    pub address: SocketAddr,
    path: String,
}

impl Target {
    /// A target whose path can stand in a request line.
    pub fn new(address: SocketAddr, path: &str) -> Result<Self, Failure> {
        if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::Usage(format!(
                "--path {path:?}: expected printable ASCII that begins with /"
            )));
        }
        Ok(Self {
            address,
            path: path.to_owned(),
        })
    }

    /// What [`Flag::ADDR`] and [`Flag::PATH`] say.
    pub fn read(arguments: &Arguments) -> Result<Self, Failure> {
        let path = arguments.text(Flag::PATH.name).unwrap_or_default();
        Self::new(arguments.value(Flag::ADDR.name)?, path)
    }

    /// The same path of another server.
    pub fn at(&self, address: SocketAddr) -> Self {
        Self {
            address,
            path: self.path.clone(),
        }
    }

    /// A whole `GET`.
    pub fn get(&self) -> Vec<u8> {
        format!("{}\r\n", self.head("GET")).into_bytes()
    }

    /// A whole `GET` that is the last of its connection.
    pub fn get_and_close(&self) -> Vec<u8> {
        format!("{}Connection: close\r\n\r\n", self.head("GET")).into_bytes()
    }

    /// A `GET` that lacks its end: more fields may follow, for as long as the server bears it.
    pub fn get_without_end(&self) -> Vec<u8> {
        self.head("GET").into_bytes()
    }

    /// The whole head of a `POST` whose body does not follow by itself.
    pub fn post_head(&self, content_length: u64) -> Vec<u8> {
        format!(
            "{}Content-Length: {content_length}\r\n\r\n",
            self.head("POST")
        )
        .into_bytes()
    }

    fn head(&self, method: &str) -> String {
        format!(
            "{method} {} HTTP/1.1\r\nHost: {}\r\n",
            self.path, self.address
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn requests_are_what_the_wire_carries() {
        let target = Target::new("127.0.0.1:80".parse().unwrap(), "/hello").unwrap();
        assert_eq!(
            target.get(),
            b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n"
        );
        assert_eq!(
            target.get_without_end(),
            b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:80\r\n"
        );
        assert_eq!(
            target.get_and_close(),
            b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:80\r\nConnection: close\r\n\r\n"
        );
        assert!(
            target
                .post_head(9)
                .ends_with(b"\r\nContent-Length: 9\r\n\r\n")
        );
    }

    #[test]
    fn a_path_cannot_smuggle_a_second_line() {
        let address = "127.0.0.1:80".parse().unwrap();
        for path in ["hello", "", "/a b", "/a\r\nX: y", "/\u{e9}"] {
            assert!(Target::new(address, path).is_err(), "{path:?}");
        }
    }
}
