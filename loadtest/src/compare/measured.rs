//! What came of a scenario, and of the servers that could not take part.

use crate::arguments::Failure;

use super::Plan;
use super::agreement::Agreement;
use super::recipe::Recipe;
use super::summary::Column;
use super::table::Table;
use super::wire::Demand;

/// What is left of a server's words in a note below a table.
const REASON_CHARS_MAX: usize = 400;

/// See the file's comment.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) table: Table,
    /// What is compared across scenarios, if there is a figure of that kind.
    pub(crate) column: Option<Column>,
    /// How far generators agree, where several sent it.
    pub(crate) agreement: Option<Agreement>,
    /// Whether others had much of the cores.
    pub(crate) was_disturbed: bool,
    /// Why there is less than was asked for.
    pub(crate) failure: Option<Failure>,
}

/// Who does not take part, and why.
#[derive(Debug, Default)]
pub(crate) struct Absent {
    /// By reason: what they cannot do, or refused to.
    unable: Vec<(String, Vec<String>)>,
    /// Those that went wrong.
    failed: Vec<String>,
    /// The first of them.
    failure: Option<Failure>,
}

impl Absent {
    /// Does this with every server of which this may be demanded; one with which it fails is left out with what it said.
    pub(crate) fn except<'a, T>(
        &mut self,
        plan: &Plan,
        recipes: &'a [Recipe],
        demand: Demand,
        mut attempt: impl FnMut(&'a Recipe) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        let mut present = Vec::new();
        for recipe in recipes {
            if let Some(objection) = recipe.objection(demand) {
                self.leave_out(&recipe.name, objection);
                continue;
            }
            match attempt(recipe) {
                Ok(value) => present.push(value),
                Err(failure) => {
                    let line = format!("{} is LEFT OUT: {}", recipe.name, reason(&failure));
                    plan.tell(&line);
                    self.failed.push(line);
                    self.fail(failure);
                }
            }
        }
        let nobody = || Failure::Run("no server is left that could do it".to_owned());
        match present.is_empty() {
            false => Ok(present),
            true => Err(self.failure.take().unwrap_or_else(nobody)),
        }
    }

    fn leave_out(&mut self, name: &str, objection: String) {
        let mut unable = self.unable.iter_mut();
        match unable.find(|(reason, _)| *reason == objection) {
            Some((_, names)) => names.push(name.to_owned()),
            None => self.unable.push((objection, vec![name.to_owned()])),
        }
    }

    /// Something went wrong; the first is what the run ends with.
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    /// Tells of all of them below a table; gives what the run ends with.
    pub(crate) fn note(self, table: &mut Table) -> Option<Failure> {
        for (reason, names) in self.unable {
            table.note(format!("Left out, {}: {reason}.", names.join(", ")));
        }
        self.failed.into_iter().for_each(|line| table.note(line));
        self.failure
    }
}

/// A failure in one line, for a note: a server may have said much before it ended.
pub(crate) fn reason(failure: &Failure) -> String {
    let text = failure.to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" / ");
    match line.char_indices().nth(REASON_CHARS_MAX) {
        None => line,
        Some((end, _)) => format!("{} ...", &line[..end]),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compare::command::plan_of;
    use crate::compare::wire::Wire;

    fn recipes() -> [Recipe; 4] {
        ["nginx", "floor-epoll", "h2o", "floor-ring"]
            .map(|name| Recipe::built_in(name, std::path::Path::new("/nowhere")).unwrap())
    }

    const SECURE: Demand = Demand {
        wire: Wire::Https1,
        ..Demand::PLAIN
    };

    #[test]
    fn one_that_fails_is_left_out_and_the_first_failure_is_kept() {
        let (plan, recipes) = (plan_of(&["--markdown", "-"]), recipes());
        let mut absent = Absent::default();
        let attempt = |recipe: &Recipe| match recipe.name.as_str() {
            "nginx" => Err(Failure::Run("nginx: wrong\nand more".to_owned())),
            name => Ok(name.to_owned()),
        };
        let present = absent.except(&plan, &recipes, SECURE, attempt).unwrap();
        assert_eq!(present, ["h2o"]);
        absent.fail(Failure::Run("later".to_owned()));
        let mut table = Table::new(&["server"]);
        let failure = absent.note(&mut table).unwrap();
        assert_eq!(failure.to_string(), "nginx: wrong\nand more");
        let text = table.to_string();
        assert!(
            text.contains("\nLeft out, floor-epoll, floor-ring: it speaks "),
            "{text}"
        );
        assert!(
            text.contains("\nnginx is LEFT OUT: nginx: wrong / and more\n"),
            "{text}"
        );
    }

    #[test]
    fn without_anybody_there_is_nothing_to_measure() {
        let (plan, recipes) = (plan_of(&["--markdown", "-"]), recipes());
        let fails = |_: &Recipe| Err::<(), _>(Failure::Run("wrong".to_owned()));
        let all = Absent::default().except(&plan, &recipes, SECURE, fails);
        assert_eq!(all.unwrap_err().to_string(), "wrong");
        let floors = Absent::default().except(&plan, &recipes[1..2], SECURE, fails);
        let said = floors.unwrap_err().to_string();
        assert!(said.starts_with("no server is left"), "{said}");
    }

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        let failure = Failure::Run("x ended\n\n  because\nof that\n".to_owned());
        assert_eq!(reason(&failure), "x ended / because / of that");
        let long = reason(&Failure::Run("é".repeat(1000)));
        assert_eq!(long.chars().count(), REASON_CHARS_MAX + 4);
    }
}
