//! Tables over all that was measured in a run: a row a server, a column a scenario. The tables of the scenarios have the
//! spread, the errors and how busy the cores were; these are for reading across.

use super::floor::Cost;
use super::recipe::Recipe;
use super::scenario::{Scenario, Shape};
use super::table::{Table, median, ratio};
use super::wire::Wire;

/// One scenario's figures.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// How it was asked for.
    word: String,
    /// What it is.
    title: String,
    figures: Vec<Figure>,
}

/// One server's figure in a scenario.
#[derive(Clone, Debug)]
struct Figure {
    name: String,
    /// What is compared, round by round.
    rounds: Vec<f64>,
    /// As it is shown.
    cell: String,
}

/// A server's memory with idle connections.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) name: String,
    pub(crate) rss_kib: u64,
    /// Bytes by which it grew for each connection.
    pub(crate) growth: f64,
}

impl Column {
    /// Microseconds a request, and how many times the floor of the same kind that is.
    pub(crate) fn of_load(word: &str, shape: Shape, costs: &[Cost<'_>]) -> Self {
        let cell = |cost: &Cost<'_>| {
            let micros = median(cost.cpu_micros).unwrap_or(f64::NAN);
            match cost.over_floor(costs).filter(|_| !cost.recipe.is_floor()) {
                Some(ratio) => format!("{micros:.2} ({ratio:.2})"),
                None => format!("{micros:.2}"),
            }
        };
        let figures = costs.iter().map(|cost| Figure {
            name: cost.recipe.name.clone(),
            rounds: cost.cpu_micros.to_vec(),
            cell: cell(cost),
        });
        Self {
            word: word.to_owned(),
            title: format!("{}, CPU us per {}", Scenario::Load(shape), shape.unit()),
            figures: figures.collect(),
        }
    }

    /// All of a server's memory while it holds connections, and bytes by which it grew for each.
    pub(crate) fn of_idle(word: &str, connections: usize, wire: Wire, held: Vec<Held>) -> Self {
        let figures = held.into_iter().map(|held| Figure {
            rounds: vec![held.rss_kib as f64],
            cell: format!("{} ({:.0})", held.rss_kib, held.growth),
            name: held.name,
        });
        Self {
            word: word.to_owned(),
            title: format!(
                "{}, RSS in KiB (growth in bytes each)",
                Scenario::Idle { connections, wire }
            ),
            figures: figures.collect(),
        }
    }

    fn figure(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }
}

/// The table of costs; nothing where nothing was measured.
pub(crate) fn table(recipes: &[Recipe], columns: &[Column]) -> Option<Table> {
    let cell = |column: &Column, name: &str| Some(column.figure(name)?.cell.clone());
    let mut table = tabulate(recipes, columns, cell)?;
    for column in columns {
        table.note(format!("{}: {}.", column.word, column.title));
    }
    table.note(
        "In parentheses behind CPU time: how many times the floor of the same kind; a scenario's own table says whether its \
         floors count. Every ratio is the median of the ratios within the rounds, so it is not that of the medians."
            .to_owned(),
    );
    Some(table)
}

/// What each of ours costs, as a share of what the others cost: below one is less. Where none is ours, the first that was
/// measured is taken.
pub(crate) fn shares(recipes: &[Recipe], columns: &[Column]) -> Vec<(String, Table)> {
    let mut own: Vec<&Recipe> = recipes.iter().filter(|recipe| recipe.is_lanner()).collect();
    if own.is_empty() {
        let is_measured = |recipe: &&Recipe| {
            let mut figures = columns.iter().map(|column| column.figure(&recipe.name));
            figures.any(|figure| figure.is_some())
        };
        own.extend(recipes.iter().find(is_measured));
    }
    let shares = own.into_iter().filter_map(|own| {
        let is_other = |recipe: &&Recipe| recipe.name != own.name;
        // What the sockets of another kind cost is no bar for this one.
        let is_bar = |recipe: &Recipe| {
            !recipe.is_floor() || own.floor().is_none_or(|floor| floor == recipe.name)
        };
        let is_rival = |recipe: &&Recipe| is_other(recipe) && !recipe.is_lanner() && is_bar(recipe);
        let mut others: Vec<Recipe> = recipes.iter().filter(is_rival).cloned().collect();
        if others.is_empty() {
            others = recipes.iter().filter(is_other).cloned().collect();
        }
        let cell = |column: &Column, name: &str| {
            let [own, other] = [&own.name, name].map(|name| column.figure(name));
            Some(format!("{:.2}", ratio(&own?.rounds, &other?.rounds)))
        };
        Some((own.name.clone(), tabulate(&others, columns, cell)?))
    });
    shares.collect()
}

