//! From the settings of TLS to what a client is shown: by the listener, by the name it asks for, and by where the PEM
//! text comes from.

use crate::development::{curl, text, told};
use crate::program::{Directory, Process, installed, lanner, run};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// A development certificate, and the authority to trust.
struct Identity {
    _directory: Directory,
    certificate: String,
    authority: String,
}

impl Identity {
    fn new() -> Identity {
        let directory = Directory::new();
        let authority = text(&told(&directory.0, &["--path"]));
        let certificate = directory.0.join("lanner/localhost.pem");
        Identity {
            certificate: certificate.to_str().unwrap().to_owned(),
            authority: authority.trim_end().to_owned(),
            _directory: directory,
        }
    }

    /// Whether a client that trusts this authority alone gets an answer.
    fn convinces(&self, arguments: &[&str]) -> bool {
        let mut client = Command::new("curl");
        let (success, output, errors) = curl(&mut client, &self.authority, arguments);
        assert_eq!(output == "Hello, World!", success, "{output} {errors}");
        // Nothing but the certificate is what is wrong.
        assert!(success || errors.contains("certificate"), "{errors}");
        success
    }
}

/// A server with these settings, and the port on which it speaks TLS.
fn serving(environment: &[(&str, &str)]) -> (Process, String) {
    let mut server = Process::start(&mut lanner(&[], environment));
    let line = server.line_with("listening on https://127.0.0.1:");
    let (_, port) = line.rsplit_once(':').unwrap();
    (server, port.trim().to_owned())
}

#[test]
fn a_name_has_its_own_certificate_and_everybody_else_that_of_the_listener() {
    if installed("curl").is_none() {
        return;
    }
    let [common, own] = [(); 2].map(|()| Identity::new());
    let (server, port) = serving(&[
        ("LANNER_TLS_CERT", &common.certificate),
        ("LANNER_LISTENER__PUBLIC__URL", "https://127.0.0.1:0"),
        ("LANNER_LISTENER__PUBLIC__SNI__0__HOST", "LocalHost"),
        ("LANNER_LISTENER__PUBLIC__SNI__0__CERT", &own.certificate),
    ]);
    let resolved = format!("localhost:{port}:127.0.0.1");
    let named = format!("https://localhost:{port}/hello");
    // Clients ask for no address by name.
    let unnamed = format!("https://127.0.0.1:{port}/hello");
    for (identity, url, fits) in [
        (&own, &named, true),
        (&common, &named, false),
        (&common, &unnamed, true),
        (&own, &unnamed, false),
    ] {
        let convinced = identity.convinces(&["--resolve", &resolved, url]);
        assert_eq!(convinced, fits, "{url}");
    }
    let (status, said) = server.stop();
    assert!(status.success(), "{said}");
}

#[test]
fn a_unix_socket_speaks_tls_with_a_certificate_of_its_own() {
    if installed("curl").is_none() {
        return;
    }
    let identity = Identity::new();
    let directory = Directory::new();
    let path = directory.0.join("x.sock");
    let url = format!("unix:{}", path.display());
    let environment = [
        ("LANNER_LISTEN", url.as_str()),
        ("LANNER_LISTENER__0__TLS_CERT", &identity.certificate),
    ];
    let mut server = Process::start(&mut lanner(&[], &environment));
    server.line_with("listening on unix:");
    let socket = ["--unix-socket", path.to_str().unwrap()];
    assert!(identity.convinces(&[socket[0], socket[1], "https://localhost/hello"]));
    let (status, said) = server.stop();
    assert!(status.success(), "{said}");
}

#[test]
fn a_certificate_may_be_the_value_itself_and_its_key_is_shown_nowhere() {
    if installed("curl").is_none() {
        return;
    }
    let identity = Identity::new();
    let pem = std::fs::read_to_string(&identity.certificate).unwrap();
    let (_, secret) = pem.split_once("PRIVATE KEY-----\n").unwrap();
    let secret = secret.lines().next().unwrap();
    let environment = [
        ("LANNER_LISTEN", "https://127.0.0.1:0"),
        ("LANNER_LISTENER__0__TLS_CERT", &pem),
    ];
    for command in ["config", "limits", "check"] {
        let output = run(&[command], &environment);
        assert!(!text(&output).contains(secret), "{command}");
    }
    let (server, port) = serving(&environment);
    let url = format!("https://127.0.0.1:{port}/hello");
    assert!(identity.convinces(&[&url]));
    let (status, said) = server.stop();
    assert!(status.success() && !said.contains(secret), "{said}");
}

