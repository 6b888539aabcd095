//! The app that is served when nothing else was asked for: a page that says what runs, and things to try it with.

use crate::instrument::Instrument;
use crate::{picture, refusal};
use bytes::Bytes;
use lanner::{App, Error, Method, Request, Response, ServerInfo, Status};
use std::cell::OnceCell;

/// The page; what stands in braces is filled in once a worker.
const PAGE: &str = include_str!("welcome.html");

/// See the file's comment.
#[derive(Default)]
pub(crate) struct Welcome {
    page: OnceCell<Bytes>,
}

/// What a path leads to.
#[derive(Clone, Copy)]
enum Route {
    Page,
    Hello,
    Headers,
    Instrument(Instrument),
    /// `OPTIONS *`: the server itself.
    Server,
    Nothing,
}

impl Route {
    fn of(path: &str) -> Self {
        match path {
            "/hello" => Self::Hello,
            "/" => Self::Page,
            "/headers" => Self::Headers,
            "*" => Self::Server,
            _ => Instrument::at(path).map_or(Self::Nothing, Self::Instrument),
        }
    }
}

impl App for Welcome {
    async fn call(&self, request: Request) -> Result<Response, Error> {
        let reads = matches!(request.method(), Method::Get | Method::Head);
        match Route::of(request.path()) {
            Route::Page | Route::Hello if !reads => refusal::method_not_allowed("GET, HEAD"),
            // What load generators measure: it must not allocate, and a test counts.
            Route::Hello => Ok(Response::text("Hello, World!")),
            Route::Page => {
                let page = self
                    .page
                    .get_or_init(|| Bytes::from(page(&request.connection().server)));
                Ok(Response::html(page.clone()))
            }
            Route::Headers => picture::of(&request),
            Route::Instrument(instrument) => instrument.answer(request).await,
            Route::Server => Ok(Response::new(Status::NO_CONTENT)),
            Route::Nothing => Ok(refusal::not_found()),
        }
    }
}

fn page(server: &ServerInfo) -> String {
    let addresses: Vec<String> = server.addresses.iter().map(ToString::to_string).collect();
    let base = server
        .addresses
        .iter()
        .find(|address| address.tcp().is_some())
        .map_or_else(|| "http://localhost".to_owned(), ToString::to_string);
    PAGE.replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{driver}", &escaped(server.driver))
        .replace("{reason}", &escaped(server.driver_reason))
        .replace("{workers}", &server.workers.to_string())
        .replace("{addresses}", &escaped(&addresses.join(", ")))
        .replace("{base}", &escaped(&base))
}

/// Text as HTML: a socket's path may hold anything.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use lanner::BoundAddress;

    #[test]
    fn the_page_says_what_runs_and_leaves_no_brace_open() {
        let server = ServerInfo {
            addresses: vec![
                BoundAddress::Unix("/run/<&\".sock".into()),
                BoundAddress::Tcp("127.0.0.1:8080".parse().unwrap()),
            ],
            workers: 3,
            driver: "epoll",
            driver_reason: "asked for",
        };
        let page = page(&server);
        for part in [
            env!("CARGO_PKG_VERSION"),
            ">3<",
            "epoll",
            "asked for",
            "unix:/run/&lt;&amp;&quot;.sock, http://127.0.0.1:8080",
            "curl http://127.0.0.1:8080/hello",
        ] {
            assert!(page.contains(part), "{part}");
        }
        let style = page.split_once("</style>").unwrap().1;
        assert!(!style.contains('{') && !style.contains('}'), "{page}");
    }
}
