//! What a reader must know to judge figures: the machine, the kernel, the date, the command.

use std::fs;
use std::process::{Command, Stdio};

use super::Plan;
use crate::arguments::command_line;

/// Sentences on it, one a line.
pub(crate) fn lines(plan: &Plan) -> Vec<String> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let mut lines = vec![
        format!(
            "Linux {}, {}.",
            kernel.trim(),
            machine(&read("/proc/cpuinfo"), &read("/proc/meminfo"))
        ),
        format!(
            "Servers on core {}, load on core {}, {} rounds of {:?} in shuffled order (seed {}).",
            plan.server_core, plan.client_core, plan.rounds, plan.time, plan.seed,
        ),
        "Used of its core: CPU time of the server's own processes, or of the generator's, as a share of the time from the \
         generator's start to its end."
            .to_owned(),
        format!(
            "Run on {}{}: `{}`",
            said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])
                .unwrap_or_else(|| "an unknown date".to_owned()),
            said("git", &["describe", "--always", "--dirty"])
                .map_or_else(String::new, |commit| format!(" at commit {commit}")),
            command(command_line())
        ),
    ];
    // The programs of one build are in one directory, with this one.
    if cfg!(debug_assertions) {
        lines.push("NOT A RELEASE BUILD: our own figures say nothing.".to_owned());
    }
    lines
}

/// The processor, how many of it, the memory, and whether all that is real.
fn machine(cpus: &str, memory: &str) -> String {
    let field = |text: &'static str| {
        move |line: &str| {
            let rest = line.strip_prefix(text)?.trim_start();
            Some(rest.strip_prefix(':')?.trim().to_owned())
        }
    };
    let model = cpus.lines().find_map(field("model name"));
    let count = cpus.lines().filter_map(field("processor")).count();
    let flags = cpus.lines().find_map(field("flags")).unwrap_or_default();
    let kib = memory.lines().find_map(field("MemTotal"));
    let kib = kib.and_then(|text| text.strip_suffix(" kB")?.parse::<f64>().ok());
    let virtually = match flags.split(' ').any(|flag| flag == "hypervisor") {
        true => ", a virtual machine",
        false => "",
    };
    format!(
        "{}, {count} logical processors, {:.1} GiB of memory{virtually}",
        model.unwrap_or_else(|| "an unknown CPU".to_owned()),
        kib.unwrap_or_default() / 1024.0 / 1024.0
    )
}

/// As a shell takes it.
fn command(words: impl Iterator<Item = String>) -> String {
    let plain =
        |character: char| character.is_ascii_alphanumeric() || "-_./=,:+@%".contains(character);
    let quoted = words.map(|word| match !word.is_empty() && word.chars().all(plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', r"'\''")),
    });
    quoted.fold("lanner-loadtest".to_owned(), |all, word| all + " " + &word)
}

/// The one line that a program says, if it is there and has one to say.
fn said(program: &str, words: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let output = command.args(words).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_told_by_its_processors_and_its_memory() {
        let cpus = "processor\t: 0\nmodel name\t: Fast 9000\nflags\t\t: fpu hypervisor sse\n\n\
                    processor\t: 1\nmodel name\t: Fast 9000\nflags\t\t: fpu hypervisor sse\n";
        let memory = "MemTotal:        8388608 kB\nMemFree: 5 kB\n";
        assert_eq!(
            machine(cpus, memory),
            "Fast 9000, 2 logical processors, 8.0 GiB of memory, a virtual machine"
        );
        assert!(!machine(&cpus.replace("hypervisor ", ""), memory).contains("virtual"));
        assert!(machine("", "").starts_with("an unknown CPU, 0 "));
    }

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let words = ["compare", "x=sh -c 'a'", "--time=2s", ""].map(str::to_owned);
        assert_eq!(
            command(words.into_iter()),
            r"lanner-loadtest compare 'x=sh -c '\''a'\''' --time=2s ''"
        );
    }
}
