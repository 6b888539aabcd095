//! An app that panics costs itself one answer, and nobody else anything.

use crate::client::End;
use crate::server::{Fixture, serve};
use bytes::Bytes;
use http_body::Frame;
use lanner::{App, Count, Error, Overrides, Request, RequestView, Response};
use lanner_limits::Driver;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Panics where its request's path says.
#[derive(Clone)]
struct Fragile;

/// Panics when it is dropped.
struct Mine;

impl Drop for Mine {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("in a drop");
        }
    }
}

/// A body that panics when it is polled, or when it is dropped.
struct Trap {
    begun: bool,
    mine: Option<Mine>,
}

impl http_body::Body for Trap {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.mine.is_none() && self.begun {
            panic!("in a body");
        }
        if self.begun {
            return Poll::Ready(None);
        }
        self.begun = true;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"begun")))))
    }
}

#[derive(Debug)]
struct Unspeakable;

impl std::fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("in an error's text")
    }
}

impl std::error::Error for Unspeakable {}

impl App for Fragile {
    fn call(&self, request: Request) -> impl Future<Output = Result<Response, Error>> {
        if request.path() == "/before" {
            panic!("before the first await");
        }
        async move {
            match request.path() {
                "/first" => panic!("in the first poll"),
                "/after" => {
                    lanner::sleep(std::time::Duration::from_millis(1)).await;
                    panic!("after an await")
                }
                "/body" => Ok(Response::stream(
                    None,
                    Trap {
                        begun: false,
                        mine: None,
                    },
                )),
                "/body-drop" => Ok(Response::stream(
                    None,
                    Trap {
                        begun: false,
                        mine: Some(Mine),
                    },
                )),
                "/drop" => {
                    let _mine = Mine;
                    Ok(Response::text("lost"))
                }
                "/pending-drop" => {
                    let _mine = Mine;
                    std::future::pending().await
                }
                "/error" => Err(Unspeakable.into()),
                "/upgrade" => Ok(Response::upgrade("x", |_| panicking_handler())),
                "/upgrade-later" => Ok(Response::upgrade("x", |_| async {
                    lanner::sleep(std::time::Duration::from_millis(1)).await;
                    panic!("in an upgraded connection")
                })),
                "/task" => {
                    drop(lanner::spawn_local(async { panic!("in a task") }));
                    Ok(Response::text("well"))
                }
                "/joined" => {
                    lanner::spawn_local(async { panic!("in a task") }).await?;
                    Ok(Response::text("unreachable"))
                }
                "/blocking" => {
                    let outcome = lanner::blocking(|| panic!("on another thread")).await;
                    let _: () = outcome?;
                    Ok(Response::text("unreachable"))
                }
                _ => Ok(Response::text("well")),
            }
        }
    }

    fn admit(&self, head: RequestView<'_>) -> Overrides {
        if head.path() == "/admit" {
            panic!("before the request is admitted");
        }
        Overrides::default()
    }
}

fn panicking_handler() -> std::future::Ready<()> {
    panic!("before the handler's first await")
}

fn fragile(on: Driver) -> Fixture {
    // Somebody reads the log, so that what is logged is made into text.
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::sink)
        .try_init();
    // What is expected need not be printed.
    std::panic::set_hook(Box::new(|info| {
        let expected = std::thread::current()
            .name()
            .is_some_and(|name| name.starts_with("lanner-"));
        if !expected {
            eprintln!("{info}");
        }
    }));
    serve(on, |_| {}, Fragile)
}

fn is_well(server: &Fixture, panics: u64) {
    assert_eq!(server.connect().get("/").text(), "well");
    server.until("every panic is counted", |counters| {
        counters.count(Count::Panics) == panics
    });
}

on_every_driver! {
    fn a_panic_before_the_answer_is_a_500_and_the_connection_goes_on(on) {
        let server = fragile(on);
        let mut client = server.connect();
        for path in ["/before", "/first", "/after", "/drop", "/admit"] {
            let answer = client.get(path);
            assert_eq!((answer.status, answer.closes()), (500, false), "{path}");
            assert!(!answer.text().contains("await"), "{path}: {}", answer.text());
        }
        assert_eq!(client.get("/").text(), "well");
        is_well(&server, 5);
    }

    fn a_panic_within_the_answer_cuts_only_this_one_short(on) {
        let server = fragile(on);
        let mut other = server.connect();
        assert_eq!(other.get("/").text(), "well");
        let (bytes, end) = server.connect().ask("/body").rest();
        assert!(end == End::Closed && !bytes.ends_with(b"0\r\n\r\n"), "cut short");
        assert_eq!(other.get("/").text(), "well");
        is_well(&server, 1);
    }

    fn a_body_that_panics_when_dropped_harms_nobody(on) {
        let server = fragile(on);
        let mut client = server.connect();
        assert_eq!(client.get("/body-drop").text(), "begun");
        is_well(&server, 1);
        // Never polled, for HEAD wants none of it.
        client.send("HEAD /body-drop HTTP/1.1\r\nhost: test\r\n\r\n");
        assert_eq!(client.head().status, 200);
        is_well(&server, 2);
    }

    fn a_future_that_panics_when_the_client_goes_away_harms_nobody(on) {
        let server = fragile(on);
        let mut client = server.connect();
        client.ask("/pending-drop");
        server.until("dispatched", |counters| counters.count(Count::Requests) == 1);
        client.reset();
        server.until_open(0);
        is_well(&server, 1);
    }

    fn an_error_that_panics_when_it_is_logged_is_a_500(on) {
        let server = fragile(on);
        assert_eq!(server.connect().get("/error").status, 500);
        is_well(&server, server.counters().count(Count::Panics));
    }

    fn a_handler_of_an_upgraded_connection_that_panics_ends_it(on) {
        let server = fragile(on);
        for (path, panics) in [("/upgrade", 1), ("/upgrade-later", 2)] {
            let mut client = server.connect();
            client.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"));
            client.rest();
            drop(client);
            is_well(&server, panics);
        }
    }

    fn a_task_that_panics_harms_nobody(on) {
        let server = fragile(on);
        assert_eq!(server.connect().get("/task").text(), "well");
        is_well(&server, 1);
        assert_eq!(server.connect().get("/joined").status, 500);
        is_well(&server, 2);
    }

    fn blocking_work_that_panics_is_an_error_where_it_is_awaited(on) {
        let server = fragile(on);
        assert_eq!(server.connect().get("/blocking").status, 500);
        assert_eq!(server.connect().get("/blocking").status, 500);
        is_well(&server, 0);
    }
}
