//! What cannot be reported as asked is said before anything is sent.

use crate::program::{Folder, run};
use crate::server;

/// Nobody listens there: a run that began would be aborted, and say so.
#[track_caller]
fn refuses(flags: &[&str], code: i32, why: &str) {
    let (_held, server) = server::refusing();
    let ended = run(server, flags);
    assert_eq!(ended.code, code, "{ended:?}");
    assert!(ended.err.contains(why), "{}", ended.err);
    assert!(
        !ended.err.contains("aborted") && ended.out.is_empty(),
        "{ended:?}"
    );
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_the_run() {
    let folder = Folder::new("unwritable");
    let missing = folder.path("missing/a.csv");
    for flag in ["--csv", "--hgrm", "--report"] {
        refuses(&[flag, &missing], 1, &format!("{missing}: No such file"));
    }
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    let folder = Folder::new("contradict");
    let (file, other) = (folder.path("a"), folder.path("b"));
    folder.write("b", "{}");
    refuses(&["--overlay", &other], 2, "--report");
    refuses(
        &["--csv", &file, "--hgrm", &file],
        2,
        "another report goes to that file",
    );
    let ten = [["--overlay", other.as_str()]; 10].concat();
    refuses(&[&["--report", &file], &ten[..]].concat(), 2, "at most 7");
    assert_eq!(folder.read("b"), "{}");
}

#[test]
fn what_is_no_earlier_run_is_refused_and_nothing_is_written() {
    let folder = Folder::new("overlay");
    let (page, other) = (folder.path("page.html"), folder.path("other.json"));
    for (text, why) in [
        ("", "EOF"),
        ("not JSON", "expected"),
        ("{}", "missing field `format`"),
        ("{\"format\":2}", "format 2, and this program reads 1"),
        ("{\"format\":1}", "missing field `title`"),
    ] {
        folder.write("other.json", text);
        let flags = ["--report", &page, "--overlay", &other];
        refuses(&flags, 1, &format!("{other}: not what --json writes"));
        refuses(&flags, 1, why);
    }
    refuses(
        &["--report", &page, "--overlay", &folder.path("none")],
        1,
        "No such file",
    );
    refuses(&["--report", &other, "--overlay", &other], 2, "to be read");
    assert!(!folder.has("page.html"));
}

#[test]
fn a_file_from_before_is_replaced_as_a_whole() {
    let folder = Folder::new("replaced");
    let long = "x".repeat(1 << 20);
    folder.write("a.csv", &long);
    let ended = run(
        server::answering(),
        &["--json", "--csv", &folder.path("a.csv")],
    );
    assert_eq!(ended.code, 0, "{ended:?}");
    let text = folder.read("a.csv");
    assert!(
        text.starts_with("at_s,") && !text.contains("xx"),
        "{} bytes",
        text.len()
    );
}
