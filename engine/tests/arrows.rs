//! The design, where a machine can hold it: who may import whom, what may be named where, how long a file may be, and
//! that the README's table is the one in the code. It reads the sources as text.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A crate's folder, package, and the crates its code may use. What tests use is beside the point, as long as it is no
/// crate above.
const LAYERS: &[(&str, &str, Option<&[&str]>)] = &[
    ("limits", "lanner-limits", Some(&[])),
    (
        "protocol",
        "lanner-protocol",
        Some(&["lanner-limits", "httparse", "bytes", "memchr", "wide"]),
    ),
    ("engine", "lanner", None),
    ("loadtest", "lanner-loadtest", None),
    ("bench", "lanner-bench", None),
];

/// Where a source file before its tests should have found its second idea.
const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Every Rust file below a folder of the workspace, with its path from the root.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                // Crates of their own, outside the workspace, and what a build leaves behind.
                if !["target", "rivals", "fuzz"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                let place = path
                    .strip_prefix(root())
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.push((place, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found.sort();
    found
}

/// The lines of a file that are code, with their numbers: no comment lines, and no comment at a line's end.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter_map(|(number, line)| {
            let line = line.split(" // ").next().unwrap_or_default();
            (!line.trim_start().starts_with("//")).then_some((number, line))
        })
}

/// The code of a file up to its unit tests.
fn code_before_tests(text: &str) -> impl Iterator<Item = (usize, &str)> {
    code(text).take_while(|(_, line)| *line != "#[cfg(test)]")
}

/// Whether `word` stands in `line` as a word of its own, outside of strings. It may hold `::` or end in it.
fn names(line: &str, word: &str) -> bool {
    let part_of_a_name = |character: char| character.is_alphanumeric() || character == '_';
    let ends_in_a_name = word.ends_with(part_of_a_name);
    // Every other piece is a string's content.
    line.split('"').step_by(2).any(|piece| {
        piece.match_indices(word).any(|(start, _)| {
            let before = piece[..start].chars().next_back();
            let after = piece[start + word.len()..].chars().next();
            let begins_earlier = before.is_some_and(part_of_a_name);
            let ends_later = ends_in_a_name && after.is_some_and(part_of_a_name);
            !begins_earlier && !ends_later
        })
    })
}

/// Fails with every place at which one of `words` stands where it must not.
fn nobody_names<'a>(
    words: &[&str],
    lines: impl Iterator<Item = (&'a str, usize, &'a str)>,
    reason: &str,
) {
    let found: Vec<String> = lines
        .filter(|(_, _, line)| words.iter().any(|word| names(line, word)))
        .map(|(place, number, line)| format!("{place}:{number}: {}", line.trim()))
        .collect();
    assert!(found.is_empty(), "{reason}:\n{}", found.join("\n"));
}

/// All lines of these files' code up to the tests in them.
fn lines(files: &[(String, String)]) -> impl Iterator<Item = (&str, usize, &str)> {
    files.iter().flat_map(|(place, text)| {
        code_before_tests(text).map(move |(number, line)| (place.as_str(), number, line))
    })
}

/// The dependencies of a manifest by kind of section: what the crate is made of, and what its tests use.
fn dependencies(folder: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let text = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let (mut made_of, mut tested_with) = (BTreeSet::new(), BTreeSet::new());
    let mut section = String::new();
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']').to_owned();
            // `[dependencies.name]` declares one by itself.
            if let Some((kind, name)) = section.clone().rsplit_once("dependencies.") {
                let kind = if kind.ends_with("dev-") {
                    &mut tested_with
                } else {
                    &mut made_of
                };
                kind.insert(name.to_owned());
            }
            continue;
        }
        // Also `target.'cfg(...)'.dependencies` and `build-dependencies`.
        let Some(kind) = section.strip_suffix("dependencies") else {
            continue;
        };
        let name = line
            .split(['=', '.', ' '])
            .next()
            .unwrap()
            .trim_matches('"')
            .to_owned();
        if kind.ends_with("dev-") {
            tested_with.insert(name)
        } else {
            made_of.insert(name)
        };
    }
    (made_of, tested_with)
}

