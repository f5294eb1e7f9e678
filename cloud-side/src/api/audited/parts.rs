//! The entries of a request that does several things, each of which is an operation of its own too.
//!
//! Invariant: the entry with which a part begins is durable before the part is carried out, and the one
//! with its outcome before the next part begins. A part has the same action, object and short fields as
//! a request for it would have, and the id of the request that it is a part of.

use super::{End, Outcome, fields, outcome_of, unavailable};
use crate::audit::Audit;
use axum::http::StatusCode;
use bcdr_audit::{Draft, Object};
use bcdr_http::Problem;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// What is done.
#[derive(Debug)]
pub(in crate::api) struct Part<'a> {
    /// The operation of the API.
    pub(in crate::api) action: &'static str,
    /// What kind of object it is done to.
    pub(in crate::api) kind: &'static str,
    /// Which one; none for one that is to be made.
    pub(in crate::api) id: Option<&'a str>,
    /// What a request for it would say.
    pub(in crate::api) body: Value,
    /// With what a request for it is answered when it is done.
    pub(in crate::api) done: StatusCode,
}

/// Enters the parts of a request; an extension of it.
#[derive(Debug, Clone)]
pub(in crate::api) struct Parts {
    audit: Arc<Audit>,
    /// Who asks, and from where.
    asked: Draft,
}

impl Parts {
    pub(in crate::api) fn new(audit: Arc<Audit>, mut asked: Draft) -> Self {
        asked.changes = BTreeMap::new();
        // The key is that of the whole.
        asked.idempotency = None;
        Self { audit, asked }
    }

    /// Carries out a part, between its two entries; `work` gives the id of what it made.
    ///
    /// # Errors
    /// What went wrong with the part; or that it cannot be entered, and so was not begun.
    pub(in crate::api) async fn carry_out(
        &self,
        part: Part<'_>,
        work: impl Future<Output = Result<Option<String>, Problem>>,
    ) -> Result<(), Problem> {
        let mut draft = self.asked.clone();
        part.action.clone_into(&mut draft.action);
        draft.object = Some(Object {
            kind: part.kind.to_owned(),
            id: part.id.map(str::to_owned),
        });
        draft.changes = fields::of(part.body);
        let mut draft = draft.bounded();
        let began = match self.audit.record(draft.clone()).await {
            Ok(number) => number,
            Err(error) => {
                let problem = unavailable(&error);
                refuse(&mut draft, &problem);
                self.audit.record_later(draft);
                return Err(problem);
            }
        };
        draft.began = Some(began);
        let mut end = End {
            audit: &self.audit,
            draft: Some(draft),
        };
        let worked = work.await;
        if let Some(mut draft) = end.draft.take() {
            match &worked {
                Ok(made) => {
                    draft.outcome = Outcome::Allowed;
                    draft.status = Some(part.done.as_u16());
                    if let (Some(object), Some(made)) = (&mut draft.object, made) {
                        object.id = Some(made.clone());
                    }
                }
                Err(problem) => refuse(&mut draft, problem),
            }
            self.audit.record_if_possible(draft).await;
        }
        worked.map(drop)
    }
}

fn refuse(draft: &mut Draft, problem: &Problem) {
    draft.outcome = outcome_of(problem.status_code());
    draft.status = Some(problem.status);
    draft.code = Some(problem.code.clone());
}
