//! The colours of a page. Plots are drawn in those of the light; the style sheet names what each becomes in the dark, so one
//! drawing is readable in both.

use std::fmt::Write as _;

use plotters::style::RGBColor;

/// What is drawn in a colour of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ink {
    light: [u8; 3],
    dark: [u8; 3],
}

const fn ink(light: [u8; 3], dark: [u8; 3]) -> Ink {
    Ink { light, dark }
}

/// Names on axes.
pub(super) const TEXT: Ink = ink([0x3C, 0x44, 0x50], [0xC3, 0xCA, 0xD5]);
/// Lines behind the plots.
pub(super) const GRID: Ink = ink([0xE1, 0xE5, 0xEB], [0x31, 0x38, 0x44]);
/// The lines that they end at.
pub(super) const AXIS: Ink = ink([0x9A, 0xA3, 0xB0], [0x6B, 0x75, 0x85]);
/// Behind what was not recorded.
pub(super) const SHADE: Ink = ink([0xF1, 0xF3, 0xF6], [0x1F, 0x25, 0x2E]);

/// One for each run. In this order neighbours differ in lightness too, for those who do not see their hues.
pub(super) const RUNS: [Ink; 8] = [
    ink([0x0B, 0x5C, 0xC4], [0x6F, 0xB1, 0xFF]),
    ink([0xE0, 0x66, 0x0B], [0xFF, 0xA4, 0x5C]),
    ink([0x12, 0x7A, 0x3E], [0x62, 0xD3, 0x8C]),
    ink([0xB8, 0x3A, 0xC9], [0xDF, 0x8C, 0xF0]),
    ink([0x7A, 0x1F, 0x1F], [0xFF, 0x8A, 0x80]),
    ink([0x1B, 0xA3, 0xB5], [0x5B, 0xD6, 0xE3]),
    ink([0x8A, 0x6D, 0x00], [0xE6, 0xC8, 0x4F]),
    ink([0x52, 0x5B, 0x69], [0xAE, 0xB7, 0xC4]),
];

impl Ink {
    /// What plots are drawn in.
    pub(super) fn color(self) -> RGBColor {
        let [red, green, blue] = self.light;
        RGBColor(red, green, blue)
    }
}

/// The part of a style sheet that says what the colours of drawings are, in the light and in the dark.
pub(super) fn style() -> String {
    let named = [
        ("text", TEXT),
        ("grid", GRID),
        ("axis", AXIS),
        ("shade", SHADE),
    ];
    let named = named.map(|(name, ink)| (name.to_owned(), ink));
    let runs = RUNS.iter().enumerate();
    let runs = runs.map(|(index, ink)| (format!("run-{index}"), *ink));
    let inks: Vec<_> = named.into_iter().chain(runs).collect();
    let (mut light, mut dark, mut rules) = (String::new(), String::new(), String::new());
    for (name, ink) in inks {
        let (drawn, in_dark) = (hex(ink.light), hex(ink.dark));
        let _ = write!(light, "--{name}:{drawn};");
        let _ = write!(dark, "--{name}:{in_dark};");
        for property in ["stroke", "fill"] {
            let _ = writeln!(
                rules,
                "svg [{property}=\"{drawn}\"]{{{property}:var(--{name})}}"
            );
        }
    }
    format!(":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{rules}")
}

/// As SVG's backend writes colours.
fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_inks_are_drawn_alike() {
        let others = [TEXT, GRID, AXIS, SHADE];
        let drawn: HashSet<_> = RUNS.iter().chain(&others).map(|ink| ink.light).collect();
        assert_eq!(drawn.len(), RUNS.len() + others.len());
    }

    /// WCAG 2.2, relative luminance and contrast ratio.
    fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
        let luminance = |color: [u8; 3]| {
            let [red, green, blue] = color.map(|part| {
                let part = f64::from(part) / 255.0;
                if part <= 0.04045 {
                    part / 12.92
                } else {
                    ((part + 0.055) / 1.055).powf(2.4)
                }
            });
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn every_run_is_seen_on_both_grounds_and_text_is_read() {
        let (white, black) = ([0xFF; 3], [0x14, 0x18, 0x1F]);
        // WCAG 2.2: 3 for what is drawn (1.4.11), 4.5 for text (1.4.3).
        for ink in RUNS {
            assert!(contrast(ink.light, white) >= 3.0, "{ink:?}");
            assert!(contrast(ink.dark, black) >= 3.0, "{ink:?}");
        }
        assert!(contrast(TEXT.light, white) >= 4.5 && contrast(TEXT.dark, black) >= 4.5);
    }
}
