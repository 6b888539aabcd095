//! From settings to what handshakes are made with: one configuration per certificate, and the table that says which one
//! a name gets. Built as a whole or not at all; nothing here changes afterwards, and `reload` puts a new one in its place.

use crate::tls::arithmetic::{self, digest};
use crate::tls::certificates::Certificate;
use crate::tls::clients::ClientRules;
use crate::tls::fault::Fault;
use crate::tls::names::Names;
use crate::tls::perishable::Perishable;
use crate::tls::settings::{Alpn, Identity, TlsSettings};
use crate::tls::ticket_keys::TicketKeys;
use crate::tls::tickets::Ticketer;
use crate::tls::wall_clock::WallClock;
use lanner_limits::TlsVersion;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::{ServerConfig, SupportedProtocolVersion, version};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Which configuration of its `Configurations` a connection was made under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConfigurationId(u32);

/// What is known of names.
#[derive(Clone, Debug)]
struct Table {
    /// Those that the operator gave to a configuration. They come first as a whole: a certificate that happens to be for
    /// `a.example.com` too must not take it away from the rules of `*.example.com`.
    given: Names<ConfigurationId>,
    /// Those in certificates.
    certified: Names<ConfigurationId>,
}

impl Table {
    fn find(&self, name: &[u8]) -> Option<ConfigurationId> {
        self.given.find(name).or_else(|| self.certified.find(name))
    }
}

/// All configurations of a listener, as of one moment. Connections hold on to those that they were made under.
pub(crate) struct Configurations {
    table: Table,
    all: Vec<Arc<ServerConfig>>,
    /// For names that are not in the table, and for clients that name none; nothing where those are refused.
    default: Option<ConfigurationId>,
    pub(crate) clock: WallClock,
}

/// Configurations, and what somebody should know although they can be used.
pub(crate) struct Built {
    pub(crate) configurations: Configurations,
    pub(crate) warnings: Vec<String>,
    /// What will run out.
    pub(crate) perishables: BTreeSet<Perishable>,
}

impl Configurations {
    /// The configuration for a client that sent this name.
    pub(crate) fn choose(&self, name: Option<&str>) -> Option<ConfigurationId> {
        name.and_then(|name| self.table.find(name.as_bytes()))
            .or(self.default)
    }

    pub(crate) fn server(&self, id: ConfigurationId) -> &Arc<ServerConfig> {
        &self.all[id.0 as usize]
    }

    /// Whether a request for `host` (without its port) may be answered on a connection that was made under `id`: whether
    /// a client that named this host would have come under the same. Others have shown no certificate to this host's
    /// rules, nor seen its own; 421 sends them to a connection of its own (RFC 9110 section 15.5.20).
    pub(crate) fn covers(&self, id: ConfigurationId, host: &[u8]) -> bool {
        // With one for everybody, which is the rule, there is no other that the host could come under.
        let is_only = self.all.len() == 1 && self.default.is_some();
        is_only || self.table.find(host).or(self.default) == Some(id)
    }

    /// Reads everything that `settings` name.
    pub(crate) fn build(
        settings: &TlsSettings,
        keys: &Arc<TicketKeys>,
        clock: &WallClock,
    ) -> Result<Built, Fault> {
        let mut building = Building {
            settings,
            keys,
            clock,
            table: Table {
                given: Names::new(),
                certified: Names::new(),
            },
            all: Vec::new(),
            warnings: Vec::new(),
            perishables: BTreeSet::new(),
        };
        for host in &settings.hosts {
            let rules = ClientRules::read(&host.clients)?;
            let certificate = read(&host.identity)?;
            building.add(&certificate, Some(&host.host), &rules)?;
        }
        let rules = ClientRules::read(&settings.clients)?;
        let mut default = None;
        if let Some(identity) = &settings.default {
            let certificate = read(identity)?;
            default = Some(building.add(&certificate, None, &rules)?);
        }
        if let Some(directory) = &settings.directory {
            let mut certificates = Certificate::read_directory(directory)?;
            let first = certificates
                .first()
                .map(|certificate| certificate.place.clone());
            // Of two for one name the one that lives longer: there the renewed one lies beside the old one.
            certificates.sort_by_key(|certificate| std::cmp::Reverse(certificate.validity.ends));
            for certificate in &certificates {
                let id = building.add(certificate, None, &rules)?;
                if first.as_ref() == Some(&certificate.place) {
                    default = default.or(Some(id));
                }
            }
        }
        // Where only hosts are configured, whoever names another one gets the first one's certificate.
        let default = default.or((!building.all.is_empty()).then_some(ConfigurationId(0)));
        if default.is_none() {
            return Err(Fault::new(
                "LANNER_TLS_CERT",
                "there is no certificate to serve with",
            ));
        }
        Ok(Built {
            configurations: Configurations {
                table: building.table,
                all: building.all,
                default: default.filter(|_| !settings.strict),
                clock: clock.clone(),
            },
            warnings: building.warnings,
            perishables: building.perishables,
        })
    }
}

