//! A value that one thread exchanges and many read: reading costs a look at a number that hardly ever changes, so
//! workers do not contend for it, and whoever read it keeps what they read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The value of the moment.
#[derive(Debug)]
pub(crate) struct Published<T> {
    /// How often it was exchanged. Raised after the exchange, so who sees the number finds the value.
    exchanges: AtomicU64,
    current: Mutex<Arc<T>>,
}

impl<T> Published<T> {
    pub(crate) fn new(value: T) -> Published<T> {
        Published {
            exchanges: AtomicU64::new(0),
            current: Mutex::new(Arc::new(value)),
        }
    }

    /// Puts another value in its place.
    pub(crate) fn exchange(&self, value: T) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
        self.exchanges.fetch_add(1, Ordering::Release);
    }

    fn load(&self) -> Arc<T> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }
}

/// One worker's view of it.
#[derive(Debug)]
pub(crate) struct Reader<T> {
    published: Arc<Published<T>>,
    /// How often it had been exchanged before `current` was read.
    seen: u64,
    current: Arc<T>,
}

impl<T> Reader<T> {
    pub(crate) fn new(published: Arc<Published<T>>) -> Reader<T> {
        let seen = published.exchanges.load(Ordering::Acquire);
        let current = published.load();
        Reader {
            published,
            seen,
            current,
        }
    }

    /// The value of this moment: asked once for each connection.
    pub(crate) fn current(&mut self) -> &Arc<T> {
        let exchanges = self.published.exchanges.load(Ordering::Acquire);
        if exchanges != self.seen {
            self.seen = exchanges;
            self.current = self.published.load();
        }
        &self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_each_exchange_and_keeps_what_it_read() {
        let published = Arc::new(Published::new(1));
        let mut reader = Reader::new(published.clone());
        let first = reader.current().clone();
        assert!(Arc::ptr_eq(&first, reader.current()));
        published.exchange(2);
        published.exchange(3);
        assert_eq!((**reader.current(), *first), (3, 1));
        assert_eq!(**Reader::new(published).current(), 3);
    }
}
