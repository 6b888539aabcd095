//! Certificates that change while a server is under load.

use super::identity::{Authority, Folder};
use super::party::{self, Shake as _};
use crate::app;
use crate::server::{start, until};
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

fn shown(address: SocketAddr) -> CertificateDer<'static> {
    let mut client = party::connect_as(address, &party::trusting(None), party::NAME);
    client.shake();
    client.stream.conn.peer_certificates().unwrap()[0].clone()
}

on_every_driver! {
    fn a_new_certificate_is_served_and_no_request_is_lost(driver) {
        let folder = Folder::new();
        let [old, new] = [(); 2].map(|()| Authority::shared().server(&[party::NAME]));
        let path = folder.put("server.pem", &old.pem());
        let limits = party::limits_with(driver, &[("tls_cert", path.to_str().unwrap())]);
        let server = start(limits, |_| app::target).unwrap();
        let address = server.address();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for reconnects in [false, true] {
                let done = &done;
                scope.spawn(move || {
                    let mut client = party::connect(address);
                    for number in 0.. {
                        if done.load(Ordering::Relaxed) {
                            break;
                        }
                        if reconnects && number % 10 == 0 {
                            client = party::connect(address);
                        }
                        let request = format!("GET /{number} HTTP/1.1\r\nhost: a.test\r\n\r\n");
                        assert_eq!(client.send(request).answer().text(), format!("/{number}"));
                    }
                });
            }
            assert_eq!(shown(address), old.der());
            folder.put("server.pem", "nonsense");
            folder.put("server.pem", &new.pem());
            until(|| shown(address) == new.der(), || "the new one is served".to_owned());
            done.store(true, Ordering::Relaxed);
        });
        drop(folder);
    }
}
