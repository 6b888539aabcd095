//! Puts sockets where the cases of RFC 9113 look for their peer.

/// Declares the module `peer` of the cases, whose servers run on this driver.
macro_rules! peers_on {
    ($driver:expr) => {
        mod peer {
            use super::client::Peer;
            use crate::socket::Socket;

            impl Peer for Socket {
                fn send(&mut self, bytes: &[u8]) {
                    Socket::send(self, bytes);
                }

                fn receive(&mut self) -> Vec<u8> {
                    Socket::receive(self)
                }

                fn has_closed(&self) -> bool {
                    Socket::has_closed(self)
                }

                fn is_only_http2(&self) -> bool {
                    false
                }
            }

            /// A new connection to the usual server.
            pub(crate) fn connect() -> Box<dyn Peer> {
                Box::new(Socket::to_the_usual($driver))
            }

            /// A new connection to a server with other limits; `None` where they are not ours to set.
            pub(crate) fn connect_with(
                change: impl FnOnce(&mut lanner_limits::Limits),
            ) -> Option<Box<dyn Peer>> {
                let socket = Socket::to_one_with($driver, change)?;
                Some(Box::new(socket))
            }
        }
    };
}
