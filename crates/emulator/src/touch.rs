//! Who touches the key when it waits for it.

use std::collections::VecDeque;

use crate::clock::Milliseconds;

/// What happens when a challenge waits for a touch.
///
/// Whatever the policy, [`VirtualKey::touch`](crate::VirtualKey::touch) touches by hand, except
/// under [`TouchPolicy::Never`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum TouchPolicy {
    /// Somebody calls `touch()`, or the wait ends by itself.
    #[default]
    Manual,
    /// Nobody is there; `touch()` is refused too.
    Never,
    /// A finger comes down so long after the key began to wait.
    Automatic(Milliseconds),
    /// One entry is used up per wait; when none is left, nobody touches.
    Scripted(VecDeque<ScriptedTouch>),
}

/// One entry of [`TouchPolicy::Scripted`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ScriptedTouch {
    /// A touch so long after the key began to wait.
    After(Milliseconds),
    /// No touch: the wait times out.
    Never,
}

impl TouchPolicy {
    /// A script.
    #[must_use]
    pub fn scripted(touches: impl IntoIterator<Item = ScriptedTouch>) -> Self {
        Self::Scripted(touches.into_iter().collect())
    }

    /// When the touch comes in the wait that begins at `now`.
    pub(crate) fn begin(&mut self, now: Milliseconds) -> Option<Milliseconds> {
        match self {
            Self::Manual | Self::Never => None,
            Self::Automatic(after) => Some(now + *after),
            Self::Scripted(touches) => match touches.pop_front() {
                Some(ScriptedTouch::After(after)) => Some(now + after),
                Some(ScriptedTouch::Never) | None => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_used_up() {
        let mut policy = TouchPolicy::scripted([ScriptedTouch::After(Milliseconds(5)), ScriptedTouch::Never]);
        let now = Milliseconds(100);
        assert_eq!(policy.begin(now), Some(Milliseconds(105)));
        assert_eq!(policy.begin(now), None);
        assert_eq!(policy.begin(now), None);
    }
}