#[test]
fn a_certificate_that_cannot_be_read_is_a_failure_that_names_its_file() {
    let environment = [
        ("LANNER_LISTEN", "https://127.0.0.1:0"),
        ("LANNER_TLS_CERT", "/nonexistent/chain.pem"),
    ];
    let output = run(&[], &environment);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("/nonexistent/chain.pem"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// What `lanner check` complains of, a line each, when a start with these settings would fail.
fn complaints(environment: &[(&str, &str)]) -> Vec<String> {
    let [checked, started] = [&["check"][..], &[]].map(|command| {
        let output = run(command, environment);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
        assert!(output.stdout.is_empty() && !said.contains("panicked"));
        said
    });
    let lines: Vec<String> = checked.lines().map(str::to_owned).collect();
    assert!(started.contains(&lines[0]), "{started} is not {checked}");
    lines
}

#[test]
fn check_says_of_every_listener_why_it_could_not_be_served() {
    let [one, other] = [(); 2].map(|()| Identity::new());
    let directory = Directory::new();
    let tickets = directory.file("tickets", "nonsense");
    let secure = ("LANNER_LISTEN", "https://127.0.0.1:0");
    let certificate = ("LANNER_TLS_CERT", one.certificate.as_str());
    let auth = ("LANNER_TLS_CLIENT_AUTH", "required");
    let authority = ("LANNER_TLS_CLIENT_CA", one.authority.as_str());
    for (settings, part) in [
        (
            vec![("LANNER_TLS_CERT", one.authority.as_str())],
            "has no private key",
        ),
        (
            vec![certificate, ("LANNER_TLS_KEY", &other.certificate)],
            "does not fit the first certificate",
        ),
        (
            vec![
                certificate,
                auth,
                ("LANNER_TLS_CLIENT_CA", "/nowhere/ca.pem"),
            ],
            "/nowhere/ca.pem: No such file",
        ),
        (
            vec![
                certificate,
                auth,
                authority,
                ("LANNER_TLS_CRL", &one.authority),
            ],
            "has no revocation list",
        ),
        (
            vec![("LANNER_TLS_CERT_DIR", "/nowhere/certificates")],
            "/nowhere/certificates: No such file",
        ),
        (
            vec![
                certificate,
                ("LANNER_TLS_TICKET_KEYS", tickets.to_str().unwrap()),
            ],
            "tickets:",
        ),
    ] {
        let lines = complaints(&[&[secure], &settings[..]].concat());
        assert_eq!(lines.len(), 1, "{lines:?}");
        let start = "lanner: cannot serve https://127.0.0.1:0: ";
        assert!(lines[0].starts_with(start), "{lines:?}");
        assert!(lines[0].contains(part), "{part}: {lines:?}");
    }
    let lines = complaints(&[
        ("LANNER_LISTENER__ONE__URL", "https://127.0.0.1:0"),
        ("LANNER_LISTENER__ONE__TLS_CERT", "/nowhere/one.pem"),
        ("LANNER_LISTENER__GOOD__URL", "https://127.0.0.1:0"),
        ("LANNER_LISTENER__GOOD__TLS_CERT", &one.certificate),
        ("LANNER_LISTENER__TWO__URL", "https://127.0.0.1:0"),
        ("LANNER_LISTENER__TWO__TLS_CERT", "/nowhere/two.pem"),
    ]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("one.pem") && lines[1].contains("two.pem"));
}

#[test]
fn check_binds_nothing_and_makes_no_certificate() {
    let directory = Directory::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", taken.local_addr().unwrap());
    let data = ("XDG_DATA_HOME", directory.0.to_str().unwrap());
    for settings in [&[data][..], &[data, ("LANNER_LISTEN", &url)]] {
        let said = text(&run(&["check"], settings));
        assert!(said.contains("settings are valid"), "{said}");
    }
    assert_eq!(std::fs::read_dir(&directory.0).unwrap().count(), 0);
}

#[test]
fn what_is_worth_a_warning_is_said_by_check_and_once_at_the_start() {
    let identity = Identity::new();
    let directory = Directory::new();
    let path = directory.file("tickets", format!("1000000000 {}\n", "a".repeat(64)));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let environment = [
        ("LANNER_LISTEN", "https://127.0.0.1:0"),
        ("LANNER_TLS_CERT", &identity.certificate),
        ("LANNER_TLS_TICKET_KEYS", path.to_str().unwrap()),
    ];
    let warning = "tickets: the newest ticket key is in use since 2001-09-09 01:46 UTC";
    let checked = text(&run(&["check"], &environment));
    let notices: Vec<&str> = checked
        .lines()
        .filter(|line| line.starts_with("notice: "))
        .collect();
    assert!(
        notices.len() == 1 && notices[0].contains(warning),
        "{checked}"
    );
    let (mut server, _) = serving(&environment);
    // A change is the sign that the files were looked at in between.
    let data = std::path::Path::new(&identity.certificate)
        .ancestors()
        .nth(2);
    text(&told(data.unwrap(), &["--renew"]));
    let again = server.line_with("TLS certificates were read again; new: ");
    assert!(again.contains("localhost until 2"), "{again}");
    let (status, said) = server.stop();
    assert!(status.success(), "{said}");
    assert_eq!(said.matches(warning).count(), 1, "{said}");
}
