//! Request heads of the mix that the budgets are counted over, and its shortest and longest alone. `httparse` finds the parts
//! of a head and judges their bytes; ours does that and decides what they mean: method, target, host, how the body ends,
//! whether the connection goes on.

use criterion::{Criterion, Throughput};
use httparse::{EMPTY_HEADER, Request, Status};
use lanner_bench::heads;
use lanner_limits::Limits;
use lanner_protocol::Head;
use std::hint::black_box;

/// As many heads as servers that use it allow by default.
const FIELDS_MAX: usize = 100;

pub(crate) fn bench(criterion: &mut Criterion) {
    let limits = crate::limits();
    // No head twice, and more of them than a branch predictor learns by heart.
    let mix: Vec<Vec<u8>> = (0..256).map(head).collect();
    let by_length = |head: &&Vec<u8>| head.len();
    let shortest = vec![mix.iter().min_by_key(by_length).unwrap().clone()];
    let longest = vec![mix.iter().max_by_key(by_length).unwrap().clone()];
    for (name, heads) in [("mix", mix), ("shortest", shortest), ("longest", longest)] {
        compare(criterion, name, &heads, &limits);
    }
}

fn head(number: u64) -> Vec<u8> {
    let mut head = Vec::new();
    heads::write(number, "GET", "/hello", "", &mut head);
    head
}

fn compare(criterion: &mut Criterion, name: &str, heads: &[Vec<u8>], limits: &Limits) {
    let bytes: usize = heads.iter().map(Vec::len).sum();
    assert_eq!(ours(heads, limits), httparse(heads), "fields of {name}");
    let mut group = criterion.benchmark_group(format!("request head/{name}"));
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("lanner", |b| b.iter(|| ours(black_box(heads), limits)));
    group.bench_function("httparse", |b| b.iter(|| httparse(black_box(heads))));
    group.finish();
}

/// How many fields there are.
fn ours(heads: &[Vec<u8>], limits: &Limits) -> usize {
    let mut head = Head::default();
    let mut fields = 0;
    for bytes in heads {
        let length = head.parse_front(bytes, limits).unwrap();
        assert_eq!(length, Some(bytes.len()));
        fields += black_box(&head).fields.len();
    }
    fields
}

fn httparse(heads: &[Vec<u8>]) -> usize {
    let mut fields = 0;
    for bytes in heads {
        let mut headers = [EMPTY_HEADER; FIELDS_MAX];
        let mut request = Request::new(&mut headers);
        let length = request.parse(bytes).unwrap();
        assert_eq!(length, Status::Complete(bytes.len()));
        fields += black_box(&request).headers.len();
    }
    fields
}
