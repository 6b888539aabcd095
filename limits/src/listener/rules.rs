//! What must hold for a listener whose properties are each a value: that it has a URL and a certificate, that what is for
//! TLS is not given to a listener without, that its properties do not contradict one another.

use crate::choice::{ClientAuth, TlsVersion};
use crate::knob::Limits;
use crate::listen::{LISTENERS_MAX, ListenUrl};
use crate::listener::property::LISTENER;
use crate::listener::settings::{Judged, Told};
use crate::listener::{Listener, ListenerTls};
use crate::mistake::{Mistake, nearest};
use crate::name::PropertyKey;
use crate::relations::VERSIONS_RULE;
use crate::resolve::Setting;

const CLIENTS_RULE: &str = "whose client certificates to take must be said";

/// What is wrong with a listener.
pub(crate) fn broken(
    listener: &Listener,
    told: &Told<'_>,
    judged: &Judged,
    limits: &Limits,
) -> Vec<Mistake> {
    let Some(tls) = &listener.tls else {
        return tls_of_a_plain_one(listener, told);
    };
    if told.wrong {
        return Vec::new();
    }
    let mut broken = Vec::new();
    broken.extend(key_without_certificate(listener, told));
    broken.extend(broken_hosts(listener, told));
    if broken.is_empty() && judged.tls {
        broken.extend(without_certificate(listener, tls));
        broken.extend(versions(listener, told, tls, limits));
        broken.extend(clients(listener, tls));
        broken.extend(clients_of_hosts(listener, told, tls));
    }
    broken
}

/// What is wrong with listeners that are right each by itself.
pub(crate) fn broken_together(listeners: &[Listener]) -> Vec<Mistake> {
    if listeners.len() > LISTENERS_MAX {
        let count = listeners.len();
        let text = format!("{count} listeners are too many; expected at most {LISTENERS_MAX}");
        return vec![mistake("LANNER_LISTEN", text)];
    }
    let mut broken = Vec::new();
    for (place, listener) in listeners.iter().enumerate() {
        // SO_REUSEPORT would let both bind, and split the connections between them at random.
        let others = &listeners[..place];
        let Some(other) = others.iter().find(|other| meet(&other.url, &listener.url)) else {
            continue;
        };
        let (first, second) = (&other.name, &listener.name);
        let text = if other.url == listener.url {
            format!(
                "listeners {first} and {second} have the same URL {}",
                other.url
            )
        } else {
            format!(
                "listeners {first} ({}) and {second} ({}) would listen at the same place",
                other.url, listener.url
            )
        };
        broken.push(mistake("LANNER_LISTEN", text));
    }
    broken
}

/// Whether two URLs are for one socket. Where the kernel chooses the port they are not.
fn meet(one: &ListenUrl, other: &ListenUrl) -> bool {
    match (one, other) {
        (
            ListenUrl::Tcp { host, port, .. },
            ListenUrl::Tcp {
                host: other_host,
                port: other_port,
                ..
            },
        ) => *port != 0 && (host, port) == (other_host, other_port),
        (ListenUrl::Unix { path, .. }, ListenUrl::Unix { path: other, .. }) => path == other,
        _ => one == other,
    }
}

/// The settings of a listener that does not exist; `named` are those that do.
pub(crate) fn without_url(name: &str, told: &Told<'_>, named: &[String]) -> Vec<Mistake> {
    if told.settings.iter().any(|(key, _)| is_url(key)) {
        // It is wrong, which was said.
        return Vec::new();
    }
    let near = nearest(name, named.iter().map(String::as_str));
    let near = near.map_or_else(String::new, |near| {
        format!("; the nearest listener that has one is {near}")
    });
    let complaint = |setting: &Setting| {
        let text = format!(
            "{} is for a listener without a URL; set {LISTENER}{name}__URL{near}",
            setting.name
        );
        mistake(&setting.name, text)
    };
    each(told, |_| true, complaint)
}

