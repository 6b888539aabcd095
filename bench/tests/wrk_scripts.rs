//! What wrk sends with the scripts in `bench/rivals`: heads that vary, each as a client would send it. Needs wrk.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use lanner_bench::subject::tool;

const END: &[u8] = b"\r\n\r\n";

/// Heads that are looked at: two whole turns of a list.
const HEADS: usize = 2 * 272;

/// Starts wrk with a script, on one connection, and gives the heads that it sends first and how many came in each write.
/// `None` if there is no wrk here, which is then told.
fn heads_sent(script: &str, words: &[&str]) -> Option<(Vec<String>, Vec<usize>)> {
    if let Err(obstacle) = tool("wrk") {
        obstacle.skip(script);
        return None;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hello", listener.local_addr().unwrap());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rivals");
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c1", "-d60s", "-H", "X-Added: 1", "-s"]);
    command
        .arg(folder.join(script))
        .arg(url)
        .arg("--")
        .args(words);
    let mut wrk = command.stdout(Stdio::null()).spawn().unwrap();
    // wrk first connects once to see whether it can.
    let (mut heads, mut writes) = (Vec::new(), Vec::new());
    while heads.len() < HEADS {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut text, mut bytes) = (Vec::new(), [0; 64 * 1024]);
        while heads.len() < HEADS {
            let count = stream.read(&mut bytes).unwrap();
            if count == 0 {
                break;
            }
            text.extend_from_slice(&bytes[..count]);
            if !text.ends_with(END) {
                continue;
            }
            let whole = String::from_utf8(std::mem::take(&mut text)).unwrap();
            let asked: Vec<_> = whole
                .split_terminator("\r\n\r\n")
                .map(str::to_owned)
                .collect();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".repeat(asked.len());
            stream.write_all(&answer).unwrap();
            writes.push(asked.len());
            heads.extend(asked);
        }
    }
    wrk.kill().unwrap();
    wrk.wait().unwrap();
    Some((heads, writes))
}

/// A head without the number that makes it one of its own.
fn shape(head: &str) -> String {
    let is_digit = |character: char| character.is_ascii_digit();
    let start = head
        .match_indices(is_digit)
        .map(|(start, _)| start)
        .find(|start| head[*start..].starts_with("000"));
    match start {
        Some(start) => format!("{}{}", &head[..start], &head[start + 8..]),
        None => panic!("no number in {head}"),
    }
}

/// Every head is one that servers take, the narrowest rival included.
fn check(head: &str) {
    let mut lines = head.split("\r\n");
    let request = lines.next().unwrap();
    assert!(request.starts_with("GET /hello"), "{head}");
    assert!(request.ends_with(" HTTP/1.1"), "{head}");
    assert!(!head.contains('{') && !head.contains('}'), "{head}");
    let fields: Vec<&str> = lines.collect();
    assert!(
        fields.len() <= 17,
        "sixteen, and the one added here: {head}"
    );
    let named = |name: &str| {
        let of = |field: &&&str| field.split(':').next().unwrap().eq_ignore_ascii_case(name);
        fields.iter().filter(of).count()
    };
    assert!(fields.iter().all(|field| field.contains(':')), "{head}");
    assert_eq!((named("host"), named("x-added")), (1, 1), "{head}");
}

fn distinct<T: std::hash::Hash + Eq>(items: impl IntoIterator<Item = T>) -> usize {
    items.into_iter().collect::<HashSet<_>>().len()
}

#[test]
fn kept_alive_requests_differ_and_their_heads_are_a_mix() {
    let Some((heads, writes)) = heads_sent("keepalive.lua", &[]) else {
        return;
    };
    heads.iter().for_each(|head| check(head));
    assert!(writes.iter().all(|count| *count == 1));
    assert!(distinct(&heads[..HEADS / 2]) == HEADS / 2);
    assert!(distinct(heads[..17].iter().map(|head| shape(head))) >= 16);
    // Then the list begins again.
    assert_eq!(heads[0], heads[HEADS / 2]);
}

#[test]
fn pipelined_batches_differ_and_begin_with_another_head_each() {
    let Some((heads, writes)) = heads_sent("pipeline.lua", &["16", "mixed"]) else {
        return;
    };
    heads.iter().for_each(|head| check(head));
    assert!(writes.iter().all(|count| *count == 16), "{writes:?}");
    assert_eq!(distinct(&heads[..HEADS / 2]), HEADS / 2);
    let firsts = heads[..HEADS / 2].chunks(16).map(|batch| shape(&batch[0]));
    assert_eq!(distinct(firsts), 17);
}

#[test]
fn plain_pipelining_repeats_wrks_own_head() {
    let Some((heads, writes)) = heads_sent("pipeline.lua", &["4", "plain"]) else {
        return;
    };
    assert!(writes.iter().all(|count| *count == 4), "{writes:?}");
    assert_eq!(distinct(&heads), 1);
    check(&heads[0]);
    assert_eq!(heads[0].split("\r\n").count(), 3, "{}", heads[0]);
}
