//! The certificate for developing with, and the command that makes it and tells of it.

use crate::program::{Directory, Process, finish, installed, lanner, run};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) const AUTHORITY: &str = "lanner-development-authority.crt";

/// `lanner dev-cert` for a user whose data are in `directory`.
pub(crate) fn told(directory: &Path, flags: &[&str]) -> Output {
    let arguments: Vec<&str> = ["dev-cert"].iter().chain(flags).copied().collect();
    run(
        &arguments,
        &[("XDG_DATA_HOME", directory.to_str().unwrap())],
    )
}

pub(crate) fn text(output: &Output) -> String {
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one line of a failure that is the machine's.
fn complaint(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(output.stdout.is_empty());
    assert!(
        text.starts_with("lanner: ") && text.lines().count() == 1 && !text.contains("panicked"),
        "{text}"
    );
    text
}

/// The private files of `directory`, which nobody else may read, and what is in them.
pub(crate) fn private(directory: &Path) -> [String; 2] {
    ["authority.pem", "localhost.pem"].map(|name| {
        let path = directory.join("lanner").join(name);
        let mode = std::fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
        std::fs::read_to_string(path).unwrap()
    })
}

#[test]
fn the_first_time_it_is_made_and_then_it_is_found() {
    let directory = Directory::new();
    let first = text(&told(&directory.0, &[]));
    let authority = directory.0.join("lanner").join(AUTHORITY);
    let public = authority.display();
    for part in [
        format!(
            "sudo cp {public} /usr/local/share/ca-certificates/ && sudo update-ca-certificates"
        ),
        format!("sudo trust anchor {public}"),
        format!(
            "certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n lanner-development-authority -i {public}"
        ),
        format!("curl --cacert {public} https://localhost:8443/"),
        format!(
            "LANNER_TLS_CERT={}/lanner/localhost.pem lanner",
            directory.0.display()
        ),
        "good for 89 more days".to_owned(),
    ] {
        // A day that ends meanwhile takes one of them along.
        let later = part.replace("89", "90");
        assert!(
            first.contains(&part) || first.contains(&later),
            "{part} in {first}"
        );
    }
    let made = private(&directory.0);
    let trusted = std::fs::read_to_string(&authority).unwrap();
    assert!(trusted.starts_with("-----BEGIN CERTIFICATE-----") && !trusted.contains("KEY"));
    let mode = std::fs::metadata(directory.0.join("lanner"))
        .unwrap()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    text(&told(&directory.0, &[]));
    assert_eq!(private(&directory.0), made);
}

#[test]
fn scripts_get_the_path_and_nothing_else() {
    let directory = Directory::new();
    let path = text(&told(&directory.0, &["--path"]));
    let authority = directory.0.join("lanner").join(AUTHORITY);
    assert_eq!(path, format!("{}\n", authority.display()));
    assert!(authority.is_file());
    // Where no data directory is named, it is the usual one.
    let home = [("HOME", directory.0.to_str().unwrap())];
    let path = text(&run(&["dev-cert", "--path"], &home));
    let usual = directory.0.join(".local/share/lanner").join(AUTHORITY);
    assert_eq!(PathBuf::from(path.trim_end()), usual);
    assert!(usual.is_file());
}

#[test]
fn a_new_certificate_is_of_the_authority_that_is_trusted_already() {
    let directory = Directory::new();
    text(&told(&directory.0, &[]));
    let [authority, certificate] = private(&directory.0);
    text(&told(&directory.0, &["--renew"]));
    let [same, renewed] = private(&directory.0);
    assert_eq!(same, authority);
    assert_ne!(renewed, certificate);
}

#[test]
fn it_needs_no_valid_settings() {
    let directory = Directory::new();
    let environment = [
        ("XDG_DATA_HOME", directory.0.to_str().unwrap()),
        ("LANNER_WORKERS", "none at all"),
    ];
    text(&run(&["dev-cert"], &environment));
}

#[test]
fn where_it_cannot_be_kept_that_is_said_and_nothing_is_printed() {
    let directory = Directory::new();
    let file = directory.file("file", "");
    let line = complaint(&told(&file, &[]));
    assert!(
        line.contains("no certificate for developing with"),
        "{line}"
    );
    assert!(line.contains(file.to_str().unwrap()), "{line}");
    let line = complaint(&run(&["dev-cert"], &[]));
    assert!(
        line.contains("neither XDG_DATA_HOME nor HOME is set"),
        "{line}"
    );
}

#[test]
fn an_authority_that_others_can_read_is_named_and_left_alone() {
    let directory = Directory::new();
    text(&told(&directory.0, &[]));
    let path = directory.0.join("lanner/authority.pem");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    for flags in [&[][..], &["--renew"]] {
        let line = complaint(&told(&directory.0, flags));
        assert!(
            line.contains("others can read the authority's key"),
            "{line}"
        );
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
}

/// curl, bounded in time, with the authority that it is told to trust; `program` is it, or leads to it.
pub(crate) fn curl(
    program: &mut Command,
    authority: &str,
    arguments: &[&str],
) -> (bool, String, String) {
    let bounded = ["-q", "-sS", "--noproxy", "*", "--max-time", "30"];
    let trust = ["--cacert", authority];
    program.args(bounded).args(trust).args(arguments);
    finish(program.env("LC_ALL", "C"))
}

#[test]
fn a_listener_serves_with_it_and_who_trusts_the_authority_connects() {
    let Some(mut honest) = installed("curl") else {
        return;
    };
    let Some(mut stranger) = installed("curl") else {
        return;
    };
    let directory = Directory::new();
    let authority = text(&told(&directory.0, &["--path"]));
    let certificate = directory.0.join("lanner/localhost.pem");
    let environment = [
        ("LANNER_LISTEN", "https://127.0.0.1:0"),
        ("LANNER_TLS_CERT", certificate.to_str().unwrap()),
    ];
    let mut server = Process::start(&mut lanner(&[], &environment));
    let line = server.line_with("listening on https://127.0.0.1:");
    let (_, port) = line.rsplit_once(':').unwrap();
    let url = format!("https://127.0.0.1:{}/hello", port.trim());
    let (success, output, errors) = curl(&mut honest, authority.trim_end(), &[&url]);
    assert!(success, "{errors}");
    assert_eq!(output, "Hello, World!");
    let other = Directory::new();
    let another = text(&told(&other.0, &["--path"]));
    let (success, output, _) = curl(&mut stranger, another.trim_end(), &[&url]);
    assert!(!success && output.is_empty(), "{output}");
    let (status, said) = server.stop();
    assert!(status.success(), "{said}");
}
