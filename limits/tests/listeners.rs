//! From the settings of listeners to listeners: which there are, what each has of its own, and every sentence that says
//! what cannot be.
#![allow(clippy::unwrap_used)]

use lanner_limits::{
    ClientAuth, Effective, Host, Limits, ListenUrl, Listener, ListenerTls, Machine, Mistakes,
    PemSource, Protocols, Resolved, Scheme, Setting, SniEntry, Source, TlsVersion, properties,
};
use proptest::prelude::*;

const MACHINE: Machine = Machine {
    nofile: 65_536,
    memory: 1 << 34,
    cpus: 4,
};

fn resolve(
    environment: &[(&str, &str)],
    command_line: &[(&str, &str)],
) -> Result<Resolved, Mistakes> {
    let from = |source| {
        move |(name, value): &(&str, &str)| Setting {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            source,
        }
    };
    let environment = environment.iter().map(from(Source::Environment));
    let command_line = command_line.iter().map(from(Source::CommandLine));
    Limits::resolve(environment.chain(command_line), MACHINE)
}

/// The listener of a name.
fn listener(name: &str, environment: &[(&str, &str)]) -> Listener {
    let listeners = resolve(environment, &[]).unwrap().limits.listeners;
    let mut named = listeners
        .into_iter()
        .filter(|listener| listener.name == name);
    named.next().unwrap()
}

