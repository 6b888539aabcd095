//! Has the processor fetch what is about to be used, while the kernel works for somebody else: with thousands of
//! connections the next one's state lies in no near cache.

/// What is fetched together.
const LINE_BYTES: usize = 64;

/// Begins to fetch all of `value` and reads none of it. With 8,000 connections, user time a request is 0.96 us with it and
/// 1.41 without (own epoll, one run).
#[inline]
pub(super) fn prefetch<T>(value: &T) {
    let start: *const i8 = std::ptr::from_ref(value).cast();
    let into_line = start.addr() % LINE_BYTES;
    for offset in (0..into_line + size_of::<T>()).step_by(LINE_BYTES) {
        line(start.wrapping_sub(into_line).wrapping_add(offset));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn line(address: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint, which fetches or does not, and never faults whatever the address is.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address) }
}

/// Elsewhere there is no stable name for it yet.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn line(_address: *const i8) {}
