//! The cached entity, its request, and the changes that a client may make.

use cache_kit::{CacheEntity, CacheFeeder};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

/// One airport: a row of the database, an entry of the cache and the JSON of an answer.
///
/// A change of the database without the service is visible within the hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, FromRow, CacheEntity)]
#[cache(prefix = "airport", key = "icao", ttl = "1h")]
pub(crate) struct Airport {
    /// The four letters of ICAO: `EDDF`.
    pub(crate) icao: String,
    /// The three letters on a luggage tag: `FRA`.
    pub(crate) iata: String,
    pub(crate) name: String,
    /// Empty where the data set has none.
    pub(crate) city: String,
    /// Two letters, ISO 3166-1.
    pub(crate) country: String,
    /// Feet above the sea.
    pub(crate) elevation: f64,
    pub(crate) lat: f64,
    pub(crate) lon: f64,
    /// A name of the tz database: `Europe/Berlin`.
    pub(crate) tz: String,
}

/// A request for one airport. The derive generates the feeder that carries it through the cache.
#[derive(Debug, Clone, CacheFeeder)]
#[feeder(entity = Airport, key = "icao")]
pub(crate) struct GetAirport {
    pub(crate) icao: String,
}

impl GetAirport {
    /// Reads the id from a path. Lower case is accepted, so that `eddf` and `EDDF` are one entry.
    /// Anything but four letters is refused before the cache or the database is asked.
    pub(crate) fn parse(id: &str) -> Result<Self, NotIcao> {
        if id.len() == 4 && id.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            Ok(Self {
                icao: id.to_ascii_uppercase(),
            })
        } else {
            Err(NotIcao)
        }
    }

    /// The most airports of one request.
    const MOST: usize = 200;

    /// Reads the ids of a query, `icao=EDDF,EGLL`: 1 to 200.
    pub(crate) fn parse_many(query: &str) -> Result<Vec<Self>, NotIcao> {
        let ids = query.strip_prefix("icao=").ok_or(NotIcao)?.split(',');
        let requests = ids.map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        if requests.len() > Self::MOST {
            return Err(NotIcao);
        }
        Ok(requests)
    }
}

/// The id is not an ICAO code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotIcao;

/// The body of a `PUT`: the fields to change, the others stay.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AirportChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) city: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) elevation: Option<f64>,
}

impl AirportChange {
    const LONGEST_TEXT: usize = 200;

    /// Says what is wrong with the change, if anything is.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if *self == Self::default() {
            return Err("nothing to change: give name, city or elevation");
        }
        if self
            .name
            .as_ref()
            .is_some_and(|name| name.trim().is_empty())
        {
            return Err("name must not be empty");
        }
        let texts = [&self.name, &self.city];
        if texts
            .into_iter()
            .flatten()
            .any(|text| text.len() > Self::LONGEST_TEXT)
        {
            return Err("name and city may have 200 bytes");
        }
        if self
            .elevation
            .is_some_and(|feet| !(-2_000.0..=30_000.0).contains(&feet))
        {
            return Err("elevation is in feet, -2000 to 30000");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_four_letters_in_either_case() {
        let parsed = GetAirport::parse("eddf").map(|request| request.icao);
        assert_eq!(parsed.as_deref(), Ok("EDDF"));
        for id in [
            "",
            "EDD",
            "EDDFF",
            "ED1F",
            "ED F",
            "ÄDD",
            "EDD\0",
            "airport:EDDF",
        ] {
            assert_eq!(GetAirport::parse(id).err(), Some(NotIcao), "{id:?}");
        }
    }

    #[test]
    fn a_query_has_1_to_200_ids() {
        let parsed = GetAirport::parse_many("icao=EDDF,egll").unwrap();
        let ids: Vec<_> = parsed.iter().map(|request| &request.icao).collect();
        assert_eq!(ids, ["EDDF", "EGLL"]);
        let many = |count| format!("icao={}", vec!["EDDF"; count].join(","));
        assert_eq!(
            GetAirport::parse_many(&many(200)).map(|ids| ids.len()),
            Ok(200)
        );
        for query in ["", "icao=", "iata=EDDF", "icao=EDDF,", &many(201)] {
            assert_eq!(
                GetAirport::parse_many(query).err(),
                Some(NotIcao),
                "{query}"
            );
        }
    }

    #[test]
    fn a_change_has_something_to_change_within_bounds() {
        let name = |name: &str| AirportChange {
            name: Some(name.into()),
            ..AirportChange::default()
        };
        let elevation = |feet| AirportChange {
            elevation: Some(feet),
            ..AirportChange::default()
        };
        assert!(name("Frankfurt am Main").check().is_ok());
        assert!(elevation(-1_266.0).check().is_ok());
        assert!(AirportChange::default().check().is_err());
        assert!(name(" ").check().is_err());
        assert!(name(&"x".repeat(201)).check().is_err());
        assert!(elevation(f64::NAN).check().is_err());
        assert!(elevation(1e9).check().is_err());
    }
}
