//! From settings and machine to limits: which setting wins, what is wrong with them, and where each value comes from.
//! Reading the environment and the command line is the engine's business; what a value may be is said in `knob.rs`.

use crate::choice::Protocols;
use crate::knob::{KNOBS, Limits};
use crate::listener::settings::{Judged, ListenerSettings};
use crate::machine::{CONNECTIONS_AUTO_MIN, Machine};
use crate::mistake::{Mistake, Mistakes, value_mistake};
use crate::name::{self, Meaning};
use crate::relations;
use std::fmt;

/// Where a setting comes from. Of two for one knob the later source wins; of one source, the later setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The table of knobs.
    Default,
    /// An environment variable.
    Environment,
    /// An argument.
    CommandLine,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Default => "default",
            Source::Environment => "environment",
            Source::CommandLine => "command line",
        })
    }
}

/// One name with one value, as somebody wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
    /// Who wrote it.
    pub source: Source,
}

/// One value in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The variable that sets it.
    pub variable: String,
    /// Its dotted path.
    pub path: String,
    /// The value, as one would write it; a number where `auto` was resolved to one.
    pub value: String,
    /// Whether it was worked out from the machine.
    pub automatic: bool,
    /// Who chose it.
    pub source: Source,
}

/// Limits, and how they came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The limits.
    pub limits: Limits,
    /// Each value with its source: the knobs in the order of the table, then what listeners have of their own. `listen` is left out where
    /// its default is not in effect because listeners are named.
    pub effective: Vec<Effective>,
    /// What somebody may want to know although nothing is wrong.
    pub notices: Vec<String>,
}

impl Limits {
    /// The limits that `settings` ask for on `machine`, or everything that is wrong with them. Settings are pairs whose
    /// names begin with `LANNER_` in the environment, and whatever `--set` was given on the command line.
    ///
    /// # Errors
    /// Unknown names, values that are no values or out of range, and values that contradict one another or the machine.
    pub fn resolve(
        settings: impl IntoIterator<Item = Setting>,
        machine: Machine,
    ) -> Result<Resolved, Mistakes> {
        let mut resolving = Resolving::new();
        for setting in settings {
            resolving.choose(setting);
        }
        resolving.assign();
        resolving.limits.fill_automatic(machine);
        resolving.judge_descriptors(machine);
        resolving.make_listeners();
        resolving.judge_relations();
        resolving.finish()
    }
}

/// The work under way. Knobs are known by their place in the table.
struct Resolving {
    limits: Limits,
    /// For each knob the setting that wins.
    chosen: Vec<Option<Setting>>,
    /// What listeners have of their own.
    settings: ListenerSettings,
    /// Its values.
    properties: Vec<Effective>,
    /// For each knob whether its setting was wrong, so that what follows from it is not complained about as well.
    wrong: Vec<bool>,
    /// For each knob whether it said `auto` before the machine was asked.
    was_auto: Vec<bool>,
    mistakes: Vec<Mistake>,
    notices: Vec<String>,
}