#[test]
fn crates_depend_only_on_crates_below_them() {
    for (level, (folder, package, allowed)) in LAYERS.iter().enumerate() {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains(&format!("name = \"{package}\"")),
            "{folder} is not {package}"
        );
        let (made_of, tested_with) = dependencies(folder);
        for above in LAYERS[level..].iter().map(|layer| layer.1) {
            assert!(!made_of.contains(above), "{package} depends on {above}");
        }
        // The engine's tests may drive it with the load generators, but limits and protocol are tested by themselves.
        for above in LAYERS[level + 1..]
            .iter()
            .map(|layer| layer.1)
            .filter(|_| allowed.is_some())
        {
            assert!(
                !tested_with.contains(above),
                "{package} is tested with {above}"
            );
        }
        let Some(allowed) = allowed else { continue };
        for dependency in &made_of {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{package} may not depend on {dependency}"
            );
        }
    }
}

#[test]
fn every_crate_of_the_workspace_has_its_place_in_the_layers() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = manifest
        .lines()
        .find_map(|line| line.strip_prefix("members = ["))
        .unwrap();
    let members: BTreeSet<&str> = members.split('"').skip(1).step_by(2).collect();
    assert_eq!(
        members,
        LAYERS.iter().map(|layer| layer.0).collect::<BTreeSet<_>>()
    );
}

#[test]
fn limits_and_protocol_forbid_unsafe_and_name_nobody_above() {
    for folder in ["limits", "protocol"] {
        let root_file = fs::read_to_string(root().join(folder).join("src/lib.rs")).unwrap();
        assert!(
            code(&root_file).any(|(_, line)| line == "#![forbid(unsafe_code)]"),
            "{folder}/src/lib.rs"
        );
    }
    let above = ["lanner::", "lanner_bench", "lanner_loadtest"];
    nobody_names(
        &above,
        lines(&sources("limits/src")),
        "limits names a crate above it",
    );
    nobody_names(
        &["lanner_protocol"],
        lines(&sources("limits/src")),
        "limits names a crate above it",
    );
    nobody_names(
        &above,
        lines(&sources("protocol/src")),
        "protocol names a crate above it",
    );
    nobody_names(
        &above[1..],
        lines(&sources("engine/src")),
        "engine names a crate above it",
    );
}

#[test]
fn limits_and_protocol_reach_nothing_outside_their_arguments() {
    // clippy.toml bans types and functions by name; whole modules are easier to see from here.
    let outside = [
        "std::net::TcpStream",
        "std::net::TcpListener",
        "std::net::UdpSocket",
        "std::os",
        "std::fs",
        "std::env",
        "std::process",
        "std::thread",
        "std::io",
        "Instant",
        "SystemTime",
        "Mutex",
        "RwLock",
        "println!",
        "eprintln!",
    ];
    for folder in ["limits/src", "protocol/src"] {
        nobody_names(
            &outside,
            lines(&sources(folder)),
            "bytes and moments in, events out; this reaches further",
        );
    }
}

/// The engine's files outside one place.
fn engine_except(place: &str) -> Vec<(String, String)> {
    let mut files = sources("engine/src");
    let before = files.len();
    files.retain(|(path, _)| !path.starts_with(place));
    assert!(files.len() < before, "{place} is gone");
    files
}

/// What drives sockets: crates, and the parts of `rustix` and the kernel that are for drivers only.
const RUNTIMES: &[&str] = &[
    "monoio", "io_uring", "glommio", "tokio", "mio", "compio", "smol", "epoll", "kqueue",
];

#[test]
fn runtimes_are_named_in_one_folder() {
    let files = engine_except("engine/src/runtime/");
    nobody_names(
        RUNTIMES,
        lines(&files),
        "only engine/src/runtime/ names a runtime",
    );
    let users = [sources("engine/examples"), sources("engine/src/bin")].concat();
    nobody_names(RUNTIMES, lines(&users), "no app names a runtime");
}

#[test]
fn the_clock_is_read_in_one_file() {
    let reads = [
        "Instant::now",
        "SystemTime::now",
        "UNIX_EPOCH",
        "clock_gettime",
        "elapsed",
    ];
    nobody_names(
        &reads,
        lines(&engine_except("engine/src/clock.rs")),
        "only engine/src/clock.rs reads the clock",
    );
}

