//! RFC 7541 appendix C.2 to C.6, with the table after each (C.1 is tested beside the integers).

use crate::reader::{Reader, encoder_table, hex, lines};
use lanner_protocol::hpack::{Encoder, Indexing, KnownName, StaticPair};

/// A block, its fields, the table behind it, and the table's size.
struct Example {
    block: &'static str,
    fields: &'static str,
    table: &'static str,
    table_bytes: u32,
}

const LITERAL_INTO_TABLE: Example = Example {
    block: "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
    fields: "custom-key: custom-header",
    table: "custom-key: custom-header",
    table_bytes: 55,
};

const LITERAL_OUTSIDE: Example = Example {
    block: "040c 2f73 616d 706c 652f 7061 7468",
    fields: ":path: /sample/path",
    table: "",
    table_bytes: 0,
};

const LITERAL_NEVER_INDEXED: Example = Example {
    block: "1008 7061 7373 776f 7264 0673 6563 7265 74",
    fields: "password: secret",
    table: "",
    table_bytes: 0,
};

const INDEXED: Example = Example {
    block: "82",
    fields: ":method: GET",
    table: "",
    table_bytes: 0,
};

const REQUEST_FIELDS: [&str; 3] = [
    ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com",
    ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache",
    ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com
     custom-key: custom-value",
];

const REQUEST_TABLES: [(&str, u32); 3] = [
    (":authority: www.example.com", 57),
    ("cache-control: no-cache\n:authority: www.example.com", 110),
    (
        "custom-key: custom-value\ncache-control: no-cache\n:authority: www.example.com",
        164,
    ),
];

const REQUESTS_PLAIN: [&str; 3] = [
    "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
    "8286 84be 5808 6e6f 2d63 6163 6865",
    "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
];

const REQUESTS_HUFFMAN: [&str; 3] = [
    "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
    "8286 84be 5886 a8eb 1064 9cbf",
    "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];

const RESPONSE_FIELDS: [&str; 3] = [
    ":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT
     location: https://www.example.com",
    ":status: 307\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT
     location: https://www.example.com",
    ":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT
     location: https://www.example.com\ncontent-encoding: gzip
     set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
];

/// With a table of 256 bytes, so that fields are evicted.
const RESPONSE_TABLES: [(&str, u32); 3] = [
    (
        "location: https://www.example.com\ndate: Mon, 21 Oct 2013 20:13:21 GMT
         cache-control: private\n:status: 302",
        222,
    ),
    (
        ":status: 307\nlocation: https://www.example.com\ndate: Mon, 21 Oct 2013 20:13:21 GMT
         cache-control: private",
        222,
    ),
    (
        "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1
         content-encoding: gzip\ndate: Mon, 21 Oct 2013 20:13:22 GMT",
        215,
    ),
];

const RESPONSES_PLAIN: [&str; 3] = [
    "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a
     3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
    "4803 3330 37c1 c0bf",
    "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04
     677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49
     553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
];

const RESPONSES_HUFFMAN: [&str; 3] = [
    "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e
     919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
    "4883 640e ffc1 c0bf",
    "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7
     821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed
     4ee5 b106 3d50 07",
];

fn check(reader: &mut Reader, example: &Example) {
    assert_eq!(reader.read(&hex(example.block)), lines(example.fields));
    assert_eq!(reader.table(), lines(example.table));
    assert_eq!(reader.decoder.table_bytes(), example.table_bytes);
}

fn check_all(
    blocks: [&'static str; 3],
    fields: [&'static str; 3],
    tables: [(&'static str, u32); 3],
    table_bytes_max: u32,
) {
    let mut reader = Reader::new(table_bytes_max);
    for at in 0..3 {
        let example = Example {
            block: blocks[at],
            fields: fields[at],
            table: tables[at].0,
            table_bytes: tables[at].1,
        };
        check(&mut reader, &example);
    }
}

#[test]
fn every_representation_is_read_as_in_c2() {
    for example in [
        LITERAL_INTO_TABLE,
        LITERAL_OUTSIDE,
        LITERAL_NEVER_INDEXED,
        INDEXED,
    ] {
        check(&mut Reader::new(4096), &example);
    }
}

#[test]
fn representations_tell_what_is_known_of_a_field() {
    let mut reader = Reader::new(4096);
    reader.read(&hex(LITERAL_NEVER_INDEXED.block));
    assert_eq!(
        (reader.fields[0].name, reader.fields[0].never_indexed),
        (None, true)
    );
    reader.read(&hex(LITERAL_OUTSIDE.block));
    assert_eq!(
        (reader.fields[0].name, reader.fields[0].never_indexed),
        (Some(KnownName::PATH), false)
    );
    reader.read(&hex(INDEXED.block));
    assert_eq!(reader.fields[0].pair, Some(StaticPair::METHOD_GET));
    // :authority by its index, then by the index of the field that this made.
    for block in ["41 01 61", "be"] {
        reader.read(&hex(block));
        assert_eq!(reader.fields[0].name, Some(KnownName::AUTHORITY));
        assert_eq!(reader.fields[0].pair, None);
    }
    // te, spelled out, and by the index of the field that this made.
    for block in ["40 02 7465 01 61", "be"] {
        reader.read(&hex(block));
        assert_eq!(reader.fields[0].name, Some(KnownName::TE));
    }
}

#[test]
fn requests_are_read_as_in_c3_and_c4() {
    check_all(REQUESTS_PLAIN, REQUEST_FIELDS, REQUEST_TABLES, 4096);
    check_all(REQUESTS_HUFFMAN, REQUEST_FIELDS, REQUEST_TABLES, 4096);
}

#[test]
fn responses_are_read_as_in_c5_and_c6() {
    check_all(RESPONSES_PLAIN, RESPONSE_FIELDS, RESPONSE_TABLES, 256);
    check_all(RESPONSES_HUFFMAN, RESPONSE_FIELDS, RESPONSE_TABLES, 256);
}

#[test]
fn requests_are_written_as_in_c4() {
    let mut encoder = Encoder::new(4096);
    for at in 0..3 {
        let mut out = Vec::new();
        for (name, value) in lines(REQUEST_FIELDS[at]) {
            encoder.encode_field(&name, &value, Indexing::Wanted, &mut out);
        }
        assert_eq!(out, hex(REQUESTS_HUFFMAN[at]));
        assert_eq!(encoder_table(&encoder), lines(REQUEST_TABLES[at].0));
        assert_eq!(encoder.table_bytes(), REQUEST_TABLES[at].1);
    }
}

#[test]
fn responses_are_written_as_in_c6() {
    let mut encoder = Encoder::new(256);
    // 4,096 until then, so the first block says what it is.
    let mut expected = [
        [hex("3f e101"), hex(RESPONSES_HUFFMAN[0])].concat(),
        hex(RESPONSES_HUFFMAN[1]),
        hex(RESPONSES_HUFFMAN[2]),
    ];
    // The RFC codes `307` though that is no shorter; we do not.
    expected[1].splice(1..5, hex("03 333037"));
    for at in 0..3 {
        let mut out = Vec::new();
        for (name, value) in lines(RESPONSE_FIELDS[at]) {
            encoder.encode_field(&name, &value, Indexing::Wanted, &mut out);
        }
        assert_eq!(out, expected[at]);
        assert_eq!(encoder_table(&encoder), lines(RESPONSE_TABLES[at].0));
        assert_eq!(encoder.table_bytes(), RESPONSE_TABLES[at].1);
    }
}
