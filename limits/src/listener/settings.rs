//! From the settings of listeners to listeners: which there are, and what each has of its own and what in common with the
//! others. What a property may be is said in `property.rs`, what cannot be together in `rules.rs`.

use crate::knob::Limits;
use crate::listen::ListenUrl;
use crate::listener::property::{Given, GivenHost, HOST_PROPERTIES, LISTENER_PROPERTIES};
use crate::listener::rules;
use crate::listener::{Listener, ListenerTls, SniEntry};
use crate::mistake::{Mistake, value_mistake};
use crate::name::{ListenerKey, PropertyKey};
use crate::resolve::{Effective, Setting};
use std::collections::BTreeMap;

/// For each property of each listener the setting that wins.
#[derive(Default)]
pub(crate) struct ListenerSettings(BTreeMap<PropertyKey, Setting>);

/// What the settings of one listener say.
#[derive(Default)]
pub(crate) struct Told<'a> {
    pub(crate) given: Given,
    pub(crate) hosts: BTreeMap<usize, GivenHost>,
    pub(crate) settings: Vec<(&'a PropertyKey, &'a Setting)>,
    /// Whether one of them is no value, so that what follows from that is not complained about as well.
    pub(crate) wrong: bool,
}

/// What was as it should be before listeners were looked at: what follows from a mistake is not one more.
pub(crate) struct Judged {
    /// `LANNER_LISTEN`.
    pub(crate) listen: bool,
    /// The TLS of every listener.
    pub(crate) tls: bool,
}

/// The listeners that settings make, and what there is to say about them.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) effective: Vec<Effective>,
    pub(crate) mistakes: Vec<Mistake>,
    pub(crate) notices: Vec<String>,
}

impl ListenerSettings {
    /// Takes note of a setting, unless a stronger one was seen.
    pub(crate) fn choose(&mut self, key: PropertyKey, setting: Setting) {
        let chosen = self.0.get(&key);
        if chosen.is_none_or(|chosen| chosen.source <= setting.source) {
            self.0.insert(key, setting);
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts all listeners together: the entries of `limits.listen`, then named ones; the automatic ones where there are
    /// neither.
    pub(crate) fn make(&self, limits: &Limits, judged: &Judged) -> Made {
        let mut made = Made::default();
        let mut all = self.told(&mut made);
        for (number, url) in limits.listen.iter().enumerate() {
            let key = ListenerKey::Number(number);
            let told = all.remove(&key).unwrap_or_default();
            made.add(&key, url, &told, limits, judged);
        }
        let with_url = |(key, told): (&ListenerKey, &Told<'_>)| {
            told.given.url.as_ref().map(|_| key.to_string())
        };
        let named: Vec<String> = all.iter().filter_map(with_url).collect();
        for (key, told) in &all {
            match (&told.given.url, key) {
                (Some(url), _) => made.add(key, url, told, limits, judged),
                (None, ListenerKey::Name(name)) => {
                    made.mistakes.extend(rules::without_url(name, told, &named));
                }
                (None, ListenerKey::Number(number)) if judged.listen => {
                    let entries = limits.listen.len();
                    made.mistakes
                        .extend(rules::without_entry(*number, told, entries));
                }
                (None, ListenerKey::Number(_)) => {}
            }
        }
        if self.is_empty() && limits.listen.is_empty() && judged.listen {
            made.listeners = limits.automatic_listeners();
            for listener in &made.listeners {
                let broken = rules::broken(listener, &Told::default(), judged, limits);
                made.mistakes.extend(broken);
            }
        }
        made.mistakes
            .extend(rules::broken_together(&made.listeners));
        made
    }

    /// Reads every setting.
    fn told(&self, made: &mut Made) -> BTreeMap<ListenerKey, Told<'_>> {
        let mut all: BTreeMap<ListenerKey, Told<'_>> = BTreeMap::new();
        for (key, setting) in &self.0 {
            let told = all.entry(key.listener.clone()).or_default();
            told.settings.push((key, setting));
            let (read, value) = told.read(key, setting.value.trim());
            if let Err(wrong) = read {
                told.wrong = true;
                let mistake = value_mistake(setting, &wrong, &key.range());
                made.mistakes.push(mistake);
            }
            made.effective.push(Effective {
                variable: key.variable(),
                path: key.path(),
                value,
                automatic: false,
                source: setting.source,
            });
        }
        all
    }
}

impl Made {
    fn add(
        &mut self,
        key: &ListenerKey,
        url: &ListenUrl,
        told: &Told<'_>,
        limits: &Limits,
        judged: &Judged,
    ) {
        let mut listener = Listener::new(key.to_string(), url.clone(), limits);
        if let Some(protocols) = told.given.protocols {
            listener.protocols = protocols;
        }
        // A port says by its scheme whether TLS is spoken, everything else by a certificate of its own.
        if url.scheme().is_none() && told.has_certificate() {
            listener.tls = Some(ListenerTls::of(limits));
        }
        if let Some(tls) = &mut listener.tls {
            told.change(tls);
        }
        self.mistakes
            .extend(rules::broken(&listener, told, judged, limits));
        self.notices.extend(rules::without_effect(&listener, told));
        self.listeners.push(listener);
    }
}

impl<'a> Told<'a> {
    /// Reads one setting, and says what was read.
    fn read(&mut self, key: &PropertyKey, text: &str) -> (Result<(), String>, String) {
        match key.host {
            None => {
                let row = &LISTENER_PROPERTIES[key.place];
                let read = (row.assign)(&mut self.given, text);
                (read, (row.text)(&self.given))
            }
            Some(number) => {
                let row = &HOST_PROPERTIES[key.place];
                let host = self.hosts.entry(number).or_default();
                let read = (row.assign)(host, text);
                (read, (row.text)(host))
            }
        }
    }

