//! Memory of idle connections: each server started afresh, the same connections held, everything of its processes
//! summed. One that does not answer, or does not hold them, is left out with what went wrong.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use crate::arguments::Failure;

use super::Plan;
use super::child::{Pinned, pinned_to};
use super::measured::{Absent, Measured};
use super::process_tree::{Memory, memory};
use super::recipe::Recipe;
use super::server::Server;
use super::summary::{Column, Held};
use super::table::Table;
use super::wire::{Demand, Wire};

/// How long opening the connections, or letting them go, may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Measures all servers, one after the other.
pub(crate) fn measure<'a>(
    plan: &Plan,
    recipes: &'a [Recipe],
    word: &str,
    connections: usize,
    wire: Wire,
) -> Result<Measured, Failure> {
    let demand = Demand {
        wire,
        ..Demand::PLAIN
    };
    let mut absent = Absent::default();
    let attempt = |recipe: &'a Recipe| {
        let (before, held) = measure_one(plan, recipe, connections, demand)?;
        eprintln!(
            "idle: {} {} KiB, held {} KiB",
            recipe.name, before.rss_kib, held.rss_kib
        );
        Ok((recipe.name.as_str(), before, held))
    };
    let all = absent.except(plan, recipes, demand, attempt)?;
    let (first, _, held_by_first) = &all[0];
    let mut table = Table::new(&[
        "server",
        &format!("to {first}"),
        "RSS KiB before",
        "RSS KiB held",
        "Pss KiB held",
        "growth, bytes each",
    ]);
    let mut figures = Vec::new();
    for (name, before, held) in &all {
        let growth = held.rss_kib.saturating_sub(before.rss_kib) * 1024;
        let growth = growth as f64 / connections as f64;
        figures.push(Held {
            name: (*name).to_owned(),
            rss_kib: held.rss_kib,
            growth,
        });
        table.row(vec![
            (*name).to_owned(),
            format!("{:.3}", held.rss_kib as f64 / held_by_first.rss_kib as f64),
            before.rss_kib.to_string(),
            held.rss_kib.to_string(),
            held.pss_kib.to_string(),
            format!("{growth:.0}"),
        ]);
    }
    let failure = absent.note(&mut table);
    table.note("RSS counts shared pages in each process; a server that allocates its connections at start grows less.".to_owned());
    Ok(Measured {
        table,
        column: Some(Column::of_idle(word, connections, wire, figures)),
        agreement: None,
        was_disturbed: false,
        failure,
    })
}

fn measure_one(
    plan: &Plan,
    recipe: &Recipe,
    connections: usize,
    demand: Demand,
) -> Result<(Memory, Memory), Failure> {
    let mut server = Server::start(recipe, plan, demand)?;
    let figures = hold(plan, recipe, connections, demand, &server);
    // That its connections ended with it says nothing of the client.
    server.check_alive(&recipe.name)?;
    figures
}

/// Memory without connections and with them.
fn hold(
    plan: &Plan,
    recipe: &Recipe,
    connections: usize,
    demand: Demand,
    server: &Server,
) -> Result<(Memory, Memory), Failure> {
    let before = memory(server.id());
    let program = match demand.wire {
        Wire::Http1 => "idle",
        _ => "hold",
    };
    let mut command = pinned_to(plan.client_core, plan.programs.join(program));
    command.args([
        "--addr",
        &server.address.to_string(),
        "--connections",
        &connections.to_string(),
    ]);
    if demand.wire.is_secure() {
        let certificate = plan.credentials.certificate();
        command.arg("--certificate").arg(certificate);
    }
    if demand.wire.is_http2() {
        command.arg("--http2");
    }
    // They are held until the client's standard input ends.
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = Pinned::start(
        &format!("idle connections to {}", recipe.name),
        &mut command,
    )?;
    wait_for_ready(&mut client)?;
    let held = memory(server.id());
    drop(client.child.stdin.take());
    let said = client.output(TIMEOUT)?;
    if !said.contains(&format!("held {connections}, closed by the server 0")) {
        return Err(Failure::Run(format!("{}: {}", recipe.name, said.trim())));
    }
    Ok((before, held))
}

/// Reads the client's first line, on a thread, for a pipe has no time limit. What follows it goes back to be read at the end.
fn wait_for_ready(client: &mut Pinned) -> Result<(), Failure> {
    let Some(out) = client.child.stdout.take() else {
        return Err(Failure::Run("the client has no standard output".to_owned()));
    };
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        // Unbuffered beyond the line: the client says nothing more until it is told to.
        let mut reader = BufReader::with_capacity(64, out);
        let mut line = String::new();
        let read = reader.read_line(&mut line);
        let _ = send.send((
            read.is_ok() && line.starts_with("ready"),
            reader.into_inner(),
        ));
    });
    match receive.recv_timeout(TIMEOUT) {
        Ok((ready, out)) => {
            client.child.stdout = Some(out);
            match ready {
                true => Ok(()),
                false => Err(Failure::Run(
                    "the client could not hold its connections".to_owned(),
                )),
            }
        }
        Err(_) => Err(Failure::Run(format!(
            "the connections were not open within {TIMEOUT:?}"
        ))),
    }
}
