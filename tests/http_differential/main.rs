//! The same responses through our HTTP and through ureq, the client that users of Rust would take.
//! Where the two differ, a row of `table.rs` says who is right and by which section of the RFCs; a
//! difference that no row explains fails the test, and so does a row that explains nothing.
//!
//! Both parse the lines of a head with httparse: what is compared is what each makes of them, the
//! framing of the body, and what each passes over.

mod canned;
mod clients;
mod grammar;
mod mutate;
mod table;

use std::collections::BTreeMap;

use clients::{Body, Clients, Outcome};
use table::{Reading, Row, TABLE};

/// Beside the canned ones.
const MUTATED: usize = 3200;
const SEED: u64 = 9112;
/// Unexplained differences that are printed.
const MOST_SHOWN: usize = 20;

/// How many differences a row explains, and how many of them alone.
#[derive(Default)]
struct Uses {
    all: usize,
    alone: usize,
}

#[derive(Default)]
struct Tally {
    responses: usize,
    bodies: usize,
    statuses: usize,
    refused: usize,
    differ: usize,
    uses: BTreeMap<usize, Uses>,
    unexplained: Vec<String>,
}

/// [HTTP-25] in the rows on odd lines and on framing.
#[test]
fn our_http_and_ureq_read_the_same_responses_alike() {
    let canned = canned::all();
    let clients = Clients::new();
    let mut tally = Tally::default();
    let mut parents = Vec::new();
    for (name, bytes) in &canned {
        let is_refused = compare(&clients, name, bytes, &mut tally);
        // Of what is refused at once most changes are, too.
        let weight = if is_refused { 1 } else { 3 };
        parents.extend([(name.as_str(), bytes.as_slice())].repeat(weight));
    }
    let mut changes = mutate::Changes::new(parents, SEED);
    for number in 0..MUTATED {
        let (name, bytes) = changes.next_response();
        compare(
            &clients,
            &format!("{name}, mutation {number}"),
            &bytes,
            &mut tally,
        );
    }
    tally.print(canned.len());
    tally.judge();
}

/// Whether ours refuses it.
fn compare(clients: &Clients, name: &str, bytes: &[u8], tally: &mut Tally) -> bool {
    let (ours, theirs) = (clients.ours(bytes), clients.ureq(bytes));
    tally.responses += 1;
    match &ours {
        Outcome::Refused(_) => tally.refused += 1,
        Outcome::Response(_, Body::Whole(_)) => tally.bodies += 1,
        Outcome::Response(..) => tally.statuses += 1,
    }
    let (rows, plain, is_refused) = reading(bytes);
    let is_taken = matches!(ours, Outcome::Response(_, Body::Whole(_)));
    // Both may be wrong together, but not where a row knows better.
    let is_agreed = ours.agrees_with(&theirs) && !(is_taken && is_refused);
    if is_agreed {
        return ours.is_refused();
    }
    tally.differ += 1;
    // What the rows make of it is what ureq should have been given. Of a body that is not taken
    // ours tells the status, whatever is wrong in it.
    let is_unseen = matches!(ours, Outcome::Response(_, Body::Unseen));
    let expected = match is_refused && !is_unseen {
        true => Outcome::Refused("by the table".to_owned()),
        false => clients.ureq(&plain),
    };
    if rows.is_empty() || !ours.agrees_with(&expected) {
        let names = rows.iter().map(|&row| TABLE[row].what).collect::<Vec<_>>();
        tally.unexplained.push(format!(
            "{name}: {}\n  ours: {ours}\n  ureq: {theirs}\n  rows {names:?} make of it: {expected}",
            bytes.escape_ascii()
        ));
        return ours.is_refused();
    }
    for row in &rows {
        let uses = tally.uses.entry(*row).or_default();
        uses.all += 1;
        uses.alone += usize::from(rows.len() == 1);
    }
    ours.is_refused()
}

/// The rows that apply to a response, what they make of it together, and whether one refuses that.
fn reading(bytes: &[u8]) -> (Vec<usize>, Vec<u8>, bool) {
    let (mut rows, mut plain) = (Vec::new(), bytes.to_vec());
    for (number, row) in TABLE.iter().enumerate() {
        let Some(read) = (row.read)(&plain) else {
            continue;
        };
        rows.push(number);
        match read {
            Reading::As(next) => plain = next,
            Reading::Refused => return (rows, plain, true),
        }
    }
    (rows, plain, false)
}

impl Tally {
    fn print(&self, canned: usize) {
        println!(
            "{} responses ({canned} canned): {} bodies, {} statuses alone, {} refused; {} differ",
            self.responses, self.bodies, self.statuses, self.refused, self.differ
        );
        for (
            number,
            Row {
                what, right, by, ..
            },
        ) in TABLE.iter().enumerate()
        {
            let none = Uses::default();
            let Uses { all, alone } = self.uses.get(&number).unwrap_or(&none);
            println!("{all:5} ({alone} alone)  {what}: {right}, {by}");
        }
    }

    fn judge(&self) {
        let shown = self.unexplained.iter().take(MOST_SHOWN);
        let shown = shown.map(String::as_str).collect::<Vec<_>>().join("\n");
        let count = self.unexplained.len();
        assert!(
            count == 0,
            "{count} differences that no row explains:\n{shown}"
        );
        for (number, row) in TABLE.iter().enumerate() {
            let has_use = self.uses.get(&number).is_some_and(|uses| uses.alone > 0);
            assert!(
                has_use,
                "no difference is explained by this row alone: {}",
                row.what
            );
        }
        // Whole bodies are where framing shows; too few of them would prove little.
        assert!(
            self.bodies * 4 > self.responses,
            "only {} whole bodies",
            self.bodies
        );
    }
}
