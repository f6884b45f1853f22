//! What a broken executor does when an operation is dropped while it is pending.

pub(super) struct OnCancel<F: FnMut()> {
    action: F,
    is_pending: bool,
}

impl<F: FnMut()> OnCancel<F> {
    pub(super) fn new(action: F) -> Self {
        Self { action, is_pending: true }
    }

    pub(super) fn completed(mut self) {
        self.is_pending = false;
    }
}

impl<F: FnMut()> Drop for OnCancel<F> {
    fn drop(&mut self) {
        if self.is_pending {
            (self.action)();
        }
    }
}
