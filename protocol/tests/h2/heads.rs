//! Heads of answers, one after another on one connection: what was written before must never be taken for what is to be
//! written now.

use crate::driver::Driver;
use crate::wire::{Got, settings};
use lanner_protocol::h2::settings::Id;
use lanner_protocol::{BodyLength, ContentType, Fields};

/// Fields that are alike: of one length, with one literal, or with the same bytes in two lines instead of one.
fn apps() -> Vec<Fields> {
    let with = |first: Option<ContentType>, lines: &[(&str, &str)]| {
        let mut fields = Fields::new();
        if let Some(first) = first {
            fields.content_type(first);
        }
        for (name, value) in lines {
            fields.append(name, value).expect("a field");
        }
        fields
    };
    vec![
        with(None, &[]),
        with(Some(ContentType::TEXT), &[]),
        with(Some(ContentType::HTML), &[]),
        with(None, &[("content-type", "text/html; charset=utf-8")]),
        with(Some(ContentType::JSON), &[("cache-control", "no-store")]),
        with(Some(ContentType::JSON), &[("cache-control", "no-cache")]),
        with(None, &[("X-Frame-Options", "DENY"), ("vary", "accept")]),
        with(None, &[("vary", "accept"), ("X-Frame-Options", "DENY")]),
        with(None, &[("set-cookie", "a=b")]),
        with(None, &[("set-cookie", "a=c")]),
        with(None, &[("x-long", &"l".repeat(400))]),
        with(None, &[("x-long", &"m".repeat(400))]),
    ]
}

#[test]
fn of_ten_thousand_heads_each_says_what_it_should() {
    let mut driver = Driver::with(|limits| limits.server_header = Some("lanner".into()));
    let apps = apps();
    let mut seed = 1u32;
    let mut random = |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) % below
    };
    let mut short = 0;
    let mut stream = 1;
    let mut app = &apps[0];
    let mut status = 200;
    for _ in 0..10_000 {
        let asked = driver.wire.get(stream);
        driver.send(&asked);
        // Mostly what was there before.
        match random(40) {
            0..8 => app = &apps[random(apps.len() as u32) as usize],
            8 => status = [200, 204, 404, 418][random(4) as usize],
            9 => driver.date[23..25].copy_from_slice(format!("{:02}", random(60)).as_bytes()),
            10 if random(20) == 0 => {
                let size = [0, 100, 200, 4096][random(4) as usize];
                driver.send(&settings(&[(Id::HEADER_TABLE_SIZE, size)]));
                driver.now += std::time::Duration::from_secs(1);
            }
            _ => {}
        }
        let length = random(3) * random(30_000);
        let known = BodyLength::Known(u64::from(length));
        driver.respond_with(stream, status, app, known);
        let before = driver.output.len();
        driver.body(stream, &vec![b'x'; length as usize]);
        driver.finish(stream, None);
        short += u32::from(before < 20);
        let got = driver.got();
        let fields = got
            .iter()
            .find_map(|got| match got {
                Got::Headers { fields, .. } => Some(fields),
                _ => None,
            })
            .expect("a head");
        let date = String::from_utf8_lossy(&driver.date).into_owned();
        let mut expected = vec![
            (":status".to_owned(), status.to_string()),
            ("date".to_owned(), date),
            ("server".to_owned(), "lanner".to_owned()),
        ];
        expected.extend(app.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value).into_owned();
            (name.to_ascii_lowercase(), value)
        }));
        if status != 204 {
            expected.push(("content-length".to_owned(), length.to_string()));
        }
        assert_eq!(*fields, expected);
        let credit = lanner_protocol::h2::frame::encode_window_update;
        let mut update = Vec::new();
        if length > 0 && status != 204 {
            credit(0, length, &mut update);
            driver.send(&update);
        }
        stream += 2;
    }
    assert!(short > 3_000, "{short} heads were short");
}