/// A row a server, a column a scenario.
fn tabulate(
    recipes: &[Recipe],
    columns: &[Column],
    cell: impl Fn(&Column, &str) -> Option<String>,
) -> Option<Table> {
    if columns.is_empty() || recipes.is_empty() {
        return None;
    }
    let mut head = vec!["server"];
    head.extend(columns.iter().map(|column| column.word.as_str()));
    let mut table = Table::new(&head);
    for recipe in recipes {
        let mut row = vec![recipe.name.clone()];
        let cells = columns.iter().map(|column| cell(column, &recipe.name));
        row.extend(cells.map(|cell| cell.unwrap_or_else(|| "-".to_owned())));
        table.row(row);
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rows(table: &Table) -> Vec<String> {
        let text = table.to_string();
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        text.lines().map(words).collect()
    }

    fn recipes() -> [Recipe; 4] {
        ["lanner-epoll", "lanner-uring", "floor-epoll", "nginx"]
            .map(|name| Recipe::built_in(name, std::path::Path::new("/nowhere")).unwrap())
    }

    fn columns(recipes: &[Recipe]) -> [Column; 2] {
        let rounds = [[5.0, 10.0, 5.0], [4.0, 8.0, 4.0], [4.0, 8.0, 4.0]];
        let costs: Vec<Cost<'_>> = recipes
            .iter()
            .zip(&rounds)
            .map(|(recipe, cpu_micros)| Cost { recipe, cpu_micros })
            .collect();
        let shape = Shape {
            close: true,
            ..Shape::PLAIN
        };
        let held = |name: &str, rss_kib, growth| Held {
            name: name.to_owned(),
            rss_kib,
            growth,
        };
        let held = vec![
            held("lanner-epoll", 9000, 679.6),
            held("nginx", 18_000, 526.0),
        ];
        [
            Column::of_load("close", shape, &costs),
            Column::of_idle("idle8000", 8000, Wire::Http1, held),
        ]
    }

    #[test]
    fn a_row_holds_a_server_over_all_scenarios() {
        let recipes = recipes();
        assert!(table(&recipes, &[]).is_none());
        let table = table(&recipes, &columns(&recipes)).unwrap();
        let rows = rows(&table);
        assert_eq!(rows[0], "| server | close | idle8000 |");
        assert_eq!(rows[2], "| lanner-epoll | 5.00 (1.25) | 9000 (680) |");
        assert_eq!(rows[4], "| floor-epoll | 4.00 | - |");
        assert_eq!(rows[5], "| nginx | - | 18000 (526) |");
        let notes = table.to_string();
        assert!(notes.contains("close: Connection: close, 64 at once, CPU us per request."));
    }

    #[test]
    fn each_of_ours_is_told_as_a_share_of_every_rival() {
        let recipes = recipes();
        let columns = columns(&recipes);
        let shares = shares(&recipes, &columns);
        let names: Vec<&str> = shares.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["lanner-epoll", "lanner-uring"]);
        let epoll = rows(&shares[0].1);
        assert_eq!(
            epoll[2..],
            ["| floor-epoll | 1.25 | - |", "| nginx | - | 0.50 |"]
        );
        let uring = rows(&shares[1].1);
        assert_eq!(
            uring[2..],
            ["| nginx | - | - |"],
            "the floor of another kind is none of its own"
        );
    }

    #[test]
    fn without_rivals_ours_are_compared_and_without_ours_the_first_is() {
        let recipes = recipes();
        let columns = columns(&recipes);
        let own = shares(&recipes[..2], &columns);
        assert_eq!(rows(&own[0].1)[2], "| lanner-uring | 1.25 | - |");
        let others = shares(&recipes[2..], &columns);
        assert_eq!(others.len(), 1);
        assert_eq!(others[0].0, "floor-epoll");
        let unmeasured = Recipe::read("x=sh {port}", std::path::Path::new("/nowhere")).unwrap();
        let behind = [unmeasured, recipes[2].clone(), recipes[3].clone()];
        assert_eq!(shares(&behind, &columns)[0].0, "floor-epoll");
        assert!(shares(&recipes[..1], &columns).is_empty());
    }
}
