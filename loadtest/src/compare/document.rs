//! A run as one document of Markdown: ratios first, then what they are made of, then what a reader must know to judge them.

use std::fmt::{self, Write};
use std::fs;

use crate::arguments::Failure;

use super::agreement::{self, Agreement};
use super::recipe::Recipe;
use super::scenario::NOT_HERE;
use super::summary::{self, Column};
use super::{Markdown, Plan};

/// What has been measured so far.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// Machine, command and date.
    pub(crate) circumstances: Vec<String>,
    /// The scenarios during which others had much of the cores.
    pub(crate) disturbed: Vec<String>,
    /// A line each: what it is, in which version.
    pub(crate) servers: Vec<String>,
    /// Likewise.
    pub(crate) generators: Vec<String>,
    /// What was not measured, a line each.
    pub(crate) left_out: Vec<String>,
    /// One of each scenario that is compared across.
    pub(crate) columns: Vec<Column>,
    /// Where several generators sent a scenario.
    pub(crate) agreements: Vec<Agreement>,
    /// A heading, and the table with its notes or what went wrong.
    pub(crate) sections: Vec<(String, String)>,
}

impl Document {
    /// Writes it where it is to go, anew each time: a run that is ended early leaves what it had.
    pub(crate) fn write(&self, plan: &Plan, recipes: &[Recipe]) -> Result<(), Failure> {
        let Some(Markdown::File(path)) = &plan.markdown else {
            return Ok(());
        };
        let place = path.display().to_string();
        fs::write(path, self.text(recipes)).map_err(Failure::of(&place))
    }

    /// All of it.
    pub(crate) fn text(&self, recipes: &[Recipe]) -> String {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = self.render(recipes, &mut text);
        text
    }

    fn render(&self, recipes: &[Recipe], out: &mut String) -> fmt::Result {
        out.write_str("# Servers side by side\n")?;
        for line in &self.circumstances {
            write!(out, "\n{line}\n")?;
        }
        if !self.disturbed.is_empty() {
            let scenarios = self.disturbed.join(", ");
            write!(
                out,
                "\nTHE MACHINE WAS NOT QUIET during {scenarios}: others had more than a tenth of a core in some round, as the notes \
                 below each table tell. Rates and latencies of those rounds say little.\n"
            )?;
        }
        let shares = summary::shares(recipes, &self.columns);
        if !shares.is_empty() {
            out.write_str("\n## Ratios\n")?;
        }
        for (name, table) in shares {
            write!(
                out,
                "\n### What {name} costs, as a share of what others do\n\n{table}"
            )?;
        }
        if let Some(table) = summary::table(recipes, &self.columns) {
            write!(out, "\n## Costs\n\n{table}")?;
        }
        if let Some(table) = agreement::ratios(&self.agreements) {
            write!(out, "\n## How the generators agree\n\n{table}")?;
            for agreement in &self.agreements {
                let heading = agreement.heading();
                let figures = agreement.figures();
                write!(out, "\n### Generators on {heading}\n\n{figures}")?;
            }
        }
        out.write_str("\n## Servers and generators\n\n")?;
        for line in self.servers.iter().chain(&self.generators) {
            writeln!(out, "- {line}")?;
        }
        out.write_str("\n## Scenarios\n\nNot measured:\n\n")?;
        for line in self.left_out.iter().map(String::as_str).chain(NOT_HERE) {
            writeln!(out, "- {line}")?;
        }
        for (heading, body) in &self.sections {
            write!(out, "\n### {heading}\n\n{body}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;
    use crate::compare::command::plan_of;
    use crate::compare::directory::Directory;
    use crate::compare::floor::Cost;
    use crate::compare::scenario::Shape;

    #[test]
    fn ratios_come_before_costs_and_everything_else_behind() {
        let recipes = ["lanner-epoll", "nginx"]
            .map(|name| Recipe::built_in(name, Path::new("/nowhere")).unwrap());
        let rounds = [[4.0, 4.0], [5.0, 5.0]];
        let costs: Vec<Cost<'_>> = recipes
            .iter()
            .zip(&rounds)
            .map(|(recipe, cpu_micros)| Cost { recipe, cpu_micros })
            .collect();
        let document = Document {
            circumstances: vec!["Linux 9.".to_owned()],
            disturbed: vec!["plain".to_owned()],
            servers: vec!["nginx: 1.2".to_owned()],
            generators: vec!["wrk 4".to_owned()],
            left_out: vec!["mixed: LEFT OUT".to_owned()],
            columns: vec![Column::of_load("plain", Shape::PLAIN, &costs)],
            agreements: Vec::new(),
            sections: vec![("plain".to_owned(), "| a |\n".to_owned())],
        };
        let text = document.text(&recipes);
        let places = [
            "Linux 9.",
            "THE MACHINE WAS NOT QUIET during plain: ",
            "## Ratios",
            "### What lanner-epoll costs",
            "0.80",
            "## Costs",
            "5.00",
            "- nginx: 1.2\n- wrk 4\n",
            "- mixed: LEFT OUT\n- Static files of 1 KiB, 100 KiB and 10 MiB, and a reverse proxy, have no scenario",
            "### plain\n\n| a |\n",
        ]
        .map(|part| {
            text.find(part)
                .unwrap_or_else(|| panic!("{part} is not in {text}"))
        });
        assert!(places.is_sorted(), "{places:?} {text}");
        assert!(!text.contains("What nginx costs"), "{text}");

        let directory = Directory::make("document").unwrap();
        let path = directory.path().join("results.md");
        let plan = plan_of(&["--markdown", &path.display().to_string()]);
        document.write(&plan, &recipes).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        let plan = plan_of(&["--markdown", "/nowhere/at/all.md"]);
        let error = document.write(&plan, &recipes).unwrap_err().to_string();
        assert!(error.contains("/nowhere/at/all.md"), "{error}");
    }
}