#[test]
fn unsafe_code_stays_in_the_runtime_folder() {
    nobody_names(
        &["unsafe"],
        lines(&engine_except("engine/src/runtime/")),
        "unsafe belongs in engine/src/runtime/",
    );
    nobody_names(
        &["unsafe"],
        lines(&sources("loadtest/src")),
        "a load generator needs no unsafe",
    );
}

#[test]
fn every_file_says_first_what_it_is_for() {
    for (folder, _, _) in LAYERS {
        for (place, text) in sources(folder) {
            assert!(text.starts_with("//! "), "{place} has no opening comment");
        }
    }
}

#[test]
fn no_source_file_holds_more_than_one_idea() {
    let long: Vec<String> = LAYERS
        .iter()
        .flat_map(|(folder, _, _)| sources(&format!("{folder}/src")))
        .map(|(place, text)| {
            (
                text.lines()
                    .take_while(|line| *line != "#[cfg(test)]")
                    .count(),
                place,
            )
        })
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, place)| format!("{place}: {lines}"))
        .collect();
    assert!(
        long.is_empty(),
        "over {LINES_MAX} lines before the tests:\n{}",
        long.join("\n")
    );
}

#[test]
fn nothing_is_left_over_from_the_work() {
    // Put together here, for this file is among those that are searched.
    let left_over = ["dbg", "todo", "unimplemented"].map(|name| format!("{name}!("));
    for (folder, _, _) in LAYERS {
        for (place, text) in sources(folder) {
            for (number, line) in code(&text) {
                let found = left_over.iter().any(|word| names(line, word))
                    || line.contains(concat!("#[ign", "ore]"));
                assert!(!found, "{place}:{number}: {}", line.trim());
            }
        }
    }
}

#[test]
fn the_readme_has_the_table_of_knobs_that_the_code_has() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = readme
        .split_once("<!-- knobs: made by `lanner limits --markdown` -->\n")
        .expect("the mark is there");
    let (table, _) = rest
        .split_once("<!-- end of knobs -->")
        .expect("the second mark is there");
    let expected = lanner_limits::knob::markdown_table();
    assert!(
        table.trim() == expected.trim(),
        "the README's table is not the code's; put there what `cargo run --bin lanner limits --markdown` prints"
    );
}

#[test]
fn the_readme_embeds_the_server_in_the_program_of_the_example() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let example = fs::read_to_string(root().join("engine/examples/hello.rs")).unwrap();
    let program: String = example
        .lines()
        .skip_while(|line| line.starts_with("//!") || line.is_empty())
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(
        program.lines().count() <= 15,
        "the README promises fifteen lines:\n{program}"
    );
    assert!(
        readme.contains(&format!("```rust\n{program}```")),
        "the README's program is not engine/examples/hello.rs"
    );
}

#[test]
fn the_checks_see_what_they_look_for() {
    for (line, word) in [
        ("    let x = unsafe { y };", "unsafe"),
        ("use std::time::Instant;", "Instant"),
        ("use rustix::event::{self, epoll};", "epoll"),
        ("use lanner::Server;", "lanner::"),
        ("f(\"text\", monoio::x)", "monoio"),
    ] {
        assert!(names(line, word), "{line}");
    }
    for (line, word) in [
        ("#![forbid(unsafe_code)]", "unsafe"),
        ("let InstantPudding = 1;", "Instant"),
        ("use not_lanner::Server;", "lanner::"),
        ("#[cfg(feature = \"monoio\")]", "monoio"),
        ("Driver::Epoll", "epoll"),
    ] {
        assert!(!names(line, word), "{line}");
    }
    let text =
        "// a comment\ncode(); // said\n    /// doc\nlet url = \"http://x\";\n#[cfg(test)]\ntests";
    let seen: Vec<_> = code_before_tests(text).collect();
    assert_eq!(seen, [(2, "code();"), (4, "let url = \"http://x\";")]);
    assert!(dependencies("protocol").0.contains("memchr"));
}