    /// The first setting of a host.
    pub(crate) fn setting_of_host(&self, number: usize) -> Option<&'a Setting> {
        let mut settings = self.settings.iter();
        settings
            .find(|(key, _)| key.host == Some(number))
            .map(|(_, setting)| *setting)
    }

    /// Whether it has a certificate of its own.
    fn has_certificate(&self) -> bool {
        let given = &self.given;
        let (cert, directory) = (given.tls_cert.as_ref(), given.tls_cert_dir.as_ref());
        cert.is_some_and(Option::is_some)
            || directory.is_some_and(Option::is_some)
            || !self.hosts.is_empty()
    }

    /// Puts what it has of its own in place of what listeners have in common.
    fn change(&self, tls: &mut ListenerTls) {
        let given = self.given.clone();
        if let Some(cert) = given.tls_cert {
            // The key of another certificate would be of no use to this one.
            tls.key = given.tls_key.flatten().filter(|_| cert.is_some());
            tls.cert = cert;
        }
        put(&mut tls.cert_dir, given.tls_cert_dir);
        put(&mut tls.client_auth, given.tls_client_auth);
        put(&mut tls.client_ca, given.tls_client_ca);
        put(&mut tls.crl, given.tls_crl);
        put(&mut tls.strict_sni, given.tls_strict_sni);
        put(&mut tls.min, given.tls_min);
        put(&mut tls.max, given.tls_max);
        let entries = self.hosts.values().filter_map(|host| entry(host, tls));
        tls.sni = entries.collect();
    }
}

fn put<T>(place: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *place = value;
    }
}

/// A host with what it does not say itself from its listener; none where it is not even a name and a certificate.
fn entry(host: &GivenHost, tls: &ListenerTls) -> Option<SniEntry> {
    let mut entry = SniEntry {
        host: host.host.clone()?,
        cert: host.cert.clone()?,
        key: host.key.clone().flatten(),
        client_auth: tls.client_auth,
        client_ca: tls.client_ca.clone(),
        crl: tls.crl.clone(),
    };
    put(&mut entry.client_auth, host.client_auth);
    put(&mut entry.client_ca, host.client_ca.clone());
    put(&mut entry.crl, host.crl.clone());
    Some(entry)
}
