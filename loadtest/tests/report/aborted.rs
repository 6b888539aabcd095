//! A run that nobody answered: its exit code says so, and everything that was asked for is written all the same.

use lanner_loadtest::report::Record;

use crate::program::{Folder, run};
use crate::server;

#[test]
fn every_file_of_an_aborted_run_is_written_and_the_exit_code_is_one() {
    let (_held, server) = server::refusing();
    let folder = Folder::new("aborted");
    let files = ["a.csv", "a.hgrm", "a.html"].map(|file| folder.path(file));
    let [csv, hgrm, html] = &files;
    let ended = run(
        server,
        &["--json", "--csv", csv, "--hgrm", hgrm, "--report", html],
    );
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.err.contains("aborted: Connection refused"),
        "{}",
        ended.err
    );

    let record = Record::read(&ended.out).unwrap();
    assert!(record.aborted.unwrap().contains("Connection refused"));
    assert_eq!((record.answers, record.rate), (0, 0.0));
    assert!(record.latency_ms.is_none());
    assert_eq!(record.errors_by_kind[0].kind, "connect");
    assert!(record.errors > 0);

    assert_eq!(
        folder.read("a.csv").lines().count(),
        1 + record.time_line.len()
    );
    assert!(
        folder
            .read("a.hgrm")
            .contains("Total count    =            0]")
    );
    let page = folder.read("a.html");
    assert!(
        page.contains("The run was aborted: Connection refused"),
        "{page}"
    );
    assert!(page.contains("No latency was recorded."), "{page}");
    assert!(page.ends_with("</html>\n"), "{page}");
}

#[test]
fn people_are_told_why_and_what_there_was() {
    let (_held, server) = server::refusing();
    let ended = run(server, &[]);
    assert_eq!(ended.code, 1);
    for part in [
        "aborted     Connection refused",
        " of 0.4 s recorded",
        "statuses    no answer",
        " connect: Connection refused",
    ] {
        assert!(
            ended.out.contains(part),
            "{part} is missing in:\n{}",
            ended.out
        );
    }
}

#[test]
fn a_server_that_never_answers_is_no_success() {
    let folder = Folder::new("mute");
    let csv = folder.path("a.csv");
    let ended = run(server::mute(), &["--csv", &csv]);
    assert_eq!(ended.code, 1, "{ended:?}");
    let why = "no answer by the end of the run";
    assert!(ended.err.contains(&format!("nothing was answered: {why}")));
    for part in ["errors      2\n", why, "statuses    no answer"] {
        assert!(
            ended.out.contains(part),
            "{part} is missing:\n{}",
            ended.out
        );
    }
    assert!(!ended.out.contains("aborted"), "it had all its time");
    assert!(folder.has("a.csv"));
}
