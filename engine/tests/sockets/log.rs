//! The access log, which a server writes to its standard output: so each test reads another process's.

use crate::app;
use crate::child;
use crate::server::serve;
use lanner::{Request, Response};
use lanner_limits::{Driver, LogAccess};

fn logged(on: Driver, test: &str, format: LogAccess) -> Option<Vec<String>> {
    let printed = child::alone(&format!("log::{test}::{}", child::module(on)), || {
        let change = |limits: &mut lanner::Limits| {
            limits.log_access = format;
            limits.max_request_body = Some(10);
        };
        let server = serve(on, change, |request: Request| async move {
            match request.path() {
                "/wait" => std::future::pending().await,
                "/fail" => Err(std::io::Error::other("no").into()),
                "/sum" => app::sum(request).await,
                _ => Ok(Response::text("Hello, World!")),
            }
        });
        let mut client = server.connect();
        client.send("GET /a?b=c HTTP/1.1\r\nhost: test\r\nuser-agent: a \"quoted\" one\r\nreferer: http://r/\r\n\r\n");
        assert_eq!(client.answer().status, 200);
        client.send("HEAD /head HTTP/1.1\r\nhost: test\r\n\r\n");
        assert_eq!(client.head().status, 200);
        assert_eq!(client.get("/fail").status, 500);
        client.send("POST /sum HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n");
        assert_eq!(client.answer().status, 413);
        let mut announcer = server.connect();
        announcer.send("POST /sum HTTP/1.1\r\nhost: test\r\ncontent-length: 11\r\n\r\n");
        assert_eq!(announcer.answer().status, 413);
        let mut rude = server.connect();
        rude.send("no request\r\n\r\n");
        assert_eq!(rude.answer().status, 400);
        let mut gone = server.connect();
        gone.ask("/wait");
        server.until("dispatched", |counters| {
            counters.count(lanner::Count::Requests) == 6
        });
        gone.reset();
    })?;
    // The test harness prints in the same place, and begins the line itself.
    let begins = if format == LogAccess::Json {
        "{\"time\":"
    } else {
        "127.0.0.1 - - ["
    };
    let lines = printed
        .lines()
        .filter_map(|line| Some(line[line.find(begins)?..].to_owned()));
    Some(lines.collect())
}

on_every_driver! {
    fn the_combined_format_has_a_line_for_each_request(on) {
        let Some(lines) = logged(on, "the_combined_format_has_a_line_for_each_request", LogAccess::Combined) else {
            return;
        };
        let tails: Vec<&str> = lines.iter().filter_map(|line| line.split_once("+0000] ")).map(|(_, tail)| tail).collect();
        assert_eq!(tails, [
            "\"GET /a?b=c HTTP/1.1\" 200 13 \"http://r/\" \"a \\\"quoted\\\" one\"",
            "\"HEAD /head HTTP/1.1\" 200 0 \"-\" \"-\"",
            "\"GET /fail HTTP/1.1\" 500 26 \"-\" \"-\"",
            "\"POST /sum HTTP/1.1\" 413 62 \"-\" \"-\"",
            "\"POST /sum HTTP/1.1\" 413 62 \"-\" \"-\"",
            "\"-\" 400 47 \"-\" \"-\"",
            "\"GET /wait HTTP/1.1\" 499 0 \"-\" \"-\"",
        ]);
    }

    fn the_json_format_has_an_object_for_each_request(on) {
        let Some(lines) = logged(on, "the_json_format_has_an_object_for_each_request", LogAccess::Json) else {
            return;
        };
        assert_eq!(lines.len(), 7);
        assert!(lines.iter().all(|line| line.ends_with('}')), "{lines:?}");
        for part in [
            "\"client.address\":\"127.0.0.1\"",
            "\"http.request.method\":\"GET\"",
            "\"url.target\":\"/a?b=c\"",
            "\"server.address\":\"test\"",
            "\"user_agent.original\":\"a \\\"quoted\\\" one\"",
            "\"network.protocol.version\":\"1.1\"",
            "\"http.response.status_code\":200",
            "\"http.response.body.size\":13",
            "\"duration_us\":",
        ] {
            assert!(lines[0].contains(part), "{part} in {}", lines[0]);
        }
        assert!(lines[6].contains("\"http.response.status_code\":499"), "{}", lines[6]);
    }
}
