//! The gRPC service of the example, served from this process.

use crate::grpc;
use lanner::Server;
use std::net::SocketAddr;

pub(crate) struct Greeter(Server);

/// Serves on a driver, `auto` among them.
pub(crate) fn serve(driver: &str) -> Greeter {
    let server = Server::builder()
        .set("listen", "http://127.0.0.1:0")
        .set("workers", "1")
        .set("driver", driver)
        .start(|_| grpc::app);
    Greeter(server.unwrap())
}

impl Greeter {
    pub(crate) fn address(&self) -> SocketAddr {
        let handle = self.0.handle();
        let addresses = handle.addresses();
        addresses.iter().find_map(|address| address.tcp()).unwrap()
    }

    /// Ends it when nobody is connected any more.
    pub(crate) fn stop(self) {
        self.0.handle().stop();
        self.0.join().unwrap();
    }
}
