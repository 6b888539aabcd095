//! Costs against each other and against the floors: what the sockets of a server would cost without it. A floor that was not
//! well below nginx (hyper where requests are pipelined) in the same run was itself badly driven, and says nothing.

use super::recipe::Recipe;
use super::scenario::Shape;
use super::table::ratio;
use super::wire::Wire;

/// What a server's requests cost, round by round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) cpu_micros: &'a [f64],
}

impl Cost<'_> {
    /// Against another's.
    pub(crate) fn ratio(self, other: &Cost<'_>) -> f64 {
        ratio(self.cpu_micros, other.cpu_micros)
    }

    /// Against the floor of the same kind, if it is in the run.
    pub(crate) fn over_floor(self, costs: &[Cost<'_>]) -> Option<f64> {
        let floor = find(costs, self.recipe.floor()?)?;
        Some(self.ratio(floor))
    }
}

/// The rival that a floor must be below, and its cost as a share of that rival's at the most.
fn bar(shape: Shape) -> Option<(&'static str, f64)> {
    match shape {
        // No floor speaks anything else.
        Shape { wire, .. } if wire != Wire::Http1 => None,
        Shape { close: true, .. }
        | Shape {
            shares_core: true, ..
        } => None,
        Shape {
            connections: 64,
            depth: 1,
            ..
        } => Some(("nginx", 0.88)),
        Shape {
            connections: 1000,
            depth: 1,
            ..
        } => Some(("nginx", 0.85)),
        Shape {
            connections: 8000,
            depth: 1,
            ..
        } => Some(("nginx", 0.83)),
        Shape {
            connections: 64,
            depth: 16,
            ..
        } => Some(("hyper", 0.45)),
        Shape { .. } => None,
    }
}

/// Whether each floor of the run counts, where there is a bar and the rival ran too.
pub(crate) fn verdicts(costs: &[Cost<'_>], shape: Shape) -> Vec<String> {
    let Some((rival, most)) = bar(shape) else {
        return Vec::new();
    };
    let Some(rival) = find(costs, rival) else {
        return Vec::new();
    };
    let floors = costs.iter().filter(|cost| cost.recipe.is_floor());
    floors
        .map(|floor| {
            let ratio = floor.ratio(rival);
            format!(
                "{} {}: {ratio:.3} of {}, at most {most} is asked.",
                floor.recipe.name,
                match ratio <= most {
                    true => "counts",
                    false => "DOES NOT COUNT",
                },
                rival.recipe.name,
            )
        })
        .collect()
}

fn find<'a, 'b>(costs: &'a [Cost<'b>], name: &str) -> Option<&'a Cost<'b>> {
    costs.iter().find(|cost| cost.recipe.name == name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const C64: Shape = Shape::PLAIN;

    fn recipes() -> Vec<Recipe> {
        [
            "lanner-epoll",
            "floor-epoll",
            "floor-ring",
            "nginx",
            "hyper",
        ]
        .map(|name| Recipe::built_in(name, std::path::Path::new("/nowhere")).unwrap())
        .to_vec()
    }

    /// Costs of the five, the same in each round.
    fn costs<'a>(recipes: &'a [Recipe], micros: &'a [[f64; 1]; 5]) -> Vec<Cost<'a>> {
        let pairs = recipes.iter().zip(micros);
        pairs
            .map(|(recipe, cpu_micros)| Cost { recipe, cpu_micros })
            .collect()
    }

    #[test]
    fn a_server_is_compared_with_the_floor_of_its_own_kind_if_that_ran() {
        let recipes = recipes();
        let costs = costs(&recipes, &[[5.0], [4.0], [2.0], [6.0], [8.0]]);
        assert_eq!(costs[0].over_floor(&costs), Some(1.25));
        assert_eq!(costs[1].over_floor(&costs), Some(1.0));
        assert_eq!(costs[0].over_floor(&costs[..1]), None);
    }

    #[test]
    fn a_floor_counts_only_below_its_bar() {
        let recipes = recipes();
        let costs = costs(&recipes, &[[5.0], [8.7], [8.9], [10.0], [20.0]]);
        let said = verdicts(&costs, C64);
        assert_eq!(said.len(), 2);
        assert!(
            said[0].starts_with("floor-epoll counts: 0.870 of nginx"),
            "{}",
            said[0]
        );
        assert!(
            said[1].starts_with("floor-ring DOES NOT COUNT"),
            "{}",
            said[1]
        );
        let pipelined = verdicts(&costs, Shape { depth: 16, ..C64 });
        assert!(
            pipelined[0].starts_with("floor-epoll counts: 0.435 of hyper"),
            "{}",
            pipelined[0]
        );
    }

    #[test]
    fn without_a_bar_or_its_rival_there_is_no_verdict() {
        let recipes = recipes();
        let costs = costs(&recipes, &[[5.0], [4.0], [2.0], [6.0], [8.0]]);
        assert!(verdicts(&costs[..3], C64).is_empty());
        for shape in [
            Shape {
                connections: 65,
                ..C64
            },
            Shape { close: true, ..C64 },
            Shape {
                shares_core: true,
                ..C64
            },
            Shape {
                wire: Wire::Https1,
                ..C64
            },
        ] {
            assert!(verdicts(&costs, shape).is_empty(), "{shape:?}");
        }
    }
}
