//! One table over all that was measured in a run: a row a server, a column a scenario. The tables before it have the spread,
//! the errors and how busy the cores were; this one is for reading across.

use super::floor::Cost;
use super::recipe::Recipe;
use super::scenario::{Scenario, Shape};
use super::table::{Table, median};
use super::wire::Wire;

/// One scenario's figures.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    title: String,
    /// By server's name.
    cells: Vec<(String, String)>,
}

impl Column {
    /// Microseconds a request, and how many times the floor of the same kind that is.
    pub(crate) fn of_load(shape: Shape, costs: &[Cost<'_>]) -> Self {
        let cell = |cost: &Cost<'_>| {
            let micros = median(cost.cpu_micros).unwrap_or(f64::NAN);
            match cost.over_floor(costs).filter(|_| !cost.recipe.is_floor()) {
                Some(ratio) => format!("{micros:.2} ({ratio:.2})"),
                None => format!("{micros:.2}"),
            }
        };
        Self {
            title: Scenario::Load(shape).to_string(),
            cells: costs
                .iter()
                .map(|cost| (cost.recipe.name.clone(), cell(cost)))
                .collect(),
        }
    }

    /// Bytes by which a server grew for each connection.
    pub(crate) fn of_idle(connections: usize, wire: Wire, growth: Vec<(String, f64)>) -> Self {
        let cell = |(name, bytes): (String, f64)| (name, format!("{bytes:.0}"));
        Self {
            title: format!("bytes each of {connections} idle, {}", wire.name()),
            cells: growth.into_iter().map(cell).collect(),
        }
    }

    fn cell(&self, name: &str) -> String {
        let found = self.cells.iter().find(|(of, _)| of == name);
        found.map_or_else(|| "-".to_owned(), |(_, cell)| cell.clone())
    }
}

/// The table; nothing where one scenario's own table says it all.
pub(crate) fn table(recipes: &[Recipe], columns: &[Column]) -> Option<Table> {
    if columns.len() < 2 {
        return None;
    }
    let mut head = vec!["server"];
    head.extend(columns.iter().map(|column| column.title.as_str()));
    let mut table = Table::new(&head);
    for recipe in recipes {
        let mut row = vec![recipe.name.clone()];
        row.extend(columns.iter().map(|column| column.cell(&recipe.name)));
        table.row(row);
    }
    table.note(
        "CPU us per request or handshake, in parentheses how many times the floor of the same kind; a scenario's own table says whether its \
         floors count."
            .to_owned(),
    );
    Some(table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_row_holds_a_server_over_all_scenarios() {
        let recipes = ["lanner-epoll", "floor-epoll", "may-minihttp"]
            .map(|name| Recipe::built_in(name, std::path::Path::new("/nowhere")).unwrap());
        let costs: Vec<Cost<'_>> = recipes[..2]
            .iter()
            .zip([&[5.0], &[4.0]])
            .map(|(recipe, cpu_micros)| Cost { recipe, cpu_micros })
            .collect();
        let shape = Shape {
            close: true,
            ..Shape::PLAIN
        };
        let load = Column::of_load(shape, &costs);
        let idle = Column::of_idle(8000, Wire::Http1, vec![("lanner-epoll".to_owned(), 679.6)]);
        assert!(table(&recipes, std::slice::from_ref(&load)).is_none());

        let text = table(&recipes, &[load, idle]).unwrap().to_string();
        let rows: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert!(
            rows[0].ends_with("| bytes each of 8000 idle, HTTP/1.1 |"),
            "{text}"
        );
        assert_eq!(rows[2], "| lanner-epoll | 5.00 (1.25) | 680 |");
        assert_eq!(rows[3], "| floor-epoll | 4.00 | - |");
        assert_eq!(rows[4], "| may-minihttp | - | - |");
    }
}