impl std::fmt::Debug for Configurations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Configurations")
            .field("table", &self.table)
            .field("default", &self.default)
            .finish_non_exhaustive()
    }
}

fn read(identity: &Identity) -> Result<Certificate, Fault> {
    match identity {
        Identity::Provided { certificate, key } => Certificate::read(certificate, key.as_ref()),
        Identity::Made(certificate) => Ok(Certificate::clone(certificate)),
    }
}

/// The work under way.
struct Building<'a> {
    settings: &'a TlsSettings,
    keys: &'a Arc<TicketKeys>,
    clock: &'a WallClock,
    table: Table,
    all: Vec<Arc<ServerConfig>>,
    warnings: Vec<String>,
    perishables: BTreeSet<Perishable>,
}

impl Building<'_> {
    /// Adds a configuration for the name that the operator gave it, or else for those in its certificate that nobody has
    /// yet.
    fn add(
        &mut self,
        certificate: &Certificate,
        given: Option<&String>,
        rules: &ClientRules,
    ) -> Result<ConfigurationId, Fault> {
        let number = u32::try_from(self.all.len()).expect("certificates are counted in thousands");
        let id = ConfigurationId(number);
        let (table, names) = match given {
            Some(name) => (&mut self.table.given, std::slice::from_ref(name)),
            None => (&mut self.table.certified, &certificate.names[..]),
        };
        for name in names {
            if !table.insert(name, id) {
                let place = &certificate.place;
                self.warnings
                    .push(format!("{place}: another certificate is used for {name}"));
            }
        }
        self.perishables.insert(certificate.perishable());
        self.perishables.extend(rules.lists.iter().cloned());
        let ticketer = Ticketer::new(self.keys.clone(), fingerprint(names, rules));
        self.all
            .push(Arc::new(self.server(certificate, rules, ticketer)?));
        Ok(id)
    }

    fn server(
        &self,
        certificate: &Certificate,
        rules: &ClientRules,
        ticketer: Ticketer,
    ) -> Result<ServerConfig, Fault> {
        let builder = ServerConfig::builder_with_details(
            arithmetic::provider().clone(),
            self.clock.provider(),
        );
        let versions = versions(self.settings.oldest, self.settings.newest);
        let mut server = builder
            .with_protocol_versions(versions)
            .map_err(|error| Fault::new(certificate.place.clone(), error.to_string()))?
            .with_client_cert_verifier(rules.verifier.clone())
            .with_cert_resolver(Arc::new(SingleCertAndKey::from((*certificate.key).clone())));
        // Our order of suites, for clients order theirs for reasons that concern no server.
        server.ignore_client_order = true;
        // Records of 16 KiB: each costs a header, a tag and a call into the cipher, and a client that waits for a whole
        // one waits for twelve segments, which arrive together but for the first round trip of a connection.
        server.max_fragment_size = None;
        // Tickets carry their state, so workers need no table between them, and none can be filled by strangers.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.ticketer = Arc::new(ticketer);
        // One each: a client uses a ticket once (RFC 8446 appendix C.4), gets another with each connection, and with HTTP/2
        // seldom opens a second one at the same time. rustls' second ticket costs 3 % of a handshake.
        server.send_tls13_tickets = 1;
        // Data before the handshake's end can be played again by anybody who saw it (RFC 8446 section 8).
        server.max_early_data_size = 0;
        server.send_half_rtt_data = false;
        server.alpn_protocols = alpn(&self.settings.protocols);
        Ok(server)
    }
}

fn alpn(protocols: &[Alpn]) -> Vec<Vec<u8>> {
    protocols
        .iter()
        .map(|protocol| protocol.name().as_bytes().to_vec())
        .collect()
}

type Versions = &'static [&'static SupportedProtocolVersion];

fn versions(oldest: TlsVersion, newest: TlsVersion) -> Versions {
    const ONLY_12: Versions = &[&version::TLS12];
    const ONLY_13: Versions = &[&version::TLS13];
    const BOTH: Versions = &[&version::TLS13, &version::TLS12];
    match (oldest, newest) {
        (TlsVersion::Tls12, TlsVersion::Tls12) => ONLY_12,
        (TlsVersion::Tls12, TlsVersion::Tls13) => BOTH,
        // A newest version below the oldest one is refused with the settings.
        (TlsVersion::Tls13, _) => ONLY_13,
    }
}

/// What a ticket of a configuration is good for: the same names under the same rules for clients, their revocation lists
/// included, so that a new list ends what was allowed under the old one. A renewed certificate changes nothing.
fn fingerprint(names: &[String], rules: &ClientRules) -> [u8; 32] {
    let mut print = digest::Context::new(&digest::SHA256);
    print.update(&rules.fingerprint);
    for name in names {
        print.update(&(name.len() as u64).to_be_bytes());
        print.update(name.as_bytes());
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(print.finish().as_ref());
    fingerprint
}
