//! An app that panics costs itself one answer, and nobody else anything.

use crate::client::End;
use crate::server::Fixture;
use crate::way::Way;
use bytes::Bytes;
use http_body::Frame;
use lanner::{App, Count, Error, Overrides, Request, RequestView, Response};
use lanner_protocol::h2::error_code::ErrorCode;
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
                "/limits-drop" => {
                    let _mine = Mine;
                    drop(lanner::spawn_local(async move {
                        request.set_max_body(Some(0)).unwrap();
                        panic!("when its limits are set");
                    }));
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
                "/reads" => crate::app::sum(request).await,
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

fn fragile(way: Way) -> Fixture {
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
    way.serve(|_| {}, Fragile)
}

fn is_well(way: Way, server: &Fixture, panics: u64) {
    assert_eq!(way.agent(server).get("/").text(), "well");
    server.until("every panic is counted", |counters| {
        counters.count(Count::Panics) == panics
    });
}

in_every_way! {
    fn a_panic_before_the_answer_is_a_500_and_the_connection_goes_on(way) {
        let server = fragile(way);
        let mut agent = way.agent(&server);
        let waiting = agent.begin("/reads", &[]);
        for path in ["/before", "/first", "/after", "/drop", "/admit"] {
            let answer = agent.get(path);
            assert_eq!((answer.status, answer.closes()), (500, false), "{path}");
            assert!(!answer.text().contains("await"), "{path}: {}", answer.text());
        }
        // Neither did those that were under way beside it mind.
        agent.finish(waiting);
        assert_eq!(agent.answer(waiting).text(), "0 0");
        assert_eq!(agent.get("/").text(), "well");
        let connections = if way.is_http1() { 2 } else { 1 };
        assert_eq!(server.counters().count(Count::Accepted), connections);
        is_well(way, &server, 5);
    }

    fn a_panic_within_the_answer_cuts_only_this_one_short(way) {
        let server = fragile(way);
        let mut agent = way.agent(&server);
        let other = agent.begin("/reads", &[]);
        server.until("dispatched", |counters| counters.count(Count::Requests) == 1);
        let request = agent.ask("/body");
        let cut = agent.cut(request);
        match way.is_http1() {
            true => assert_eq!(cut.end, Some(End::Closed)),
            false => assert_eq!((cut.status, cut.code), (Some(200), Some(ErrorCode::INTERNAL_ERROR))),
        }
        assert!(agent.hears_nothing(other));
        assert_eq!(agent.get("/").text(), "well");
        agent.finish(other);
        assert_eq!(agent.answer(other).text(), "0 0");
        is_well(way, &server, 1);
    }
}

in_both_versions! {
    fn a_body_that_panics_when_dropped_harms_nobody(way) {
        let server = fragile(way);
        let mut agent = way.agent(&server);
        assert_eq!(agent.get("/body-drop").text(), "begun");
        is_well(way, &server, 1);
        // Never polled, for HEAD wants none of it.
        let request = agent.request("HEAD", "/body-drop", &[], true);
        assert_eq!(agent.answer(request).status, 200);
        is_well(way, &server, 2);
    }

    fn a_future_that_panics_when_the_client_goes_away_harms_nobody(way) {
        let server = fragile(way);
        let mut agent = way.agent(&server);
        let (stays, request) = (agent.begin("/reads", &[]), agent.ask("/pending-drop"));
        server.until("dispatched", |counters| counters.count(Count::Requests) == 2);
        agent.give_up(request);
        is_well(way, &server, 1);
        agent.finish(stays);
        assert_eq!(agent.answer(stays).text(), "0 0");
    }

    fn a_request_is_not_judged_by_what_another_was_allowed_when_its_admission_panics(way) {
        let server = fragile(way);
        let mut agent = way.agent(&server);
        let request = agent.ask("/limits-drop");
        // Its limits are set behind its last poll, so nobody takes them over.
        server.until("its task has ended", |counters| counters.count(Count::Panics) == 1);
        agent.give_up(request);
        server.until("it has ended", |counters| counters.count(Count::Panics) == 2);
        let mut agent = way.agent(&server);
        let request = agent.post("/admit", b"more than nothing");
        assert_eq!(agent.answer(request).status, 500);
        is_well(way, &server, 3);
    }

    fn an_error_that_panics_when_it_is_logged_is_a_500(way) {
        let server = fragile(way);
        assert_eq!(way.agent(&server).get("/error").status, 500);
        is_well(way, &server, server.counters().count(Count::Panics));
    }
}

on_every_driver! {
    fn a_handler_of_an_upgraded_connection_that_panics_ends_it(on) {
        let server = fragile(Way::http1(on));
        for (path, panics) in [("/upgrade", 1), ("/upgrade-later", 2)] {
            let mut client = server.connect();
            client.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"));
            client.rest();
            drop(client);
            is_well(Way::http1(on), &server, panics);
        }
    }

    fn a_task_that_panics_harms_nobody(on) {
        let server = fragile(Way::http1(on));
        assert_eq!(server.connect().get("/task").text(), "well");
        is_well(Way::http1(on), &server, 1);
        assert_eq!(server.connect().get("/joined").status, 500);
        is_well(Way::http1(on), &server, 2);
    }

    fn blocking_work_that_panics_is_an_error_where_it_is_awaited(on) {
        let server = fragile(Way::http1(on));
        assert_eq!(server.connect().get("/blocking").status, 500);
        assert_eq!(server.connect().get("/blocking").status, 500);
        is_well(Way::http1(on), &server, 0);
    }
}
