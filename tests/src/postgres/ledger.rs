//! The database of the tests: accounts, the transfers between them, and an entry for each transfer.
//!
//! Its invariants say more than that the rows are there: every balance follows from the transfers, the
//! sum of all never changes, and each transfer has its entry, whose text follows from its number. They
//! are checked by the server that was recovered, in SQL.

use super::client::{Client, QueryError};
use crate::end_to_end::stamped::Dice;
use anyhow::{Context, ensure};
use std::collections::BTreeSet;

/// The transactions that a database has, each as client and number.
pub type Present = BTreeSet<(usize, usize)>;

const ACCOUNTS: u64 = 40;
const BALANCE_AT_FIRST: i64 = 1000;

/// An account's balance has an index, so no change of it stays within its page. One text in 32 has
/// 32 KB and is kept as it is, apart from its row; it follows from client and number.
const SCHEMA: &str = "
    CREATE EXTENSION amcheck;
    CREATE FUNCTION entry_text(client int, number bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$
        SELECT string_agg(md5(format('%s:%s:%s', client, number, piece)), '' ORDER BY piece)
        FROM generate_series(1, CASE WHEN number % 32 = 0 THEN 1000 ELSE 3 END) piece $$;
    CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL);
    CREATE INDEX ON accounts (balance);
    CREATE TABLE transfers (
        client int, number bigint,
        debited int NOT NULL REFERENCES accounts, credited int NOT NULL REFERENCES accounts,
        amount bigint NOT NULL,
        PRIMARY KEY (client, number));
    CREATE INDEX ON transfers (debited, credited);
    CREATE TABLE entries (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        client int, number bigint, body text NOT NULL,
        UNIQUE (client, number));
    ALTER TABLE entries ALTER body SET STORAGE EXTERNAL;
    CREATE INDEX ON entries (md5(body));";

/// Makes the tables.
///
/// # Errors
/// When the server refuses.
pub fn make(client: &mut Client) -> anyhow::Result<()> {
    client.query(SCHEMA)?;
    client.query(&format!(
        "INSERT INTO accounts SELECT id, {BALANCE_AT_FIRST} FROM generate_series(1, {ACCOUNTS}) id"
    ))?;
    Ok(())
}

/// Does everything of a transaction but to end it. Accounts are locked in the order of their numbers,
/// so that clients wait for each other and never in a circle.
///
/// # Errors
/// When the connection breaks or the server refuses.
pub fn transfer(
    connection: &mut Client,
    dice: &mut Dice,
    client: usize,
    number: usize,
) -> Result<(), QueryError> {
    let one = 1 + dice.below(ACCOUNTS - 1);
    let other = one + 1 + dice.below(ACCOUNTS - one);
    let amount = 1 + dice.below(50);
    let (debited, credited) = match dice.below(2) {
        0 => (one, other),
        _ => (other, one),
    };
    connection.query("BEGIN")?;
    for account in [one, other] {
        let sign = if account == debited { '-' } else { '+' };
        connection.query(&format!(
            "UPDATE accounts SET balance = balance {sign} {amount} WHERE id = {account}"
        ))?;
    }
    connection.query(&format!(
        "INSERT INTO transfers VALUES ({client}, {number}, {debited}, {credited}, {amount})"
    ))?;
    connection.query(&format!(
        "INSERT INTO entries (client, number, body)
         VALUES ({client}, {number}, entry_text({client}, {number}))"
    ))?;
    Ok(())
}

/// Whether the server has a transaction.
///
/// # Errors
/// When the connection breaks or the server refuses.
pub fn has(connection: &mut Client, client: usize, number: usize) -> Result<bool, QueryError> {
    let answer = connection.query(&format!(
        "SELECT FROM transfers WHERE client = {client} AND number = {number}"
    ))?;
    Ok(!answer.rows.is_empty())
}

/// All transactions that the server has.
///
/// # Errors
/// When the connection breaks or the server refuses.
pub fn present(connection: &mut Client) -> anyhow::Result<Present> {
    let answer = connection.query("SELECT client, number FROM transfers")?;
    let read = |row: &Vec<String>| {
        let [client, number] = &row[..] else {
            anyhow::bail!("a transfer with {} columns", row.len());
        };
        Ok((client.parse()?, number.parse()?))
    };
    answer.rows.iter().map(read).collect()
}

/// Each counts what breaks an invariant.
const INVARIANTS: [(&str, &str); 4] = [
    (
        "accounts whose balance does not follow from the transfers",
        "SELECT count(*) FROM accounts a WHERE balance <> $FIRST
            + (SELECT coalesce(sum(amount), 0) FROM transfers WHERE credited = a.id)
            - (SELECT coalesce(sum(amount), 0) FROM transfers WHERE debited = a.id)",
    ),
    (
        "units that the sum of all balances is off",
        "SELECT abs(coalesce(sum(balance), 0) - $ACCOUNTS * $FIRST) FROM accounts",
    ),
    (
        "transfers and entries without the other",
        "SELECT count(*) FROM transfers t FULL JOIN entries e USING (client, number)
            WHERE t.amount IS NULL OR e.id IS NULL",
    ),
    (
        "entries with another text than they were given",
        "SELECT count(*) FROM entries WHERE body <> entry_text(client, number)",
    ),
];

/// Checks everything that must hold of the tables whatever transactions they have.
///
/// # Errors
/// Says what does not hold.
pub fn check_invariants(connection: &mut Client) -> anyhow::Result<()> {
    for (what, query) in INVARIANTS {
        let query = query
            .replace("$ACCOUNTS", &ACCOUNTS.to_string())
            .replace("$FIRST", &BALANCE_AT_FIRST.to_string());
        let answer = connection.query(&query)?;
        let count = answer.rows.first().and_then(|row| row.first());
        let count = count.with_context(|| format!("no count of {what}"))?;
        ensure!(count == "0", "there are {count} {what}");
    }
    Ok(())
}