fn mistakes(environment: &[(&str, &str)]) -> Vec<String> {
    resolve(environment, &[])
        .unwrap_err()
        .to_string()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn file(path: &str) -> PemSource {
    PemSource::File(path.to_owned())
}

/// A certificate that every listener has.
const CERT: (&str, &str) = ("LANNER_TLS_CERT", "/common.pem");
const KEY: (&str, &str) = ("LANNER_TLS_KEY", "/common.key");

fn listeners(resolved: &Resolved) -> Vec<(&str, String)> {
    resolved
        .limits
        .listeners
        .iter()
        .map(|listener| (listener.name.as_str(), listener.url.to_string()))
        .collect()
}

#[test]
fn without_a_word_the_server_listens_on_this_machine_only() {
    let resolved = resolve(&[], &[]).unwrap();
    let [plain, secure] = resolved.limits.listeners.as_slice() else {
        panic!("{:?}", resolved.limits.listeners);
    };
    for (listener, scheme, port) in [(plain, Scheme::Http, 8080), (secure, Scheme::Https, 8443)] {
        let host = Host::Localhost;
        assert_eq!(listener.url, ListenUrl::Tcp { scheme, host, port });
        assert!(listener.automatic);
    }
    assert_eq!(plain.tls, None);
    let tls = secure.tls.as_ref().unwrap();
    assert!(tls.development && tls.cert.is_none() && tls.has_certificate());
}

#[test]
fn the_automatic_listener_shows_the_certificate_of_every_listener_where_there_is_one() {
    for given in [CERT, ("LANNER_TLS_CERT_DIR", "/certs")] {
        let secure = listener("1", &[given]);
        assert!(secure.automatic && !secure.tls.unwrap().development);
    }
}

#[test]
fn what_was_configured_is_not_automatic_and_has_no_certificate_for_developing_with() {
    for settings in [
        &[CERT, ("LANNER_LISTEN", "http://*:80,https://*:443")][..],
        &[CERT, ("LANNER_LISTENER__A__URL", "https://localhost:8443")],
    ] {
        for listener in resolve(settings, &[]).unwrap().limits.listeners {
            assert!(!listener.automatic);
            assert!(listener.tls.is_none_or(|tls| !tls.development));
        }
    }
}

#[test]
fn listed_listeners_have_numbers_and_named_ones_come_after_them() {
    let resolved = resolve(
        &[
            ("LANNER_LISTENER__PUBLIC__URL", "http://*:80"),
            (
                "LANNER_LISTEN",
                "http://127.0.0.1:1, unix:/run/a.sock?mode=0600",
            ),
            ("LANNER_LISTENER__ADMIN__URL", "fd:3"),
        ],
        &[("server.listener.public.url", "http://*:81")],
    )
    .unwrap();
    let expected = [
        ("0", "http://127.0.0.1:1"),
        ("1", "unix:/run/a.sock?mode=0600"),
        ("ADMIN", "fd:3"),
        ("PUBLIC", "http://*:81"),
    ];
    assert_eq!(
        listeners(&resolved),
        expected.map(|(name, url)| (name, url.to_owned()))
    );
    let last = resolved.effective.last().unwrap();
    assert_eq!(last.variable, "LANNER_LISTENER__PUBLIC__URL");
    assert_eq!(
        (last.value.as_str(), last.source),
        ("http://*:81", Source::CommandLine)
    );
}

#[test]
fn a_named_listener_alone_takes_the_place_of_the_default() {
    let resolved = resolve(&[("LANNER_LISTENER__PUBLIC__URL", "http://*:80")], &[]).unwrap();
    assert_eq!(listeners(&resolved), [("PUBLIC", "http://*:80".to_owned())]);
    assert!(
        resolved
            .effective
            .iter()
            .all(|value| value.variable != "LANNER_LISTEN")
    );
}

#[test]
fn what_is_wrong_with_a_listener_is_said() {
    let mistakes = mistakes(&[
        ("LANNER_LISTENER__A__URL", "ftp://*:443"),
        ("LANNER_LISTENER__A__TLS_CRT", "/etc/cert.pem"),
        ("LANNER_LISTENER__0__URL", "http://*:80"),
        ("LANNER_LISTENER__B__URL", "http://*:81"),
        ("LANNER_LISTENER__C__URL", "http://*:81"),
        ("LANNER_LISTENER", "http://*:82"),
    ]);
    let has = |parts: &[&str]| {
        let found = mistakes
            .iter()
            .filter(|mistake| parts.iter().all(|part| mistake.contains(part)))
            .count();
        assert_eq!(found, 1, "{parts:?} in {mistakes:#?}");
    };
    has(&[
        "LANNER_LISTENER__A__URL=",
        "begins with none of http://, https://",
    ]);
    has(&[
        "LANNER_LISTENER__A__TLS_CRT is not a setting",
        "nearest is LANNER_LISTENER__A__TLS_CERT",
    ]);
    has(&[
        "LANNER_LISTENER__0__URL does not name a listener",
        "begins with a letter",
    ]);
    has(&["listeners B and C have the same URL http://*:81"]);
    has(&["LANNER_LISTENER is not a setting"]);
    assert_eq!(mistakes.len(), 5);
}

#[test]
fn an_https_listener_has_the_tls_of_every_listener() {
    let resolved = resolve(
        &[
            ("LANNER_LISTEN", "https://*:443,http://*:80"),
            ("LANNER_TLS_CERT", "/etc/cert.pem"),
            ("LANNER_TLS_STRICT_SNI", "true"),
        ],
        &[],
    )
    .unwrap();
    let [secure, plain] = resolved.limits.listeners.as_slice() else {
        panic!("{:?}", resolved.limits.listeners);
    };
    assert_eq!(secure.url.scheme(), Some(Scheme::Https));
    assert_eq!(secure.protocols, Protocols::Both);
    let expected = ListenerTls::of(&resolved.limits);
    assert!(expected.cert.is_some() && expected.strict_sni);
    assert_eq!(secure.tls, Some(expected));
    assert_eq!(plain.tls, None);
}

#[test]
fn an_https_listener_without_a_certificate_is_a_mistake_that_says_what_to_set() {
    let mistakes = mistakes(&[("LANNER_LISTEN", "http://*:80,https://*:443")]);
    assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
    for part in [
        "listener 1 (https://*:443) has no certificate",
        "LANNER_TLS_CERT and LANNER_TLS_KEY",
        "LANNER_TLS_CERT_DIR",
        "LANNER_LISTENER__1__TLS_CERT",
        "`lanner dev-cert`",
    ] {
        assert!(mistakes[0].contains(part), "{part} in {}", mistakes[0]);
    }
}

#[test]
fn two_listeners_may_both_leave_their_port_to_the_kernel() {
    let resolved = resolve(
        &[("LANNER_LISTEN", "http://127.0.0.1:0,http://127.0.0.1:0")],
        &[],
    )
    .unwrap();
    assert_eq!(resolved.limits.listeners.len(), 2);
}

#[test]
fn listeners_are_bounded_together() {
    let listen: Vec<String> = (1..=63).map(|port| format!("http://*:{port}")).collect();
    let listen = listen.join(",");
    let most = [
        ("LANNER_LISTEN", listen.as_str()),
        ("LANNER_LISTENER__A__URL", "fd:3"),
    ];
    assert_eq!(resolve(&most, &[]).unwrap().limits.listeners.len(), 64);
    let more = [most[0], most[1], ("LANNER_LISTENER__B__URL", "fd:4")];
    assert!(mistakes(&more)[0].contains("65 listeners are too many"));
}

#[test]
fn a_listener_has_its_own_properties_and_those_of_every_listener() {
    let resolved = resolve(
        &[
            CERT,
            KEY,
            ("LANNER_TLS_CERT_DIR", "/certs"),
            ("LANNER_TLS_CLIENT_AUTH", "required"),
            ("LANNER_TLS_CLIENT_CA", "/ca.pem"),
            ("LANNER_TLS_CRL", "/crl.pem"),
            ("LANNER_LISTENER__PUBLIC__URL", "https://*:443"),
            ("LANNER_LISTENER__PUBLIC__PROTOCOLS", "h1"),
            ("LANNER_LISTENER__PUBLIC__TLS_CERT", "/public.pem"),
            ("LANNER_LISTENER__PUBLIC__TLS_KEY", "/public.key"),
            ("LANNER_LISTENER__PUBLIC__TLS_CERT_DIR", "none"),
            ("LANNER_LISTENER__PUBLIC__TLS_CLIENT_AUTH", "optional"),
            ("LANNER_LISTENER__PUBLIC__TLS_CLIENT_CA", "/people.pem"),
            ("LANNER_LISTENER__PUBLIC__TLS_CRL", "none"),
            ("LANNER_LISTENER__PUBLIC__TLS_STRICT_SNI", "true"),
            ("LANNER_LISTENER__PUBLIC__TLS_MIN", "1.3"),
            ("LANNER_LISTENER__PUBLIC__TLS_MAX", "1.3"),
            ("LANNER_LISTEN", "https://*:8443"),
        ],
        &[],
    )
    .unwrap();
    let [common, public] = resolved.limits.listeners.as_slice() else {
        panic!("{:?}", resolved.limits.listeners);
    };
    assert_eq!(common.protocols, Protocols::Both);
    assert_eq!(common.tls, Some(ListenerTls::of(&resolved.limits)));
    assert_eq!(public.protocols, Protocols::Http1);
    let expected = ListenerTls {
        cert: Some(file("/public.pem")),
        key: Some(file("/public.key")),
        cert_dir: None,
        client_auth: ClientAuth::Optional,
        client_ca: Some(file("/people.pem")),
        crl: None,
        strict_sni: true,
        min: TlsVersion::Tls13,
        max: TlsVersion::Tls13,
        sni: Vec::new(),
        development: false,
    };
    assert_eq!(public.tls, Some(expected));
}

#[test]
fn the_key_of_every_listener_is_not_used_with_a_certificate_of_its_own() {
    let own = ("LANNER_LISTENER__0__TLS_CERT", "/own.pem");
    let tls = listener("0", &[CERT, KEY, ("LANNER_LISTEN", "https://*:443"), own])
        .tls
        .unwrap();
    assert_eq!((tls.cert, tls.key), (Some(file("/own.pem")), None));
    let none = [
        CERT,
        KEY,
        ("LANNER_LISTEN", "https://*:443"),
        ("LANNER_LISTENER__0__TLS_CERT", "none"),
        ("LANNER_LISTENER__0__TLS_CERT_DIR", "/certs"),
    ];
    let tls = listener("0", &none).tls.unwrap();
    assert_eq!((tls.cert, tls.key), (None, None));
}

#[test]
fn an_entry_of_the_list_has_properties_by_its_number() {
    let settings = [
        ("LANNER_LISTEN", "http://localhost:1,http://localhost:2"),
        ("LANNER_LISTENER__1__PROTOCOLS", "h2"),
    ];
    assert_eq!(listener("0", &settings).protocols, Protocols::Both);
    assert_eq!(listener("1", &settings).protocols, Protocols::Http2);
}

#[test]
fn a_host_has_its_own_certificate_and_what_its_listener_asks_of_clients() {
    let settings = [
        ("LANNER_LISTENER__A__URL", "https://*:443"),
        ("LANNER_LISTENER__A__TLS_CLIENT_AUTH", "required"),
        ("LANNER_LISTENER__A__TLS_CLIENT_CA", "/ca.pem"),
        ("LANNER_LISTENER__A__SNI__0__HOST", "WWW.example.com"),
        ("LANNER_LISTENER__A__SNI__0__CERT", "/www.pem"),
        ("LANNER_LISTENER__A__SNI__1__HOST", "*.example.com"),
        ("LANNER_LISTENER__A__SNI__1__CERT", "/all.pem"),
        ("LANNER_LISTENER__A__SNI__1__KEY", "/all.key"),
        ("LANNER_LISTENER__A__SNI__1__CLIENT_AUTH", "optional"),
        ("LANNER_LISTENER__A__SNI__1__CLIENT_CA", "/others.pem"),
        ("LANNER_LISTENER__A__SNI__1__CRL", "/crl.pem"),
    ];
    let www = SniEntry {
        host: "www.example.com".to_owned(),
        cert: file("/www.pem"),
        key: None,
        client_auth: ClientAuth::Required,
        client_ca: Some(file("/ca.pem")),
        crl: None,
    };
    let all = SniEntry {
        host: "*.example.com".to_owned(),
        cert: file("/all.pem"),
        key: Some(file("/all.key")),
        client_auth: ClientAuth::Optional,
        client_ca: Some(file("/others.pem")),
        crl: Some(file("/crl.pem")),
    };
    assert_eq!(listener("A", &settings).tls.unwrap().sni, [www, all]);
}

#[test]
fn what_has_no_scheme_speaks_tls_where_it_has_a_certificate_of_its_own() {
    for url in ["fd:3", "systemd:web", "unix:/run/x.sock"] {
        let url = ("LANNER_LISTENER__A__URL", url);
        assert_eq!(
            listener("A", &[CERT, KEY, url]).tls,
            None,
            "what is common to all asks for none"
        );
        for own in [
            &[("LANNER_LISTENER__A__TLS_CERT", "/own.pem")][..],
            &[("LANNER_LISTENER__A__TLS_CERT_DIR", "/certs")],
            &[
                ("LANNER_LISTENER__A__SNI__0__HOST", "a.example"),
                ("LANNER_LISTENER__A__SNI__0__CERT", "/a.pem"),
            ],
        ] {
            let settings: Vec<_> = own
                .iter()
                .copied()
                .chain([url, ("LANNER_LISTENER__A__TLS_MIN", "1.3")])
                .collect();
            assert_eq!(
                listener("A", &settings).tls.unwrap().min,
                TlsVersion::Tls13,
                "{own:?}"
            );
        }
    }
}

#[test]
fn the_command_line_names_properties_in_every_spelling_and_wins() {
    let environment = [
        ("LANNER_LISTENER__A__URL", "https://*:443"),
        ("LANNER_LISTENER__A__TLS_CERT", "/environment.pem"),
    ];
    for name in [
        "server.listener.a.tls.cert",
        "server.listener.a.tls_cert",
        "listener__a__tls_cert",
    ] {
        let resolved = resolve(&environment, &[(name, "/line.pem")]).unwrap();
        let tls = resolved.limits.listeners[0].tls.as_ref().unwrap();
        assert_eq!(tls.cert, Some(file("/line.pem")), "{name}");
        let effective = resolved.effective.last().unwrap();
        assert_eq!(effective.variable, "LANNER_LISTENER__A__TLS_CERT");
        assert_eq!(effective.path, "server.listener.a.tls.cert");
        assert_eq!(
            (effective.value.as_str(), effective.source),
            ("/line.pem", Source::CommandLine)
        );
    }
}

/// Settings that cannot be, each with the sentence that says so.
const WRONG: &[(&[(&str, &str)], &str)] = &[
    (
        &[
            ("LANNER_LISTEN", "http://*:80"),
            ("LANNER_LISTENER__0__PROTOCOLS", "h3"),
        ],
        "LANNER_LISTENER__0__PROTOCOLS=\"h3\" is not one of them; expected h1, h2 or h1+h2",
    ),
    (
        &[
            ("LANNER_LISTENER__PUBLC__PROTOCOLS", "h2"),
            ("LANNER_LISTENER__PUBLIC__URL", "http://*:80"),
        ],
        "LANNER_LISTENER__PUBLC__PROTOCOLS is for a listener without a URL; set LANNER_LISTENER__PUBLC__URL; the nearest \
         listener that has one is PUBLIC",
    ),
    (
        &[("LANNER_LISTENER__A__PROTOCOLS", "h2")],
        "LANNER_LISTENER__A__PROTOCOLS is for a listener without a URL; set LANNER_LISTENER__A__URL",
    ),
    (
        &[("LANNER_LISTENER__0__PROTOCOLS", "h2")],
        "LANNER_LISTENER__0__PROTOCOLS is for entry 0 of LANNER_LISTEN, which is not set",
    ),
    (
        &[
            ("LANNER_LISTEN", "http://*:80"),
            ("LANNER_LISTENER__1__PROTOCOLS", "h2"),
        ],
        "LANNER_LISTENER__1__PROTOCOLS is for entry 1 of LANNER_LISTEN, which has one only, which is 0",
    ),
    (
        &[
            ("LANNER_LISTEN", "http://*:80,fd:3"),
            ("LANNER_LISTENER__2__PROTOCOLS", "h2"),
        ],
        "LANNER_LISTENER__2__PROTOCOLS is for entry 2 of LANNER_LISTEN, which has those from 0 to 1",
    ),
    (
        &[
            ("LANNER_LISTEN", "http://*:80"),
            ("LANNER_LISTENER__64__PROTOCOLS", "h2"),
        ],
        "LANNER_LISTENER__64__PROTOCOLS does not name a listener; expected LANNER_LISTENER__NAME__PROTOCOLS with a NAME of 1 \
         to 32 capital letters, digits and single underscores that begins with a letter, or the number of an entry of \
         LANNER_LISTEN",
    ),
    (
        &[
            ("LANNER_LISTEN", "http://*:80"),
            ("LANNER_LISTENER__0__SNI__X__HOST", "a.example"),
        ],
        "LANNER_LISTENER__0__SNI__X__HOST does not number a host; expected LANNER_LISTENER__NAME__SNI__N__HOST with an N from \
         0 to 255",
    ),
    (
        &[
            ("LANNER_LISTEN", "http://*:80"),
            ("LANNER_LISTENER__0__TLS_CERT", "/own.pem"),
        ],
        "LANNER_LISTENER__0__TLS_CERT is for TLS, and listener 0 has the URL http://*:80; https:// would be TLS",
    ),
    (
        &[
            ("LANNER_LISTEN", "http://*:80"),
            ("LANNER_LISTENER__0__SNI__0__HOST", "a.example"),
        ],
        "LANNER_LISTENER__0__SNI__0__HOST is for TLS, and listener 0 has the URL http://*:80; https:// would be TLS",
    ),
    (
        &[
            ("LANNER_LISTENER__A__URL", "fd:3"),
            ("LANNER_LISTENER__A__TLS_MIN", "1.3"),
        ],
        "LANNER_LISTENER__A__TLS_MIN is for TLS, and listener A (fd:3) speaks TLS only with a certificate of its own; set \
         LANNER_LISTENER__A__TLS_CERT, LANNER_LISTENER__A__TLS_CERT_DIR or LANNER_LISTENER__A__SNI__0__HOST",
    ),
    (
        &[
            CERT,
            ("LANNER_LISTEN", "https://*"),
            ("LANNER_LISTENER__0__TLS_KEY", "/own.key"),
        ],
        "LANNER_LISTENER__0__TLS_KEY needs the certificate it is for; set LANNER_LISTENER__0__TLS_CERT too",
    ),
    (
        &[
            ("LANNER_LISTEN", "https://*"),
            ("LANNER_TLS_CERT_DIR", "/certs"),
            KEY,
        ],
        "LANNER_TLS_KEY=/common.key, LANNER_TLS_CERT=none: a key needs the certificate it is for",
    ),
    (
        &[
            CERT,
            ("LANNER_LISTEN", "https://*"),
            ("LANNER_LISTENER__0__TLS_CERT", "none"),
        ],
        "listener 0 (https://*:443) has no certificate; set LANNER_TLS_CERT and LANNER_TLS_KEY, or LANNER_TLS_CERT_DIR, or \
         LANNER_LISTENER__0__TLS_CERT for this listener alone (`lanner dev-cert` makes one for developing with)",
    ),
    (
        &[
            CERT,
            ("LANNER_LISTEN", "https://*"),
            ("LANNER_LISTENER__0__SNI__0__HOST", "a.example"),
        ],
        "LANNER_LISTENER__0__SNI__0__HOST needs LANNER_LISTENER__0__SNI__0__CERT beside it: a host is a name and a certificate",
    ),
    (
        &[
            CERT,
            ("LANNER_LISTEN", "https://*"),
            ("LANNER_LISTENER__0__SNI__0__CERT", "/a.pem"),
        ],
        "LANNER_LISTENER__0__SNI__0__CERT needs LANNER_LISTENER__0__SNI__0__HOST beside it: a host is a name and a certificate",
    ),
    (
        &[
            CERT,
            ("LANNER_LISTEN", "https://*"),
            ("LANNER_LISTENER__0__SNI__1__HOST", "a.example"),
            ("LANNER_LISTENER__0__SNI__1__CERT", "/a.pem"),
        ],
        "LANNER_LISTENER__0__SNI__1__HOST has no LANNER_LISTENER__0__SNI__0__HOST before it: the numbers begin at 0 and leave \
         none out",
    ),
    (
        &[
            CERT,
            ("LANNER_LISTEN", "https://*"),
            ("LANNER_LISTENER__0__SNI__0__HOST", "a.example"),
            ("LANNER_LISTENER__0__SNI__0__CERT", "/a.pem"),
            ("LANNER_LISTENER__0__SNI__1__HOST", "A.Example"),
            ("LANNER_LISTENER__0__SNI__1__CERT", "/b.pem"),
        ],
        "LANNER_LISTENER__0__SNI__1__HOST names the same host as LANNER_LISTENER__0__SNI__0__HOST",
    ),
    (
        &[
            CERT,
            ("LANNER_LISTEN", "https://*"),
            ("LANNER_LISTENER__0__SNI__0__HOST", "192.0.2.1"),
        ],
        "LANNER_LISTENER__0__SNI__0__HOST=\"192.0.2.1\" is an address, and clients name none; expected the name of a host \
         (example.com, *.example.com)",
    ),
    (
        &[
            CERT,
            ("LANNER_LISTEN", "https://*"),
            ("LANNER_TLS_CLIENT_AUTH", "required"),
        ],
        "listener 0 (https://*:443) has TLS_CLIENT_AUTH=required: whose client certificates to take must be said; set \
         LANNER_TLS_CLIENT_CA, or LANNER_LISTENER__0__TLS_CLIENT_CA for this listener alone",
    ),
    (
        &[
            CERT,
            ("LANNER_LISTEN", "https://*"),
            ("LANNER_LISTENER__0__SNI__0__HOST", "a.example"),
            ("LANNER_LISTENER__0__SNI__0__CERT", "/a.pem"),
            ("LANNER_LISTENER__0__SNI__0__CLIENT_AUTH", "optional"),
        ],
        "LANNER_LISTENER__0__SNI__0 (a.example) has CLIENT_AUTH=optional: whose client certificates to take must be said; set \
         LANNER_LISTENER__0__SNI__0__CLIENT_CA",
    ),
    (
        &[
            CERT,
            ("LANNER_LISTEN", "https://*"),
            ("LANNER_TLS_MAX", "1.2"),
            ("LANNER_LISTENER__0__TLS_MIN", "1.3"),
        ],
        "LANNER_LISTENER__0__TLS_MIN=1.3, LANNER_TLS_MAX=1.2: the oldest version must not be newer than the newest",
    ),
    (
        &[
            CERT,
            ("LANNER_LISTEN", "https://*"),
            ("LANNER_TLS_MAX", "1.2"),
            ("LANNER_TLS_MIN", "1.3"),
        ],
        "LANNER_TLS_MIN=1.3, LANNER_TLS_MAX=1.2: the oldest version must not be newer than the newest",
    ),
    (
        &[CERT, ("LANNER_LISTEN", "http://*:80,https://*:80")],
        "listeners 0 (http://*:80) and 1 (https://*:80) would listen at the same place",
    ),
    (
        &[(
            "LANNER_LISTEN",
            "unix:/run/x.sock,unix:/run/x.sock?mode=0600",
        )],
        "listeners 0 (unix:/run/x.sock) and 1 (unix:/run/x.sock?mode=0600) would listen at the same place",
    ),
    (
        &[("LANNER_LISTEN", "fd:3,fd:3")],
        "listeners 0 and 1 have the same URL fd:3",
    ),
];

#[test]
fn what_cannot_be_is_said_in_one_sentence() {
    for (settings, sentence) in WRONG {
        assert_eq!(mistakes(settings), [*sentence], "{settings:?}");
    }
}

#[test]
fn what_follows_from_a_mistake_is_not_one_more() {
    for settings in [
        &[("LANNER_LISTEN", "https://*"), ("LANNER_TLS_CERT", "")][..],
        &[
            ("LANNER_LISTEN", "https://*"),
            ("LANNER_LISTENER__0__TLS_CERT", ""),
        ],
        &[
            ("LANNER_LISTEN", "nowhere"),
            ("LANNER_LISTENER__0__PROTOCOLS", "h1"),
        ],
        &[
            ("LANNER_LISTENER__A__URL", "nowhere"),
            ("LANNER_LISTENER__A__PROTOCOLS", "h1"),
        ],
        &[
            ("LANNER_LISTENER__A__URL", "fd:3"),
            ("LANNER_LISTENER__A__TLS_CERT", ""),
            ("LANNER_LISTENER__A__TLS_MIN", "1.3"),
        ],
        &[
            ("LANNER_LISTEN", "https://*"),
            ("LANNER_LISTENER__0__SNI__0__HOST", "?"),
            ("LANNER_LISTENER__0__SNI__0__CERT", "/a.pem"),
        ],
        &[
            CERT,
            ("LANNER_LISTEN", "https://*"),
            ("LANNER_TLS_CLIENT_AUTH", "required"),
            ("LANNER_TLS_CLIENT_CA", ""),
        ],
    ] {
        assert_eq!(mistakes(settings).len(), 1, "{:#?}", mistakes(settings));
    }
}

#[test]
fn a_private_key_is_shown_nowhere() {
    let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----";
    let settings = [
        ("LANNER_LISTEN", "https://*"),
        ("LANNER_LISTENER__0__TLS_CERT", "/own.pem"),
        ("LANNER_LISTENER__0__TLS_KEY", key),
        ("LANNER_LISTENER__0__SNI__0__HOST", "a.example"),
        ("LANNER_LISTENER__0__SNI__0__CERT", "/a.pem"),
        ("LANNER_LISTENER__0__SNI__0__KEY", key),
    ];
    let resolved = resolve(&settings, &[]).unwrap();
    assert!(!format!("{resolved:?}").contains("c2VjcmV0"));
    for wrong in [
        ("LANNER_LISTEN", "http://*"),
        ("LANNER_LISTENER__0__TLS_CERT", ""),
    ] {
        let all: Vec<_> = settings.iter().copied().chain([wrong]).collect();
        assert!(!mistakes(&all).join("\n").contains("c2VjcmV0"));
    }
}

#[test]
fn what_does_nothing_is_noticed() {
    for (settings, notices) in [
        (
            &[
                ("LANNER_LISTEN", "http://*"),
                CERT,
                ("LANNER_TLS_CLIENT_CA", "/ca.pem"),
            ][..],
            &[
                "LANNER_TLS_CERT has no effect: no listener speaks TLS (https://)",
                "LANNER_TLS_CLIENT_CA has no effect: no listener speaks TLS (https://)",
            ][..],
        ),
        (
            &[
                ("LANNER_LISTEN", "https://*"),
                CERT,
                ("LANNER_TLS_CLIENT_CA", "/ca.pem"),
            ],
            &["LANNER_TLS_CLIENT_CA has no effect without LANNER_TLS_CLIENT_AUTH"],
        ),
        (
            &[
                ("LANNER_LISTEN", "https://*"),
                CERT,
                ("LANNER_TLS_CLIENT_CA", "/ca.pem"),
                ("LANNER_LISTENER__0__TLS_CLIENT_AUTH", "required"),
            ],
            &[],
        ),
        (
            &[
                ("LANNER_LISTEN", "https://*"),
                CERT,
                ("LANNER_LISTENER__0__TLS_CRL", "/crl.pem"),
            ],
            &[
                "LANNER_LISTENER__0__TLS_CRL has no effect: clients are not asked for certificates there (TLS_CLIENT_AUTH is off)",
            ],
        ),
        (
            &[
                ("LANNER_LISTEN", "http://*,fd:3"),
                ("LANNER_LISTENER__0__PROTOCOLS", "h1"),
                ("LANNER_LISTENER__1__PROTOCOLS", "h1"),
                ("LANNER_H2_MAX_STREAMS", "7"),
            ],
            &["LANNER_H2_MAX_STREAMS has no effect: no listener speaks HTTP/2"],
        ),
        (
            &[
                ("LANNER_LISTEN", "http://*"),
                ("LANNER_H2_MAX_STREAMS", "7"),
            ],
            &[],
        ),
    ] {
        assert_eq!(
            resolve(settings, &[]).unwrap().notices,
            notices,
            "{settings:?}"
        );
    }
}

#[test]
fn every_property_refuses_what_it_cannot_mean_and_names_its_range() {
    for property in properties() {
        let variable = property.variable.replace("NAME", "A");
        let variable = variable.replace("__N__", "__0__");
        let url = ("LANNER_LISTENER__A__URL", "https://*");
        // Where it is the URL itself, the later one wins.
        let mistakes = mistakes(&[CERT, url, (&variable, "\u{7f} ??")]);
        assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
        let begins = format!("{variable}=\"\\u{{7f}} ??\" ");
        assert!(mistakes[0].starts_with(&begins), "{}", mistakes[0]);
        let ends = format!("; expected {}", property.range());
        assert!(mistakes[0].ends_with(&ends), "{}", mistakes[0]);
    }
}

/// A value for each property.
fn value(variable: &str) -> BoxedStrategy<String> {
    let words = |words: &[&'static str]| {
        proptest::sample::select(words.to_vec())
            .prop_map(str::to_owned)
            .boxed()
    };
    match variable.rsplit("__").next().unwrap() {
        "URL" => words(&[
            "https://*:443",
            "https://[::1]:0",
            "unix:/run/a.sock",
            "fd:9",
        ]),
        "PROTOCOLS" => words(&["h1", "h2", "h1+h2"]),
        "TLS_CLIENT_AUTH" | "CLIENT_AUTH" => words(&["off", "optional", "required"]),
        "TLS_STRICT_SNI" => words(&["true", "false"]),
        "TLS_MIN" | "TLS_MAX" => words(&["1.2", "1.3"]),
        "HOST" => "(\\*\\.)?[a-z]{1,3}\\.[a-z]{1,3}".boxed(),
        "CERT" => "/[a-z]{1,9}\\.pem".boxed(),
        _ => prop_oneof![9 => "/[a-z]{1,9}\\.pem", 1 => Just("none".to_owned())].boxed(),
    }
}

fn some_settings() -> impl Strategy<Value = Vec<(String, String)>> {
    let each: Vec<_> = properties()
        .flat_map(|property| {
            let named = property.variable.replace("NAME", "A");
            let numbers = if named.contains("__N__") { 0..2 } else { 0..1 };
            numbers.map(move |number| named.replace("__N__", &format!("__{number}__")))
        })
        .map(|variable| {
            // What others need is mostly there.
            let needed = ["URL", "CERT", "HOST", "TLS_CERT", "TLS_CLIENT_CA"];
            let needed = needed
                .iter()
                .any(|name| variable.ends_with(&format!("__{name}")));
            let value = value(&variable);
            let weight = if needed { 0.98 } else { 0.5 };
            (Just(variable), proptest::option::weighted(weight, value))
        })
        .collect();
    each.prop_map(|all| {
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    })
}

proptest! {
    #[test]
    fn what_is_in_effect_makes_the_same_listeners_again(settings in some_settings(), common in any::<[bool; 2]>()) {
        let common = [CERT, ("LANNER_TLS_CLIENT_CA", "/ca.pem")].into_iter().zip(common).filter(|(_, is)| *is);
        let common: Vec<_> = common.map(|(pair, _)| pair).collect();
        let own = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<_> = own.chain(common.iter().copied()).collect();
        let resolved = resolve(&all, &[]);
        prop_assume!(resolved.is_ok());
        let resolved = resolved.unwrap();
        let chosen = resolved.effective.iter().filter(|value| value.source != Source::Default);
        for spelling in [|value: &Effective| value.variable.clone(), |value: &Effective| value.path.clone()] {
            let again: Vec<_> = chosen.clone().map(|value| (spelling(value), value.value.clone())).collect();
            let again: Vec<_> = again.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            prop_assert_eq!(&resolve(&[], &again).unwrap().limits, &resolved.limits);
        }
        // What the engine relies on.
        for tls in resolved.limits.listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
            prop_assert!(tls.has_certificate());
            prop_assert!(tls.key.is_none() || tls.cert.is_some());
            prop_assert!(tls.client_auth == ClientAuth::Off || tls.client_ca.is_some());
            prop_assert!(tls.min == TlsVersion::Tls12 || tls.max == TlsVersion::Tls13);
            for entry in &tls.sni {
                prop_assert!(entry.client_auth == ClientAuth::Off || entry.client_ca.is_some());
            }
        }
    }

    #[test]
    fn no_name_of_a_property_is_too_odd_to_be_refused(name in "LANNER_LISTENER__([A-Z0-9_]{0,6}|SNI|__){0,6}", value in any::<String>()) {
        let _ = resolve(&[(&name, &value)], &[]);
        let _ = resolve(&[], &[(&name.to_lowercase().replace("__", "."), &value)]);
    }
}
