//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::database::Location;

pub(crate) const HELP: &str = "\
airports: an HTTP service over the airports of the world, with cache-kit before its database

usage: airports [--listen ADDR] [--database PATH]
       airports --tour [--seed N]

  --listen ADDR     where to listen (default 127.0.0.1:8080; port 0 takes a free one)
  --database PATH   the SQLite file to use, made if it is missing
                    (default: DATABASE_URL, else a temporary file)
  --tour            start on a free port, show what the cache does, and end;
                    not 0 if one of its promises was broken
  --seed N          the tour's random choices (default 1)
  --help            this text

routes:
  GET /airports/{icao}      one airport; `cache-control: no-cache` asks the database
  PUT /airports/{icao}      change name, city or elevation: {\"name\": \"…\"}
  DELETE /airports/{icao}
  GET /stats                requests, database statements, cache statistics
  GET /healthz
";

/// What the program is asked to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Serve {
        listen: SocketAddr,
        database: Location,
    },
    Tour {
        seed: u64,
    },
    Help,
}

impl Command {
    /// Reads the arguments, the program's own name left out.
    pub(crate) fn parse(
        arguments: impl IntoIterator<Item = OsString>,
        database_url: Option<String>,
    ) -> Result<Self, String> {
        let mut arguments = arguments.into_iter();
        let (mut listen, mut database, mut seed, mut tour) = (None, None, None, false);
        while let Some(argument) = arguments.next() {
            let mut value = |name: &str| {
                arguments
                    .next()
                    .ok_or_else(|| format!("{name} wants a value"))
            };
            match argument.to_str() {
                Some("--help" | "-h") => return Ok(Self::Help),
                Some("--tour") => tour = true,
                Some(name @ "--listen") => listen = Some(parsed(name, value(name)?)?),
                Some(name @ "--seed") => seed = Some(parsed(name, value(name)?)?),
                Some(name @ "--database") => database = Some(PathBuf::from(value(name)?)),
                _ => return Err(format!("unknown argument {argument:?}")),
            }
        }
        if tour {
            if listen.is_some() || database.is_some() {
                return Err("--tour has a port and a database of its own".into());
            }
            return Ok(Self::Tour {
                seed: seed.unwrap_or(1),
            });
        }
        if seed.is_some() {
            return Err("--seed belongs to --tour".into());
        }
        let database = match (database, database_url) {
            (Some(path), _) => Location::File(path),
            (None, Some(url)) => Location::Url(url),
            (None, None) => Location::Temporary,
        };
        Ok(Self::Serve {
            listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080))),
            database,
        })
    }
}

fn parsed<T: std::str::FromStr>(name: &str, value: OsString) -> Result<T, String> {
    value
        .to_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("{name} cannot be {value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str], url: Option<&str>) -> Result<Command, String> {
        Command::parse(arguments.iter().map(OsString::from), url.map(str::to_owned))
    }

    fn serve(listen: &str, database: Location) -> Result<Command, String> {
        let listen = listen.parse().map_err(|_| "bad test")?;
        Ok(Command::Serve { listen, database })
    }

    #[test]
    fn it_serves_a_temporary_database_unless_told_otherwise() {
        assert_eq!(
            parse(&[], None),
            serve("127.0.0.1:8080", Location::Temporary)
        );
        let url = "sqlite://airports.sqlite";
        assert_eq!(
            parse(&[], Some(url)),
            serve("127.0.0.1:8080", Location::Url(url.into()))
        );
        assert_eq!(
            parse(&["--database", "a.db", "--listen", "[::1]:0"], Some(url)),
            serve("[::1]:0", Location::File("a.db".into()))
        );
    }

    #[test]
    fn the_tour_takes_a_seed_and_nothing_of_the_service() {
        assert_eq!(parse(&["--tour"], None), Ok(Command::Tour { seed: 1 }));
        assert_eq!(
            parse(&["--tour", "--seed", "7"], None),
            Ok(Command::Tour { seed: 7 })
        );
        assert!(parse(&["--tour", "--listen", "127.0.0.1:1"], None).is_err());
        assert!(parse(&["--seed", "7"], None).is_err());
    }

    #[test]
    fn a_wrong_argument_is_named() {
        for (arguments, named) in [
            (vec!["--listen"], "--listen"),
            (vec!["--listen", "here"], "here"),
            (vec!["--tour", "--seed", "-1"], "-1"),
            (vec!["--port", "1"], "--port"),
        ] {
            let error = parse(&arguments, None).err();
            assert!(
                error.as_ref().is_some_and(|text| text.contains(named)),
                "{error:?}"
            );
        }
        assert!(parse(&["--port", "--help"], None).is_err());
        assert_eq!(parse(&["--help", "--port"], None), Ok(Command::Help));
    }
}
