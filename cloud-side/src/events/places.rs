//! Who follows the events: a bounded number over all, and for each principal.

use super::Events;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Of all places one principal has at most this share: one half.
const SHARE: usize = 2;

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlaceRefused {
    /// All are taken.
    #[error("{0} clients follow the events, which is the most")]
    All(usize),
    /// This principal has as many as it may.
    #[error("{0} streams of events are open with this token or user, which is the most")]
    OfPrincipal(usize),
}

#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: Mutex<HashMap<String, usize>>,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            taken: Mutex::default(),
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn taken(&self) -> usize {
        self.table().values().sum()
    }

    fn take(&self, principal: &str) -> Result<(), PlaceRefused> {
        let mut table = self.table();
        let of_principal = table.get(principal).copied().unwrap_or(0);
        let share = (self.most / SHARE).max(1);
        if of_principal >= share {
            return Err(PlaceRefused::OfPrincipal(share));
        }
        if table.values().sum::<usize>() >= self.most {
            return Err(PlaceRefused::All(self.most));
        }
        table.insert(principal.to_owned(), of_principal + 1);
        Ok(())
    }

    fn give_back(&self, principal: &str) {
        let mut table = self.table();
        if let Some(taken) = table.get_mut(principal) {
            *taken -= 1;
            if *taken == 0 {
                table.remove(principal);
            }
        }
    }
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    events: Arc<Events>,
    principal: String,
}

impl Place {
    pub(super) fn take(events: &Arc<Events>, principal: &str) -> Result<Self, PlaceRefused> {
        events.places.take(principal)?;
        Ok(Self {
            events: Arc::clone(events),
            principal: principal.to_owned(),
        })
    }

    /// What the place is for.
    pub(crate) fn events(&self) -> &Events {
        &self.events
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.events.places.give_back(&self.principal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_principal_has_half_and_all_have_no_more_than_there_are() {
        let events = Arc::new(Events::new(4).unwrap());
        let mut held = vec![
            events.take_place("a").unwrap(),
            events.take_place("a").unwrap(),
        ];
        let refused = |principal: &str| events.take_place(principal).map(drop).unwrap_err();
        assert_eq!(refused("a"), PlaceRefused::OfPrincipal(2));
        held.push(events.take_place("b").unwrap());
        held.push(events.take_place("c").unwrap());
        assert_eq!(refused("d"), PlaceRefused::All(4));
        assert_eq!(events.followers(), 4);
        held.remove(0);
        held.push(events.take_place("d").unwrap());
        drop(held);
        assert_eq!(events.followers(), 0);
        assert!(events.places.table().is_empty());
    }
}
