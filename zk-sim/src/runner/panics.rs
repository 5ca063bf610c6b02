//! Panics anywhere in a run, caught by tokio or not.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Mutex, Once, PoisonError};

/// The panics of the thread that made it.
#[derive(Clone, Debug, Default)]
pub(super) struct Panics(Arc<Mutex<Vec<String>>>);

thread_local! {
    static OF_THIS_THREAD: RefCell<Option<Panics>> = const { RefCell::new(None) };
}

impl Panics {
    /// Collects the panics of this thread from now on, instead of printing them.
    /// Those of other threads are left to the hook that was there.
    pub(super) fn collect(&self) {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !note(info) {
                    before(info);
                }
            }));
        });
        OF_THIS_THREAD.set(Some(self.clone()));
    }

    /// The first, if there was any.
    pub(super) fn first(&self) -> Option<String> {
        let panics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        panics.first().cloned()
    }
}

/// Whether the panic belongs to a run.
fn note(info: &PanicHookInfo<'_>) -> bool {
    // While a thread ends its panics are nobody's.
    let panics = OF_THIS_THREAD.try_with(|panics| panics.borrow().clone());
    let Ok(Some(panics)) = panics else {
        return false;
    };
    let mut list = panics.0.lock().unwrap_or_else(PoisonError::into_inner);
    list.push(describe(info));
    true
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let place = info
        .location()
        .map_or_else(String::new, |at| format!(", {at}"));
    let trace = Backtrace::capture();
    match trace.status() {
        BacktraceStatus::Captured => format!("{message}{place}\n{trace}"),
        _ => format!("{message}{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_that_was_caught_is_known() {
        let panics = Panics::default();
        let collected = panics.clone();
        std::thread::spawn(move || {
            collected.collect();
            panic::catch_unwind(|| panic!("number {}", 7)).is_err()
        })
        .join()
        .unwrap();
        let first = panics.first().unwrap();
        assert!(first.starts_with("number 7, "), "{first}");
        assert!(first.contains("panics.rs:"), "{first}");
    }
}
