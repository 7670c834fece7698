//! Which of several servers keeps a key: rendezvous hashing over a fixed list.

use twox_hash::XxHash3_64;

/// Spreads keys over servers by their names, in whatever order they are listed.
///
/// The server with the highest score for a key keeps it (Thaler and Ravishankar, 1998). A longer
/// list moves only keys that go to the new server.
#[derive(Debug)]
pub(super) struct Route {
    seeds: Box<[u64]>,
}

impl Route {
    pub(super) fn over<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let seeds = names
            .into_iter()
            .map(|name| XxHash3_64::oneshot(name.as_bytes()));
        Self {
            seeds: seeds.collect(),
        }
    }

    /// The place in the list of the server that keeps `key`.
    pub(super) fn of(&self, key: &str) -> usize {
        if self.seeds.len() == 1 {
            return 0;
        }
        let scores = self.seeds.iter().enumerate().map(|(place, seed)| {
            let score = XxHash3_64::oneshot_with_seed(*seed, key.as_bytes());
            // The seed settles a tie the same way in every order of the list.
            ((score, *seed), place)
        });
        scores.max().map_or(0, |(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["a:11211", "b:11211", "c:11211"];

    fn name<'n>(names: &[&'n str], key: &str) -> &'n str {
        names[Route::over(names.iter().copied()).of(key)]
    }

    #[test]
    fn a_key_stays_where_it_is_in_every_process_and_version() {
        let keys = ["", "user:1", "user:2", "user:3", "user:4", "user:5"];
        let servers = keys.map(|key| &name(&NAMES, key)[..1]);
        assert_eq!(servers.concat(), "bbccba");
    }

    #[test]
    fn the_order_of_the_list_does_not_matter() {
        for n in 0..1_000 {
            let key = format!("user:{n}");
            let server = name(&NAMES, &key);
            for order in [[1, 0, 2], [2, 1, 0], [1, 2, 0]] {
                assert_eq!(name(&order.map(|at| NAMES[at]), &key), server);
            }
        }
    }

    #[test]
    fn keys_are_spread_evenly_and_a_new_server_takes_only_its_own() {
        let four = ["a:11211", "b:11211", "c:11211", "d:11211"];
        let mut kept = [0; 4];
        for n in 0..12_000 {
            let key = format!("user:{n}");
            let (before, after) = (name(&NAMES, &key), name(&four, &key));
            assert!(after == before || after == "d:11211", "{key} moved");
            let place = four.iter().position(|server| *server == after).unwrap();
            kept[place] += 1;
        }
        assert!(
            kept.iter().all(|count| (2_700..3_300).contains(count)),
            "{kept:?}"
        );
    }
}
