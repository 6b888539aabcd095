//! The page, as text and in a browser: Debian's `chromium`, without a window.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output};

use crate::program::{Folder, run};
use crate::server;

const TITLE: &str = "<script>document.title = 'stolen'</script>";
const OTHER: &str = "O'Neill & <b>sons</b>";

/// The strokes of the first two runs, as they are drawn.
const STROKES: [&str; 2] = ["stroke=\"#0B5CC4\"", "stroke=\"#E0660B\""];

/// A page of two runs, in a folder.
fn page(folder: &Folder) -> String {
    let server = server::answering();
    let earlier = run(server, &["--json", "--title", OTHER]);
    folder.write("earlier.json", &earlier.out);
    let (page, earlier) = (folder.path("page.html"), folder.path("earlier.json"));
    let flags = [
        "--json",
        "--title",
        TITLE,
        "--report",
        &page,
        "--overlay",
        &earlier,
    ];
    let ended = run(server, &flags);
    assert_eq!(ended.code, 0, "{ended:?}");
    folder.read("page.html")
}

/// Whether there is a browser. In CI there has to be.
fn has_browser(test: &str) -> bool {
    let found = Command::new("chromium").arg("--version").output().is_ok();
    if !found {
        let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!ci, "chromium is not installed, and CI has it");
        // Past the test harness, which would keep it to itself.
        drop(writeln!(
            std::io::stderr(),
            "skipped {test}: chromium is not installed"
        ));
    }
    found
}

/// Opens a file of the folder, and returns what the browser printed and what it complained of.
fn browse(folder: &Folder, file: &str, flags: &[&str]) -> (String, String) {
    let mut command = Command::new("timeout");
    command.args([
        "120",
        "chromium",
        "--headless",
        "--disable-gpu",
        "--no-sandbox",
    ]);
    command.args([
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--window-size=1280,2100",
    ]);
    command.args([
        "--enable-logging=stderr",
        &format!("--user-data-dir={}", folder.path("browser")),
    ]);
    let url = format!("file://{}", folder.path(file));
    let Output {
        status,
        stdout,
        stderr,
    } = command.args(flags).arg(url).output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    assert!(status.success(), "{status}: {stderr}");
    let complaints: Vec<_> = stderr
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    (
        String::from_utf8_lossy(&stdout).into_owned(),
        complaints.join("\n"),
    )
}

#[test]
fn a_page_is_whole_in_itself_and_what_others_wrote_is_only_text_in_it() {
    let folder = Folder::new("page");
    let page = page(&folder);
    assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
    assert!(page.contains("&lt;script&gt;document.title = &#39;stolen&#39;&lt;/script&gt;"));
    assert!(page.contains("O&#39;Neill &amp; &lt;b&gt;sons&lt;/b&gt;"));
    assert!(page.contains("/hello?&lt;a&gt;"), "{page}");
    for reaching in [
        "src=", "href=", "url(", "@import", "<link", "<iframe", "xmlns",
    ] {
        assert!(
            !page.contains(reaching),
            "{reaching} reaches outside: {page}"
        );
    }
    assert_eq!(page.matches("<svg").count(), 5);
}

#[test]
fn a_browser_draws_every_plot_of_both_runs_and_has_nothing_to_complain_of() {
    let folder = Folder::new("browser");
    if !has_browser("the page in a browser") {
        return;
    }
    let text = page(&folder);
    let (dom, complaints) = browse(&folder, "page.html", &["--dump-dom"]);
    assert_eq!(complaints, "");
    let plots: Vec<_> = dom.split("<svg").skip(1).collect();
    assert_eq!(plots.len(), 5, "{dom}");
    for plot in plots {
        let plot = plot.split("</svg>").next().unwrap();
        for stroke in STROKES {
            let drawn = plot
                .split("<polyline")
                .skip(1)
                .filter(|line| line.contains(stroke));
            assert!(drawn.count() > 0, "{stroke} is not in {plot}");
        }
        assert!(plot.matches("<text").count() >= 5, "{plot}");
    }
    assert!(dom.contains("<title>&lt;script&gt;"), "{dom}");
    assert!(!dom.contains("<script") && !dom.contains("<b>"), "{dom}");

    // What a text that was not escaped would have done, that is seen above, and stopped by the page's policy.
    let unescaped = text.replacen("</h1>", &format!("{TITLE}</h1>"), 1);
    folder.write("unescaped.html", &unescaped);
    let (dom, complaints) = browse(&folder, "unescaped.html", &["--dump-dom"]);
    assert!(
        complaints.contains("Content Security Policy"),
        "{complaints}"
    );
    assert!(!dom.contains("<title>stolen"), "{dom}");
}

#[test]
fn a_page_is_light_or_dark_as_its_reader_likes() {
    let folder = Folder::new("dark");
    if !has_browser("the page in the dark") {
        return;
    }
    page(&folder);
    let shot = |scheme: &str| {
        let file = format!("{scheme}.png");
        let flags = [
            &format!("--screenshot={}", folder.path(&file)),
            &format!("--blink-settings=preferredColorScheme={scheme}"),
        ];
        let (_, complaints) = browse(&folder, "page.html", &flags.map(String::as_str));
        assert_eq!(complaints, "");
        fs::read(folder.path(&file)).unwrap()
    };
    // Blink's own numbers: 0 is dark, 1 is light.
    let (dark, light) = (shot("0"), shot("1"));
    assert!(dark.starts_with(b"\x89PNG") && light.starts_with(b"\x89PNG"));
    assert!(dark != light, "it looks the same in both");
}
