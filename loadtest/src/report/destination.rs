//! Where reports go, as the command line says. Files are opened and those to be overlaid read before the run begins: nobody
//! learns after an hour that a folder was not there.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};

use super::csv::csv;
use super::hgrm::hgrm;
use super::page::{self, page};
use super::record::{FILE_BYTES_MAX, Record};
use super::text::Text;
use crate::arguments::{Arguments, Failure};

/// Makes a file's content.
type Format = fn(&Record, &[Record]) -> String;

/// Each flag that names a file, and what is written there.
const FILES: [(&str, Format); 3] = [
    ("csv", |record, _| csv(record)),
    ("hgrm", |record, _| hgrm(record)),
    ("report", page),
];

/// See the file's comment.
#[derive(Debug)]
pub struct Destinations {
    title: Option<String>,
    is_json: bool,
    files: Vec<Destination>,
    overlays: Vec<Record>,
}

#[derive(Debug)]
struct Destination {
    path: String,
    file: File,
    format: Format,
}

impl Destinations {
    /// Reads the command line, and opens what it names.
    ///
    /// # Errors
    /// A file cannot be written, or one to be overlaid cannot be read.
    pub fn open(arguments: &Arguments) -> Result<Self, Failure> {
        let named: Vec<_> = FILES
            .iter()
            .filter_map(|(flag, format)| Some((*flag, arguments.text(flag)?, *format)))
            .collect();
        let overlays: Vec<_> = arguments.texts("overlay").collect();
        judge(&named, &overlays)?;
        // Read first: where one is wrong, no file is made.
        let overlays = overlays.into_iter().map(read_overlay);
        let overlays = overlays.collect::<Result<_, _>>()?;
        let files = named
            .into_iter()
            .map(|(_, path, format)| Destination::open(path, format));
        Ok(Self {
            title: arguments.text("title").map(str::to_owned),
            is_json: arguments.switch("json"),
            files: files.collect::<Result<_, _>>()?,
            overlays,
        })
    }

    /// What the run is to be called.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Whether standard output is for machines.
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// Prints a run and writes all its files; one that cannot be written keeps no other from it.
    ///
    /// # Errors
    /// What could not be written.
    pub fn write(&self, record: &Record) -> Result<(), Failure> {
        let mut failures = Vec::new();
        for destination in &self.files {
            let text = (destination.format)(record, &self.overlays);
            if let Err(error) = destination.write(&text) {
                failures.push(format!("{}: {error}", destination.path));
            }
        }
        let text = if self.is_json {
            record.json() + "\n"
        } else {
            Text(record).to_string()
        };
        if let Err(error) = io::stdout().write_all(text.as_bytes()) {
            failures.push(format!("standard output: {error}"));
        }
        if failures.is_empty() {
            return Ok(());
        }
        Err(Failure::Run(format!("writing {}", failures.join("; "))))
    }
}

/// Refuses what contradicts itself.
fn judge(named: &[(&str, &str, Format)], overlays: &[&str]) -> Result<(), Failure> {
    if !overlays.is_empty() && !named.iter().any(|(flag, ..)| *flag == "report") {
        let text = "--overlay draws on the page that --report writes: name one";
        return Err(Failure::Usage(text.to_owned()));
    }
    if overlays.len() >= page::RUNS_MAX {
        let most = page::RUNS_MAX - 1;
        let text = format!("--overlay: at most {most} runs are told apart beside the new one");
        return Err(Failure::Usage(text));
    }
    for (index, (flag, path, _)) in named.iter().enumerate() {
        if named[..index].iter().any(|(_, other, _)| other == path) {
            let text = format!("--{flag} {path}: another report goes to that file");
            return Err(Failure::Usage(text));
        }
        if overlays.contains(path) {
            let text = format!("--{flag} {path}: that file is to be read for --overlay");
            return Err(Failure::Usage(text));
        }
    }
    Ok(())
}

impl Destination {
    fn open(path: &str, format: Format) -> Result<Self, Failure> {
        // What stands in it stays until there is something better.
        let options = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        Ok(Self {
            path: path.to_owned(),
            file: options.map_err(Failure::of(path))?,
            format,
        })
    }

    fn write(&self, text: &str) -> io::Result<()> {
        // A pipe has no length.
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        (&self.file).write_all(text.as_bytes())
    }
}

fn read_overlay(path: &str) -> Result<Record, Failure> {
    let file = File::open(path).map_err(Failure::of(path))?;
    let mut text = String::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(Failure::of(path))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let text = format!("{path}: no report of ours has more than {FILE_BYTES_MAX} bytes");
        return Err(Failure::Run(text));
    }
    Record::read(&text).map_err(|error| Failure::Run(format!("{path}: {error}")))
}