impl Resolving {
    fn new() -> Resolving {
        Resolving {
            limits: Limits::unfilled(),
            chosen: vec![None; KNOBS.len()],
            settings: ListenerSettings::default(),
            properties: Vec::new(),
            wrong: vec![false; KNOBS.len()],
            was_auto: vec![false; KNOBS.len()],
            mistakes: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Takes note of a setting, unless a stronger one was seen.
    fn choose(&mut self, setting: Setting) {
        match name::meaning(&setting.name, setting.source) {
            Meaning::Knob(place) => {
                let weaker = self.chosen[place].as_ref().is_none_or(|chosen| chosen.source <= setting.source);
                if weaker {
                    self.chosen[place] = Some(setting);
                }
            }
            Meaning::Property(key) => self.settings.choose(key, setting),
            Meaning::Injected => self.notices.push(format!(
                "{} is ignored: Kubernetes sets such variables for a Service named lanner (enableServiceLinks: false stops it)",
                setting.name
            )),
            Meaning::Unknown(nearest) => {
                self.mistake(&setting.name, format!("{} is not a setting; the nearest is {nearest}", setting.name));
            }
            Meaning::BadListenerName(expected) => {
                self.mistake(&setting.name, format!("{} does not name a listener; expected {expected}", setting.name));
            }
            Meaning::BadHostNumber(expected) => {
                self.mistake(&setting.name, format!("{} does not number a host; expected {expected}", setting.name));
            }
        }
    }

    /// Turns the chosen settings into values.
    fn assign(&mut self) {
        for (place, knob) in KNOBS.iter().enumerate() {
            if let Some(setting) = &self.chosen[place]
                && let Err(wrong) = (knob.assign)(&mut self.limits, setting.value.trim())
            {
                self.mistakes
                    .push(value_mistake(setting, &wrong, &knob.range()));
                self.wrong[place] = true;
            }
            self.was_auto[place] = knob.value(&self.limits) == "auto";
        }
    }

    /// Whether the machine has descriptors for the connections: promising more than it can hold would show only under
    /// attack.
    fn judge_descriptors(&mut self, machine: Machine) {
        if self.is_wrong("workers") || self.is_wrong("max_connections") {
            return;
        }
        let Limits {
            workers,
            max_connections,
            ..
        } = self.limits;
        let room = machine.connections_by_descriptors(workers);
        if max_connections as u64 <= room {
            return;
        }
        let name = self.spelling("max_connections");
        let automatic = self
            .chosen_for("max_connections")
            .is_none_or(|setting| setting.value.trim() == "auto");
        let problem = if automatic {
            format!(
                "{name} cannot be worked out: at least {CONNECTIONS_AUTO_MIN} connections must be possible"
            )
        } else {
            format!("{name}={max_connections} is more than this machine can hold")
        };
        let text = format!(
            "{problem}, but RLIMIT_NOFILE={} with LANNER_WORKERS={workers} leaves descriptors for {room}; raise \
             RLIMIT_NOFILE, or lower LANNER_WORKERS",
            machine.nofile
        );
        self.mistake(&name, text);
    }

    /// What single values cannot tell.
    fn judge_relations(&mut self) {
        for broken in relations::broken(&self.limits) {
            if broken.knobs.iter().any(|knob| self.is_wrong(knob)) {
                continue;
            }
            let pair: Vec<String> = broken.knobs.iter().map(|field| self.shown(field)).collect();
            let name = self.spelling(broken.knobs[0]);
            self.mistake(&name, format!("{}: {}", pair.join(", "), broken.rule));
        }
        for idle in relations::without_effect(&self.limits) {
            if self.chosen_for(idle.knob).is_some() {
                self.notices.push(format!(
                    "{} has no effect without {}",
                    self.spelling(idle.knob),
                    self.spelling(idle.needs)
                ));
            }
        }
        self.notice_unspoken();
    }

    /// Makes the listeners of what they have in common, which is judged by now, and of their own properties.
    fn make_listeners(&mut self) {
        let of_tls = KNOBS.iter().zip(&self.wrong);
        let judged = Judged {
            listen: !self.is_wrong("listen"),
            tls: !of_tls
                .into_iter()
                .any(|(knob, wrong)| *wrong && knob.name.starts_with("tls_")),
        };
        let made = self.settings.make(&self.limits, &judged);
        self.limits.listeners = made.listeners;
        self.properties = made.effective;
        self.mistakes.extend(made.mistakes);
        self.notices.extend(made.notices);
    }

    /// What is said for a protocol that no listener speaks.
    fn notice_unspoken(&mut self) {
        let listeners = &self.limits.listeners;
        let secure = listeners.iter().any(|listener| listener.tls.is_some());
        let h2 = listeners
            .iter()
            .any(|listener| listener.protocols != Protocols::Http1);
        for (family, spoken, protocol) in
            [("tls_", secure, "TLS (https://)"), ("h2_", h2, "HTTP/2")]
        {
            for (place, knob) in KNOBS.iter().enumerate() {
                if !spoken && knob.name.starts_with(family) && self.chosen[place].is_some() {
                    let name = self.spelling(knob.name);
                    self.notices.push(format!(
                        "{name} has no effect: no listener speaks {protocol}"
                    ));
                }
            }
        }
    }

    fn finish(self) -> Result<Resolved, Mistakes> {
        if let Some(mistakes) = Mistakes::unless_empty(self.mistakes) {
            return Err(mistakes);
        }
        let mut effective = Vec::new();
        for (place, knob) in KNOBS.iter().enumerate() {
            if knob.name == "listen" && self.limits.listen.is_empty() && !self.settings.is_empty() {
                continue;
            }
            let value = knob.value(&self.limits);
            effective.push(Effective {
                variable: knob.variable.to_owned(),
                path: knob.path.to_owned(),
                // The word of a driver stays; that of a number has given way to one.
                automatic: self.was_auto[place] && value != "auto",
                value,
                source: self.chosen[place]
                    .as_ref()
                    .map_or(Source::Default, |setting| setting.source),
            });
        }
        effective.extend(self.properties);
        Ok(Resolved {
            limits: self.limits,
            effective,
            notices: self.notices,
        })
    }

    fn mistake(&mut self, name: &str, text: String) {
        self.mistakes.push(Mistake {
            name: name.to_owned(),
            text,
        });
    }

    fn chosen_for(&self, field: &str) -> Option<&Setting> {
        self.chosen[place(field)].as_ref()
    }

    fn is_wrong(&self, field: &str) -> bool {
        self.wrong[place(field)]
    }

    /// A knob's name as its setting spells it, else its variable.
    fn spelling(&self, field: &str) -> String {
        let place = place(field);
        self.chosen[place].as_ref().map_or_else(
            || KNOBS[place].variable.to_owned(),
            |setting| setting.name.clone(),
        )
    }

    /// A knob with its value.
    fn shown(&self, field: &str) -> String {
        format!(
            "{}={}",
            self.spelling(field),
            KNOBS[place(field)].value(&self.limits)
        )
    }
}

/// Where a field is in the table. Fields named in this crate are in it: `relations.rs` tests its own.
fn place(field: &str) -> usize {
    KNOBS
        .iter()
        .position(|knob| knob.name == field)
        .expect("fields named here are in the table")
}
