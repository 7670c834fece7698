//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::database::Location;

pub(crate) const HELP: &str = "\
airports: an HTTP service over the airports of the world, with cache-kit before its database

usage: airports [--listen ADDR] [--database PATH] [--cache URL]
       airports --tour [--seed N]

  --listen ADDR     where to listen (default 127.0.0.1:8080; port 0 takes a free one)
  --database PATH   the SQLite file to use, made if it is missing
                    (default: DATABASE_URL, else a temporary file)
  --cache URL       memory://, with parameters as in memory://?capacity=20000&ttl=5m;
                    or redis://[user][:password@]host[:port][/db] or any other
                    form of Redis, or memcached://host[:port],host[:port], to
                    share it with other processes (default: CACHE_URL, else
                    memory://)
  --tour            start on a free port, show what the cache does, and end;
                    not 0 if one of its promises was broken
  --seed N          the tour's random choices (default 1)
  --help            this text

routes:
  GET /airports/{icao}      one airport; `cache-control: no-cache` asks the database
  PUT /airports/{icao}      change name, city or elevation: {\"name\": \"…\"}
  DELETE /airports/{icao}
  GET /airports?icao=A,B    up to 200 airports, with one look-up and one query
  GET /stats                requests, database statements, cache statistics
  GET /healthz              whether it serves, and how the cache is doing
  GET /readyz               whether the cache answers now
";

/// What the program is asked to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Serve {
        listen: SocketAddr,
        database: Location,
        cache: String,
    },
    Tour {
        seed: u64,
    },
    Help,
}

impl Command {
    /// Reads the arguments, without the program's name, and environment variables for what they do
    /// not set.
    pub(crate) fn parse(
        arguments: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let mut arguments = arguments.into_iter();
        let (mut listen, mut database, mut cache) = (None, None, None);
        let (mut seed, mut tour) = (None, false);
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
                // Not repeated in an error: it may contain a password.
                Some(name @ "--cache") => match value(name)?.into_string() {
                    Ok(url) => cache = Some(url),
                    Err(_) => return Err("--cache wants a URL".into()),
                },
                _ => return Err(format!("unknown argument {argument:?}")),
            }
        }
        if tour {
            if listen.is_some() || database.is_some() || cache.is_some() {
                return Err("--tour has a port, a database and a cache of its own".into());
            }
            return Ok(Self::Tour {
                seed: seed.unwrap_or(1),
            });
        }
        if seed.is_some() {
            return Err("--seed belongs to --tour".into());
        }
        let database = match (database, variable("DATABASE_URL")) {
            (Some(path), _) => Location::File(path),
            (None, Some(url)) => Location::Url(url),
            (None, None) => Location::Temporary,
        };
        Ok(Self::Serve {
            listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080))),
            database,
            cache: cache
                .or_else(|| variable("CACHE_URL"))
                .unwrap_or_else(|| "memory://".into()),
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

    fn parse(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Command, String> {
        Command::parse(arguments.iter().map(OsString::from), |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.to_string())
        })
    }

    fn serve(listen: &str, database: Location, cache: &str) -> Result<Command, String> {
        let listen = listen.parse().map_err(|_| "bad test")?;
        Ok(Command::Serve {
            listen,
            database,
            cache: cache.into(),
        })
    }

    #[test]
    fn it_serves_from_memory_and_a_temporary_database_unless_told_otherwise() {
        assert_eq!(
            parse(&[], &[]),
            serve("127.0.0.1:8080", Location::Temporary, "memory://")
        );
        let file = "sqlite://airports.sqlite";
        let variables = [("DATABASE_URL", file), ("CACHE_URL", "redis://a")];
        assert_eq!(
            parse(&[], &variables),
            serve("127.0.0.1:8080", Location::Url(file.into()), "redis://a")
        );
        let arguments = ["--database", "a.db", "--listen", "[::1]:0"];
        assert_eq!(
            parse(
                &[&arguments[..], &["--cache", "redis://b"]].concat(),
                &variables
            ),
            serve("[::1]:0", Location::File("a.db".into()), "redis://b")
        );
    }

    #[test]
    fn the_tour_takes_a_seed_and_nothing_of_the_service() {
        let variables = [("CACHE_URL", "redis://a")];
        assert_eq!(
            parse(&["--tour"], &variables),
            Ok(Command::Tour { seed: 1 })
        );
        assert_eq!(
            parse(&["--tour", "--seed", "7"], &[]),
            Ok(Command::Tour { seed: 7 })
        );
        assert!(parse(&["--tour", "--listen", "127.0.0.1:1"], &[]).is_err());
        assert!(parse(&["--tour", "--cache", "redis://a"], &[]).is_err());
        assert!(parse(&["--seed", "7"], &[]).is_err());
    }

    #[test]
    fn a_wrong_argument_is_named() {
        for (arguments, named) in [
            (vec!["--listen"], "--listen"),
            (vec!["--listen", "here"], "here"),
            (vec!["--tour", "--seed", "-1"], "-1"),
            (vec!["--cache"], "--cache"),
            (vec!["--port", "1"], "--port"),
        ] {
            let error = parse(&arguments, &[]).err();
            assert!(
                error.as_ref().is_some_and(|text| text.contains(named)),
                "{error:?}"
            );
        }
        assert!(parse(&["--port", "--help"], &[]).is_err());
        assert_eq!(parse(&["--help", "--port"], &[]), Ok(Command::Help));
    }
}