/// The settings of an entry that `LANNER_LISTEN` does not have.
pub(crate) fn without_entry(number: usize, told: &Told<'_>, entries: usize) -> Vec<Mistake> {
    let has = match entries.checked_sub(1) {
        None => "is not set".to_owned(),
        Some(0) => "has one only, which is 0".to_owned(),
        Some(last) => format!("has those from 0 to {last}"),
    };
    let complaint = |setting: &Setting| {
        let text = format!(
            "{} is for entry {number} of LANNER_LISTEN, which {has}",
            setting.name
        );
        mistake(&setting.name, text)
    };
    each(told, |_| true, complaint)
}

/// What is for TLS, given to a listener that does not speak it.
fn tls_of_a_plain_one(listener: &Listener, told: &Told<'_>) -> Vec<Mistake> {
    let Listener { name, url, .. } = listener;
    let is_port = url.scheme().is_some();
    if told.wrong && !is_port {
        // Perhaps it is the certificate that is wrong.
        return Vec::new();
    }
    let complaint = |setting: &Setting| {
        let repair = if is_port {
            format!("listener {name} has the URL {url}; https:// would be TLS")
        } else {
            format!(
                "listener {name} ({url}) speaks TLS only with a certificate of its own; set {LISTENER}{name}__TLS_CERT, \
                 {LISTENER}{name}__TLS_CERT_DIR or {LISTENER}{name}__SNI__0__HOST"
            )
        };
        mistake(
            &setting.name,
            format!("{} is for TLS, and {repair}", setting.name),
        )
    };
    each(told, is_of_tls, complaint)
}

fn key_without_certificate(listener: &Listener, told: &Told<'_>) -> Option<Mistake> {
    let given = &told.given;
    let has_certificate = given.tls_cert.as_ref().is_some_and(Option::is_some);
    given
        .tls_key
        .as_ref()?
        .as_ref()
        .filter(|_| !has_certificate)?;
    let certificate = format!("{LISTENER}{}__TLS_CERT", listener.name);
    let name = format!("{LISTENER}{}__TLS_KEY", listener.name);
    let text = format!("{name} needs the certificate it is for; set {certificate} too");
    Some(mistake(&name, text))
}

fn without_certificate(listener: &Listener, tls: &ListenerTls) -> Option<Mistake> {
    if tls.has_certificate() {
        return None;
    }
    let Listener { name, url, .. } = listener;
    let text = format!(
        "listener {name} ({url}) has no certificate; set LANNER_TLS_CERT and LANNER_TLS_KEY, or LANNER_TLS_CERT_DIR, or \
         {LISTENER}{name}__TLS_CERT for this listener alone (`lanner dev-cert` makes one for developing with)"
    );
    Some(mistake("LANNER_LISTEN", text))
}

/// Hosts that are not a name and a certificate, that are there twice, or whose numbers have a gap.
fn broken_hosts(listener: &Listener, told: &Told<'_>) -> Vec<Mistake> {
    let variable =
        |number: usize, name: &str| format!("{LISTENER}{}__SNI__{number}__{name}", listener.name);
    let mut broken = Vec::new();
    let mut complain = |number: usize, problem: String| {
        let setting = told.setting_of_host(number);
        let name = setting.map_or_else(|| variable(number, "HOST"), |setting| setting.name.clone());
        broken.push(mistake(&name, format!("{name} {problem}")));
    };
    let gap = told.hosts.keys().enumerate();
    if let Some((missing, number)) = gap.into_iter().find(|(place, number)| place != *number) {
        let missing = variable(missing, "HOST");
        let problem =
            format!("has no {missing} before it: the numbers begin at 0 and leave none out");
        complain(*number, problem);
    }
    for (number, host) in &told.hosts {
        for (missing, name) in [(host.host.is_none(), "HOST"), (host.cert.is_none(), "CERT")] {
            if missing {
                let missing = variable(*number, name);
                let problem =
                    format!("needs {missing} beside it: a host is a name and a certificate");
                complain(*number, problem);
            }
        }
        let same = |(_, other): &(&usize, &_)| -> bool {
            let other: &crate::listener::property::GivenHost = other;
            host.host.is_some() && other.host == host.host
        };
        if let Some((first, _)) = told.hosts.range(..*number).find(same) {
            let first = variable(*first, "HOST");
            complain(*number, format!("names the same host as {first}"));
        }
    }
    broken
}

