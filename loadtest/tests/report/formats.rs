//! Every format of a run that went well, and of one whose server died half way.

use std::time::Duration;

use lanner_loadtest::report::Record;
use serde_json::Value;

use crate::program::{Folder, run, run_after};
use crate::server;

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn json_is_one_line_with_every_figure_and_is_read_back() {
    let ended = run(server::answering(), &["--json", "--title", "A \"title\"\n"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
    assert_eq!(ended.out.lines().count(), 1, "{}", ended.out);
    let json: Value = serde_json::from_str(&ended.out).unwrap();

    assert_eq!(json["title"], "A \"title\"\n");
    assert_eq!(json["aborted"], Value::Null);
    assert_eq!(json["asked"]["connections"], 2);
    assert_eq!(json["asked"]["rate"], Value::Null);
    let (answers, seconds) = (number(&json["answers"]), number(&json["recorded_s"]));
    assert!(answers > 0.0);
    assert!(
        (number(&json["rate"]) - answers / seconds).abs() < 1e-3,
        "{json}"
    );
    assert_eq!(number(&json["statuses"]["200"]), answers);
    assert_eq!((&json["errors"], &json["failures"]), (&0.into(), &0.into()));
    assert_eq!(json["handshake_ms"], Value::Null, "there was no TLS");
    assert_eq!(json["connect_ms"]["count"], 2);

    let latency = &json["latency_ms"];
    let names = ["p50", "p90", "p99", "p999", "p9999", "max"];
    let quantiles = names.map(|name| number(&latency[name]));
    assert!(quantiles[0] > 0.0 && quantiles.is_sorted(), "{latency}");
    assert_eq!(number(&latency["count"]), answers);
    let counts = json["histogram"]["counts"].as_array().unwrap();
    assert_eq!(
        counts.iter().map(|step| number(&step[1])).sum::<f64>(),
        answers
    );

    let line = json["time_line"].as_array().unwrap();
    assert_eq!(number(&line[0]["at_s"]), -0.1);
    assert_eq!(line.len(), 5, "{json}");
    let answered = |piece: &Value| number(&piece["rate"]) * number(&piece["length_s"]);
    let recorded = line.iter().filter(|piece| number(&piece["at_s"]) >= 0.0);
    let sum: f64 = recorded.map(answered).sum();
    // At both ends of it one answer on each connection may fall to the other side.
    assert!((sum - answers).abs() < 4.5, "{sum} and {answers}");

    let record = Record::read(&ended.out).unwrap();
    assert_eq!(record.json() + "\n", ended.out);
    // Runs of before these were told are drawn beside new ones.
    let mut older = ended.out.clone();
    for name in [
        "\"interrupted\":false,",
        "\"streams_allowed\":null,",
        "\"late\":null,",
    ] {
        assert!(older.contains(name), "{older}");
        older = older.replace(name, "");
    }
    let older = Record::read(&older).unwrap();
    assert_eq!(older.json(), record.json());
}

#[test]
fn people_are_told_the_same_and_the_bar_is_silent_without_a_terminal() {
    let ended = run(server::answering(), &["--title", "Told"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
    assert!(
        ended.out.starts_with("Told\n  GET http://127.0.0.1:"),
        "{}",
        ended.out
    );
    for part in [
        "HTTP/1.1, 2 connections, 1 thread",
        "closed loop, 0.4 s recorded after 0.1 s of warm-up",
        "throughput  ",
        "statuses    200: ",
        "errors      0\n",
        "unfinished  ",
        "bytes       ",
        "p50       p90       p99     p99.9    p99.99       max\n",
        "\nlatency  ",
        "\nconnect  ",
    ] {
        assert!(
            ended.out.contains(part),
            "{part} is missing in:\n{}",
            ended.out
        );
    }
    assert!(!ended.out.contains("handshake"), "{}", ended.out);
    assert!(!ended.out.contains('\x1b'), "{}", ended.out);
}

#[test]
fn an_open_loop_says_its_rate() {
    let ended = run(server::answering(), &["--rate", "200/s"]);
    assert!(
        ended.out.contains("open loop, 200/s, 0.4 s recorded"),
        "{}",
        ended.out
    );
    let record =
        Record::read(&run(server::answering(), &["--rate", "200/s", "--json"]).out).unwrap();
    assert_eq!(record.answers, 80);
    // Those under way at one end of that time or the other.
    let in_time = record.in_time.unwrap().answers;
    assert!((record.rate - in_time as f64 / 0.4).abs() < 1e-3);
    assert!(ended.out.contains(" answers in 0.4 s"), "{}", ended.out);
}

#[test]
fn every_format_tells_late_answers_apart() {
    let folder = Folder::new("late");
    let [csv, html] = ["a.csv", "a.html"].map(|file| folder.path(file));
    // 40 requests on two connections, each answered after 50 ms: a second, of which 0.4 s are recorded.
    let slow = || server::answering_after(Duration::from_millis(50));
    let flags = [
        "--rate", "100/s", "--json", "--csv", &csv, "--report", &html,
    ];
    let record = Record::read(&run_after("0s", slow(), &flags).out).unwrap();
    let (in_time, late) = (record.in_time.unwrap(), record.late.unwrap());
    assert!(in_time.answers <= 16, "{}", in_time.answers);
    assert_eq!(in_time.answers + late.answers, record.answers);
    assert_eq!(record.answers, 40);
    assert!((record.rate - in_time.answers as f64 / 0.4).abs() < 1e-3);
    assert!(late.until_s >= 0.59, "{}", late.until_s);
    assert!(in_time.bytes.read < record.bytes.read);

    let text = folder.read("a.csv");
    let mut rows = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = rows.next().unwrap();
    let column = head.iter().position(|name| *name == "late").unwrap();
    let in_rows: u64 = rows.map(|row| row[column].parse::<u64>().unwrap()).sum();
    assert_eq!(in_rows, late.answers);

    let told = format!(" answers in 0.4 s; {} more came up to ", late.answers);
    let page = folder.read("a.html");
    assert!(page.contains(&told), "{told} is missing in:\n{page}");
    let ended = run_after("0s", slow(), &["--rate", "100/s"]);
    assert!(ended.out.contains(" more came up to "), "{}", ended.out);
}

#[test]
fn the_time_line_is_a_table_of_comma_separated_values() {
    let folder = Folder::new("csv");
    let flags = ["--json", "--csv", &folder.path("a.csv")];
    let record = Record::read(&run(server::answering(), &flags).out).unwrap();
    let text = folder.read("a.csv");
    let mut rows = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = rows.next().unwrap();
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len(), record.time_line.len());
    for (row, piece) in rows.iter().zip(&record.time_line) {
        assert_eq!(row.len(), head.len(), "{row:?}");
        let value = |name: &str| {
            let column = head.iter().position(|other| *other == name).unwrap();
            row[column].parse::<f64>().ok()
        };
        assert_eq!(value("at_s"), Some(piece.at_s));
        assert_eq!(value("rate"), Some(piece.rate));
        assert_eq!(value("errors"), Some(0.0));
        assert_eq!(value("p99_ms"), piece.latency_ms.map(|figures| figures.p99));
        assert_eq!(value("max_ms"), piece.latency_ms.map(|figures| figures.max));
    }
}

#[test]
fn the_distribution_is_what_plotters_of_hdrhistogram_read() {
    let folder = Folder::new("hgrm");
    let flags = ["--json", "--hgrm", &folder.path("a.hgrm")];
    let record = Record::read(&run(server::answering(), &flags).out).unwrap();
    let text = folder.read("a.hgrm");
    let mut lines = text.lines();
    let head: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(
        head,
        ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    );
    assert_eq!(lines.next(), Some(""));
    let (foot, rows): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with("#["));
    let rows: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| {
            row.split_whitespace()
                .map(|word| word.parse().unwrap())
                .collect()
        })
        .collect();
    for pair in rows.windows(2) {
        assert!(
            (0..3).all(|column| pair[0][column] <= pair[1][column]),
            "{pair:?}"
        );
    }
    let (last, others) = rows.split_last().unwrap();
    for row in others {
        let [_, percentile, _, ratio] = row[..] else {
            panic!("{row:?}");
        };
        assert!(
            (1.0 / (1.0 - percentile) - ratio).abs() <= 0.01 * ratio,
            "{row:?}"
        );
    }
    let latency = record.latency_ms.unwrap();
    assert_eq!(last[..], [latency.max, 1.0, latency.count as f64]);
    assert_eq!(foot.len(), 3, "{foot:?}");
    assert!(
        foot[1].contains(&format!("Total count    = {:12}]", latency.count)),
        "{foot:?}"
    );
}

#[test]
fn a_server_that_dies_half_way_leaves_what_there_is() {
    let folder = Folder::new("dies");
    let csv = folder.path("a.csv");
    let ended = run_after(
        "0s",
        server::answering_times(10),
        &["--json", "--csv", &csv],
    );
    assert_eq!(ended.code, 0, "{ended:?}");
    let record = Record::read(&ended.out).unwrap();
    assert_eq!(record.answers, 10);
    assert_eq!(record.aborted, None);
    assert!(record.errors > 0);
    let by_kind: u64 = record.errors_by_kind.iter().map(|met| met.count).sum();
    assert_eq!(by_kind, record.errors);
    assert!(
        record
            .errors_by_kind
            .iter()
            .all(|met| !met.first.is_empty())
    );
    let errors: u64 = record.time_line.iter().map(|piece| piece.errors).sum();
    assert!(errors > 0);
    assert_eq!(
        folder.read("a.csv").lines().count(),
        1 + record.time_line.len()
    );
}
