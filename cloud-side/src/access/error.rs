//! Why a change of who may use the API is refused.

use crate::catalog::CatalogError;
use bcdr_http::{TokenHashError, UnknownRole};
use std::time::Duration;

/// Why access was not given, or not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The system gave no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
    /// A stored hash is no hash.
    #[error("the token {name:?} is stored in a form that cannot be read: {source}; issue another")]
    Stored {
        /// What the token is for.
        name: String,
        /// The cause.
        #[source]
        source: TokenHashError,
    },
    /// A password could not be hashed or its stored hash not read.
    #[error("cannot work with a password's hash: {0}; set the password anew")]
    Hash(argon2::password_hash::Error),
    /// No such role.
    #[error(transparent)]
    Role(#[from] UnknownRole),
    /// The name cannot be used.
    #[error(
        "{0:?} cannot be a name: use 1 to 64 lower-case letters, digits, and . _ - @, beginning with a letter or digit"
    )]
    Name(String),
    /// The name of a token cannot be used.
    #[error("a token's name has 1 to 128 characters, none of them a control character")]
    TokenName,
    /// The password is too short or too long.
    #[error("a password has 12 to 256 characters")]
    PasswordLength,
    /// The password is the name.
    #[error("the password is the user's name")]
    PasswordIsName,
    /// There is a user with this name.
    #[error("there is a user {0} already")]
    NameTaken(String),
    /// There are too many.
    #[error("there are {0} {1} already, which is the most there can be")]
    TooMany(usize, &'static str),
    /// There is no such user.
    #[error("there is no user {0:?}")]
    NoUser(String),
    /// The user is not as whoever asked knows it.
    #[error("user {0} is not as it was read")]
    ChangedMeanwhile(String),
    /// There is no such token.
    #[error("there is no token {0:?}")]
    NoToken(String),
    /// Nobody could administer any more.
    #[error("{0} is the last enabled administrator")]
    LastAdmin(String),
    /// The end of a token is not to come.
    #[error("a token that ends before it begins is of no use")]
    EndsBefore,
    /// A token for no group at all.
    #[error("a token that is for no group is of no use")]
    ForNoGroup,
    /// Name or password are wrong, or the user is disabled: which, is not said.
    #[error("the name or the password is wrong")]
    WrongPassword,
    /// The secret is wrong.
    #[error("the setup secret is wrong")]
    WrongSecret,
    /// There is nothing to set up.
    #[error("the first administrator was made already, or this installation has no setup secret")]
    SetUp,
    /// Too many failures.
    #[error("too many attempts failed")]
    Wait(Duration),
    /// Too many attempts at once.
    #[error("too many people are signing in at this moment")]
    Busy,
}