fn versions(
    listener: &Listener,
    told: &Told<'_>,
    tls: &ListenerTls,
    limits: &Limits,
) -> Option<Mistake> {
    // Where all listeners have the same, it was judged with what they have in common.
    let common = (tls.min, tls.max) == (limits.tls_min, limits.tls_max);
    if common || tls.min == TlsVersion::Tls12 || tls.max == TlsVersion::Tls13 {
        return None;
    }
    let shown = |own: bool, name: &str, version: TlsVersion| {
        let prefix = if own {
            format!("{LISTENER}{}__", listener.name)
        } else {
            "LANNER_".to_owned()
        };
        format!("{prefix}{name}={version}")
    };
    let text = format!(
        "{}, {}: {VERSIONS_RULE}",
        shown(told.given.tls_min.is_some(), "TLS_MIN", tls.min),
        shown(told.given.tls_max.is_some(), "TLS_MAX", tls.max)
    );
    Some(mistake("LANNER_LISTEN", text))
}

fn clients(listener: &Listener, tls: &ListenerTls) -> Option<Mistake> {
    if tls.client_auth == ClientAuth::Off || tls.client_ca.is_some() {
        return None;
    }
    let Listener { name, url, .. } = listener;
    let text = format!(
        "listener {name} ({url}) has TLS_CLIENT_AUTH={}: {CLIENTS_RULE}; set LANNER_TLS_CLIENT_CA, or \
         {LISTENER}{name}__TLS_CLIENT_CA for this listener alone",
        tls.client_auth
    );
    Some(mistake("LANNER_LISTEN", text))
}

/// Where hosts say something of their own. What they have from their listener is its mistake.
fn clients_of_hosts(listener: &Listener, told: &Told<'_>, tls: &ListenerTls) -> Vec<Mistake> {
    let hosts = told.hosts.iter().zip(&tls.sni);
    let broken = hosts.filter(|((_, given), entry)| {
        let own = given.client_auth.is_some() || given.client_ca.is_some();
        own && entry.client_auth != ClientAuth::Off && entry.client_ca.is_none()
    });
    let complaint = |((number, _), entry): ((&usize, _), &crate::listener::SniEntry)| {
        let prefix = format!("{LISTENER}{}__SNI__{number}", listener.name);
        let text = format!(
            "{prefix} ({}) has CLIENT_AUTH={}: {CLIENTS_RULE}; set {prefix}__CLIENT_CA",
            entry.host, entry.client_auth
        );
        mistake("LANNER_LISTEN", text)
    };
    broken.map(complaint).collect()
}

/// What a listener was given and does nothing.
pub(crate) fn without_effect(listener: &Listener, told: &Told<'_>) -> Vec<String> {
    let Some(tls) = &listener.tls else {
        return Vec::new();
    };
    let off = |auth: ClientAuth| auth == ClientAuth::Off;
    let all_off = off(tls.client_auth) && tls.sni.iter().all(|entry| off(entry.client_auth));
    let idle = |key: &PropertyKey| {
        let of_clients = ["TLS_CLIENT_CA", "TLS_CRL", "CLIENT_CA", "CRL"].contains(&key.name());
        let asked = match key.host {
            None => !all_off,
            Some(number) => tls
                .sni
                .get(number)
                .is_none_or(|entry| !off(entry.client_auth)),
        };
        of_clients && !asked
    };
    let settings = told.settings.iter().filter(|(key, _)| idle(key));
    settings
        .map(|(_, setting)| {
            let name = &setting.name;
            format!("{name} has no effect: clients are not asked for certificates there (TLS_CLIENT_AUTH is off)")
        })
        .collect()
}

fn is_url(key: &PropertyKey) -> bool {
    key.host.is_none() && key.name() == "URL"
}

fn is_of_tls(key: &PropertyKey) -> bool {
    key.host.is_some() || key.name().starts_with("TLS_")
}

/// A complaint about each setting that is one of `which`.
fn each(
    told: &Told<'_>,
    which: impl Fn(&PropertyKey) -> bool,
    complaint: impl Fn(&Setting) -> Mistake,
) -> Vec<Mistake> {
    let settings = told.settings.iter().filter(|(key, _)| which(key));
    settings.map(|(_, setting)| complaint(setting)).collect()
}

fn mistake(name: &str, text: String) -> Mistake {
    Mistake {
        name: name.to_owned(),
        text,
    }
}
