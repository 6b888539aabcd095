//! What rivals read from files: the configurations in `bench/rivals`, with where to listen, what to speak and under which
//! certificate filled in.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::credentials::Credentials;
use super::wire::{Demand, Wire};

const NGINX: &str = include_str!("../../../bench/rivals/nginx.conf");
const NGINX_TLS: &str = include_str!("../../../bench/rivals/nginx-tls.conf");
const H2O: &str = include_str!("../../../bench/rivals/h2o.conf");
const H2O_SSL: &str = include_str!("../../../bench/rivals/h2o-ssl.conf");
const HAPROXY: &str = include_str!("../../../bench/rivals/haproxy.cfg");

/// Where a server is to be, and what it is to do there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) port: u16,
    /// For its files.
    pub(crate) directory: &'a Path,
    pub(crate) demand: Demand,
    pub(crate) credentials: &'a Credentials,
}

impl Place<'_> {
    /// The unix socket, where it is to have one.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let text = text
            .replace("@port@", &self.port.to_string())
            .replace("@directory@", &self.directory.display().to_string());
        let path = self.directory.join(name);
        fs::write(&path, self.credentials.fill(&text))?;
        Ok(path)
    }
}

/// nginx has a port for each of the two it can speak in cleartext, and one for both over TLS.
pub(crate) fn nginx(place: &Place<'_>) -> io::Result<PathBuf> {
    let (speech, tls) = match place.demand.wire {
        Wire::Http1 => ("", String::new()),
        Wire::Http2 => ("http2", String::new()),
        Wire::Https1 | Wire::Https2 => {
            let path = place.write("nginx-tls.conf", NGINX_TLS)?;
            ("ssl http2", format!("include {};", path.display()))
        }
    };
    let listen = match place.demand.on_unix {
        true => format!("unix:{}", place.socket().display()),
        false => "127.0.0.1:@port@ @speech@ reuseport".to_owned(),
    };
    let text = NGINX
        .replace("listen @listen@", &format!("listen {listen}"))
        .replace(" @speech@", &format!(" {speech}"))
        .replace("        @tls@", &format!("        {tls}"));
    place.write("nginx.conf", &text)
}

/// h2o listens for both in cleartext.
pub(crate) fn h2o(place: &Place<'_>) -> io::Result<PathBuf> {
    fs::write(place.directory.join("hello"), "Hello, World!")?;
    let listen = match place.demand.on_unix {
        true => format!("  type: unix\n  port: {}", place.socket().display()),
        false => "  host: 127.0.0.1\n  port: @port@".to_owned(),
    };
    let ssl = if place.demand.wire.is_secure() {
        H2O_SSL
    } else {
        ""
    };
    let text = H2O
        // The comment above speaks of them too.
        .replace("\n@listen@\n", &format!("\n{listen}\n"))
        .replace("\n@ssl@\n", &format!("\n{ssl}\n"));
    place.write("h2o.conf", &text)
}

/// HAProxy is told at the socket what it speaks, and takes certificate and key from one file.
pub(crate) fn haproxy(place: &Place<'_>) -> io::Result<PathBuf> {
    let wire = place.demand.wire;
    let bind = match place.demand.on_unix {
        true => format!("unix@{}", place.socket().display()),
        false => "127.0.0.1:@port@".to_owned(),
    };
    let speech = match wire {
        Wire::Http1 => String::new(),
        Wire::Http2 => "proto h2".to_owned(),
        Wire::Https1 | Wire::Https2 => {
            let path = place.directory.join("haproxy.pem");
            let mut only_ours = OpenOptions::new();
            only_ours.write(true).create_new(true).mode(0o600);
            let mut both = only_ours.open(&path)?;
            both.write_all(&fs::read(place.credentials.certificate())?)?;
            both.write_all(&fs::read(place.credentials.key())?)?;
            let path = path.display();
            format!("ssl crt {path} alpn h2,http/1.1")
        }
    };
    let text = HAPROXY.replace("bind @bind@", &format!("bind {bind} {speech}"));
    place.write("haproxy.cfg", &text)
}
